"""What must be true of a run of checkov before a word of it is believed.

checkov exits happily when it read nothing: each of these stands for a silence that was seen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from bundler.core.documents.policy import CHECK_ID, Policy
from bundler.core.errors import PolicyError
from bundler.core.objects.manifests import JsonObject
from bundler.tools.checkov import Scan

_CHECK_FILE = re.compile(r"[a-z][a-z0-9_]*\.(py|yaml)")
# What else lies in a folder of Python files, made by people and by Python.
_NO_CHECK = re.compile(r"README\.md|__init__\.py|__pycache__/.*")
_CHECK_ID = re.compile(CHECK_ID)
_SHOWN = 5
_REMEDY = "docs/rules.md says what a file of checks holds"


def require_objects(targets: Mapping[str, Sequence[JsonObject]]) -> None:
    """PolicyError when there is no target, or nothing in one."""
    empty = [target for target, objects in targets.items() if not objects]
    if empty or not targets:
        where = ", ".join(empty) or "every target"
        raise PolicyError(f"checkov: {where}: expected at least one object, found none")


def check_files(policy: Policy, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Those of `files` that hold checks; PolicyError for one that checkov would leave out."""
    named = {name: data for name, data in files.items() if not _NO_CHECK.fullmatch(name)}
    for name in named:
        if not _CHECK_FILE.fullmatch(name):
            raise PolicyError(
                f"{policy.checks}/{name}: is no file of checks",
                "call it lower_case.py or lower_case.yaml, and put it into no folder of its own",
            )
    return named


def require_checks(policy: Policy, files: Iterable[str], scan: Scan) -> None:
    """PolicyError unless each of `files` gave checks, each with an id that no other has."""
    for text in scan.complaints:
        raise PolicyError(f"{policy.checks}: checkov complains: {text}", _REMEDY)
    owners = Counter(check for ids in scan.extra.values() for check in ids)
    for name in files:
        where = f"{policy.checks}/{name}"
        if not scan.extra.get(name):
            raise PolicyError(f"{where}: holds no check that checkov can load", _REMEDY)
        for check in scan.extra[name]:
            if not _CHECK_ID.fullmatch(check):
                raise PolicyError(f"{where}: {check!r:.80} is no id such as CKV_TEAM_1")
            if check in scan.own or owners[check] > 1:
                whose = "checkov's own" if check in scan.own else "another file's"
                raise PolicyError(f"{where}: {check} is {whose} already", "choose another id")


def require_seen(subjects: Mapping[str, str], scan: Scan) -> None:
    """PolicyError, naming them, when some of `subjects` (by file) were not looked at."""
    unseen = [subject for file, subject in subjects.items() if file not in scan.looked_at]
    if unseen:
        more = f" and {len(unseen) - _SHOWN} more" if len(unseen) > _SHOWN else ""
        raise PolicyError(f"checkov did not look at {', '.join(unseen[:_SHOWN])}{more}")
