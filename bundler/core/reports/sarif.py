"""Findings as SARIF 2.1.0, for code scanning.

The format is OASIS's "Static Analysis Results Interchange Format" 2.1.0; sections are named where
they decided something. A place of the audit ("targets/dev") becomes a logical location; files are
those of the spec's folder, as people edit them, since an object is rendered out of several.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from urllib.parse import quote

from bundler import __version__
from bundler.core.digest import Digest
from bundler.core.findings import Finding
from bundler.core.reports.rulebook import RULEBOOK, about

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
# Raised when other text goes into a fingerprint: consumers then take every result for new.
_FINGERPRINT = "airbundle/v1"
# Places whose second part is a target, which has a folder of its own.
_OF_TARGETS = frozenset({"targets", "checkov"})


def sarif(findings: Mapping[str, Sequence[Finding]], spec: str | None = None) -> str:
    """A SARIF log of `findings` by place: one run, each finding once, with all its places.

    `spec` is the path of bundle.yaml relative to the root of its repository, with slashes; without
    it results have logical locations alone, and GitHub's code scanning shows none of them.
    """
    places: dict[Finding, list[str]] = {}
    for place, found in findings.items():
        for each in found:
            places.setdefault(each, []).append(place)
    rules = sorted({each.rule for each in places})
    run = {
        "tool": {
            "driver": {
                "name": "airbundle",
                "version": __version__,
                "semanticVersion": __version__,
                "rules": [_rule(rule, places) for rule in rules],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [
            _result(each, rules.index(each.rule), where, spec) for each, where in places.items()
        ],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _rule(rule: str, findings: Mapping[Finding, Sequence[str]]) -> dict[str, object]:
    words = about(rule)
    title = words.title
    if rule not in RULEBOOK:
        # checkov's own title is in its findings, behind the place in the object.
        message = next(each.message for each in findings if each.rule == rule)
        title = message.partition(": ")[2] if message.startswith("/") else message
    severities = {each.severity for each in findings if each.rule == rule}
    return {
        "id": rule,
        "shortDescription": {"text": title},
        "fullDescription": {"text": title},
        "help": {"text": words.remedy},
        "defaultConfiguration": {"level": "error" if "error" in severities else "warning"},
    }


def _result(
    found: Finding, index: int, places: Sequence[str], spec: str | None
) -> dict[str, object]:
    result: dict[str, object] = {
        "ruleId": found.rule,
        "ruleIndex": index,
        "level": found.severity,
        "message": {"text": _message(found)},
        "locations": [_location(found, places, spec)],
        "partialFingerprints": {_FINGERPRINT: _fingerprint(found)},
    }
    if found.waiver is not None:
        # 3.35: external, since it stands in the policy and not at the place itself.
        reason = f"{found.waiver.reason} ({found.waiver.owner})"
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": reason}
        ]
    return result


def _message(found: Finding) -> str:
    hint = f" To do: {found.hint}." if found.hint else ""
    # 3.11.6: `[text](address)` is a link, and what stands here is out of files nobody trusts yet.
    return f"{found.subject}: {found.message}.{hint}".replace("](", "] (")


def _location(found: Finding, places: Sequence[str], spec: str | None) -> dict[str, object]:
    location: dict[str, object] = {
        "logicalLocations": [
            {
                "name": found.subject,
                "fullyQualifiedName": f"{place}/{found.subject}",
                "kind": "resource",
            }
            for place in places
        ]
    }
    if spec is not None:
        location["physicalLocation"] = {
            "artifactLocation": {"uri": quote(_file(places[0], spec)), "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": 1},
        }
    return location


def _file(place: str, spec: str) -> str:
    """The file to begin with for somebody who mends what was found at `place`."""
    group, _, name = place.partition("/")
    if group not in _OF_TARGETS:
        return spec
    return str(PurePosixPath(spec).parent / "overlays" / name / "kustomization.yaml")


def _fingerprint(found: Finding) -> str:
    """The same for the same finding in every run, wherever the repository lies."""
    said = json.dumps([found.rule, found.subject, found.message])
    return Digest.of(said.encode()).hex
