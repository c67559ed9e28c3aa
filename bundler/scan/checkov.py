"""checkov over the objects of every target, in one run of it.

Objects are shown to it as `bundler.core.projection` projects them. What it finds is mapped back to
the object in the manifest, with a JSON pointer to the pod or container. Severities are ours, since
checkov keeps its own for customers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bundler.core import projection, strictjson
from bundler.core.digest import Digest
from bundler.core.documents.policy import Policy
from bundler.core.errors import IntegrityError, ToolError
from bundler.core.findings import Finding, Severity
from bundler.core.objects import jsonpointer, manifests
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.projection import Shown
from bundler.core.reports.report import parse_report
from bundler.scan.checkov_proof import check_files, require_checks, require_objects, require_seen
from bundler.tools import process
from bundler.tools.checkov import Checkov, Failure, find_checkov
from bundler.tools.process import Runner

# Whoever changes what is found raises it: projection, probe, severities, messages.
SCAN_VERSION = "1"

# What is no reason to stop, and why; all else is an error.
WARNINGS: Mapping[str, str] = {
    "CKV_K8S_11": "without a limit of CPU, a pod takes no more than what nobody asked for",
    "CKV_K8S_35": "many programs read a password from a variable and from nowhere else",
}

_FILE = re.compile(r"[^\s']*?\b(\d+/\d+\.json)")
# How checkov names a field: spec/template/spec/containers/[0]/resources/limits/cpu.
_PLACE = re.compile(r"((?:\w+/)+?)(containers|initContainers|volumes)/\[(\d+)\]/.+")


@dataclass(frozen=True)
class CheckovResult:
    """Findings by target, waivers not applied; how many objects of each target were looked at;
    the ids of all checks that there are, skipped ones included.
    """

    findings: Mapping[str, tuple[Finding, ...]]
    scanned: Mapping[str, int]
    checks: frozenset[str]

    def dump(self) -> bytes:
        """Canonical JSON; `load_result` is its inverse."""
        return strictjson.canonical(
            {
                "checks": sorted(self.checks),
                "findings": {
                    target: [found.to_json() for found in each]
                    for target, each in self.findings.items()
                },
                "objects": dict(self.scanned),
            }
        )


def load_result(data: bytes) -> CheckovResult:
    """What `CheckovResult.dump` wrote; IntegrityError for anything else."""
    where = "checkov's result"
    report = parse_report(data, where)
    checks = strictjson.parse(data, where).get("checks")
    if not isinstance(checks, list):
        raise IntegrityError(f"{where}: expected the ids of its checks, found none")
    return CheckovResult(report.findings, report.objects, frozenset(map(str, checks)))


def versions(checkov: Checkov | None = None) -> dict[str, str]:
    """The version of checkov and of what stands around it, for the lock.

    ToolError when there is no checkov.
    """
    return {"checkov": (checkov or find_checkov()).version, "checkov-scan": SCAN_VERSION}


def key(
    targets: Mapping[str, Sequence[JsonObject]],
    policy: Policy,
    checks: Mapping[str, bytes],
    versions: Mapping[str, str],
) -> Digest:
    """One digest of all that the result of `scan_objects` depends on."""
    contents = {target: str(_content(objects)) for target, objects in targets.items()}
    return Digest.of(
        strictjson.canonical(
            {
                "checks": {name: str(Digest.of(data)) for name, data in checks.items()},
                "skip": sorted(skip.check for skip in policy.skip),
                "targets": contents,
                "versions": dict(versions),
            }
        )
    )


def scan_objects(
    targets: Mapping[str, Sequence[JsonObject]],
    policy: Policy,
    checks: Mapping[str, bytes],
    run: Runner = process.run,
    path: str | None = None,
) -> CheckovResult:
    """What checkov finds in the objects of all `targets`, each target by itself.

    `checks` are the files in the policy's folder of checks, by their names below it; their Python
    is run, with all rights of whoever runs this. PolicyError when something was not looked at, or
    a check is not asked as it should be; ToolError when there is no checkov beside this Python or
    on `path`, and when it fails.
    """
    require_objects(targets)
    extra = check_files(policy, checks)
    # Equal targets are looked at once, and what is in two targets is connected to neither's rest.
    folders = {_content(objects): objects for objects in targets.values()}
    shown = {
        f"{number}/{place}.json": each
        for number, objects in enumerate(folders.values())
        for place, each in enumerate(_shown(objects))
    }
    subjects = {file: subject for file, (subject, _) in shown.items()}
    try:
        scan = find_checkov(run, path).scan(
            {file: each.manifest for file, (_, each) in shown.items()},
            extra,
            [skip.check for skip in policy.skip],
        )
    except ToolError as error:
        raise ToolError(_with_subjects(error.message, subjects), error.hint) from error
    require_checks(policy, extra, scan)
    require_seen(subjects, scan)
    found = dict(zip(folders, _findings(len(folders), shown, scan.failures), strict=True))
    return CheckovResult(
        {target: found[_content(objects)] for target, objects in targets.items()},
        {target: len(objects) for target, objects in targets.items()},
        scan.own.union(*scan.extra.values()),
    )


def _content(objects: Sequence[JsonObject]) -> Digest:
    return Digest.of(manifests.dump(objects))


def _shown(objects: Iterable[JsonObject]) -> Iterator[tuple[str, Shown]]:
    for obj in objects:
        for each in projection.project(obj):
            yield str(ObjectId.of(obj)), each


def _with_subjects(text: str, subjects: Mapping[str, str]) -> str:
    """`text` with our files' names replaced by what is in them, and the same in every run."""
    return _FILE.sub(lambda match: subjects.get(match[1], match[1]), text)


def _findings(
    folders: int, shown: Mapping[str, tuple[str, Shown]], failures: Sequence[Failure]
) -> list[tuple[Finding, ...]]:
    """What failed in each folder, sorted.

    What an object failed as a whole, its pods don't fail once more.
    """
    whole = {
        (file.partition("/")[0], shown[file][0], failure.check)
        for failure in failures
        for file in (failure.file,)
        if not shown[file][1].path
    }
    found: list[set[Finding]] = [set() for _ in range(folders)]
    for failure in failures:
        subject, each = shown[failure.file]
        folder = failure.file.partition("/")[0]
        if each.path and (folder, subject, failure.check) in whole:
            continue
        severity: Severity = "warning" if failure.check in WARNINGS else "error"
        found[int(folder)].add(Finding(failure.check, severity, subject, _message(failure, each)))
    return [
        tuple(sorted(each, key=lambda one: (one.rule, one.subject, one.message))) for each in found
    ]


def _message(failure: Failure, shown: Shown) -> str:
    """Where in the object, as closely as checkov says it, and what it expected."""
    path, name = shown.path, " ".join(failure.name.split())
    for place in failure.places:
        if match := _PLACE.fullmatch(place):
            way, field, index = match.groups()
            path = (*(path or way.strip("/").split("/")), field, int(index))
            break
    return f"{jsonpointer.spell(path)}: {name}" if path else name
