"""The report that travels in a bundle: what the gate found, and the counts that prove it looked.

A function of the lock alone: without time, host or path. Of a waiver it says owner and reason,
never the last day, which is compared when a bundle is built.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bundler.core import strictjson
from bundler.core.documents.policy import Waiver
from bundler.core.errors import IntegrityError
from bundler.core.findings import Finding

REPORT_RULE = "report"

Findings = Mapping[str, tuple[Finding, ...]]


@dataclass(frozen=True)
class Report:
    """What the gate found, by where ("targets/T", "checkov/T", "models/M", "parameters").

    `allow_hosts` are the hosts outside of the cluster that the policy names; `objects` how many
    each target has; `scanned` how many things each scanner read, by what it was given.
    """

    allow_hosts: tuple[str, ...]
    findings: Findings
    objects: Mapping[str, int]
    scanned: Mapping[str, Mapping[str, int]]

    def dump(self) -> bytes:
        """Canonical JSON."""
        return strictjson.canonical(
            {
                "allowHosts": list(self.allow_hosts),
                "findings": {
                    where: [found.to_json() for found in each]
                    for where, each in self.findings.items()
                },
                "objects": dict(self.objects),
                "scanned": {name: dict(counts) for name, counts in self.scanned.items()},
            }
        )

    def waived(self) -> tuple[Finding, ...]:
        """Every finding that a policy let pass, once."""
        found = (each for group in self.findings.values() for each in group)
        return tuple(dict.fromkeys(each for each in found if each.waiver))


def missing_evidence(
    report: Report, targets: Mapping[str, int], models: Iterable[str], images: Iterable[str]
) -> Findings:
    """By where: what a report does not say though whoever wrote it should have looked.

    `targets` are how many objects each has. The findings can't be waived: a policy is read before.
    """
    wanted = {f"checkov/{name}": count for name, count in targets.items()}
    told = {
        where: report.scanned.get(where, {}).get("objects") == count
        for where, count in wanted.items()
    }
    for name in models:
        where = f"models/{name}"
        found = report.findings.get(where, ())
        read = sum(report.scanned.get(where, {}).values())
        told[where] = where in report.scanned and bool(read or found)
    told |= {f"images/{name}": f"images/{name}" in report.scanned for name in images}
    return {
        where: (_unseen(where),)
        for where, is_told in told.items()
        if not is_told or where not in report.findings
    }


def _unseen(where: str) -> Finding:
    problem = "the bundle's report does not say that all of this was looked at"
    return Finding(REPORT_RULE, "error", where, problem, "build it anew, with a current airbundle")


def parse_report(data: bytes, where: str) -> Report:
    """The report in `data`; IntegrityError, naming `where`, when it is none.

    What an older report lacks is empty; members that are not known are passed over.
    """
    value = strictjson.parse(data, where)
    try:
        return Report(
            tuple(_text(host) for host in _list(value.get("allowHosts", []))),
            {place: tuple(map(_finding, _list(each))) for place, each in value["findings"].items()},
            {name: _count(count) for name, count in value.get("objects", {}).items()},
            {
                name: {scanner: _count(count) for scanner, count in counts.items()}
                for name, counts in value.get("scanned", {}).items()
            },
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise IntegrityError(f"{where}: expected a report of the gate: {error}") from error


def _finding(value: Any) -> Finding:
    rule, subject = _text(value["rule"]), _text(value["subject"])
    severity, hint, waiver = value["severity"], value.get("hint"), value.get("waiver")
    if severity not in ("error", "warning"):
        raise TypeError(f"severity {severity!r}")
    if waiver is not None:
        owner, reason = _text(waiver["owner"]), _text(waiver["reason"])
        waiver = Waiver(rule=rule, object=subject, owner=owner, reason=reason, until="")
    hint = None if hint is None else _text(hint)
    return Finding(rule, severity, subject, _text(value["message"]), hint, waiver)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.80} is no list")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.80} is no text")
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"{value!r:.80} is no count")
    return value
