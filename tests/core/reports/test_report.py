"""The report: read back as it was written, and refused when it is none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bundler.core.documents.policy import Waiver
from bundler.core.errors import IntegrityError
from bundler.core.findings import Finding
from bundler.core.reports.report import Report, parse_report

WAIVER = Waiver(
    rule="rights", object="Role a/*", owner="Jo", reason="it is known", until="2030-01-01"
)
WARNING = Finding("license", "warning", "models/m", "states none", "add the card")
WAIVED = Finding("rights", "error", "Role a/b", "/rules/0: too much", waiver=WAIVER)
REPORT = Report(
    ("mirror.corp",),
    {"targets/dev": (WAIVED,), "targets/site": (WAIVED,), "models/m": (WARNING,)},
    {"dev": 3, "site": 4},
    {"models/m": {"safetensors": 1, "pickle": 0}},
)


def changed(path: str, value: object) -> bytes:
    """The report with `value` at `path` ("findings/models~m/0/rule"); None removes it."""
    report = json.loads(REPORT.dump())
    *steps, last = [step.replace("~", "/") for step in path.split("/")]
    here: Any = report
    for step in steps:
        here = here[int(step) if step.isdigit() else step]
    if value is None:
        del here[last]
    elif isinstance(here, list):
        here[int(last)] = value
    else:
        here[last] = value
    return json.dumps(report).encode()


def test_what_was_written_reads_back_but_for_the_last_day_of_a_waiver() -> None:
    read = parse_report(REPORT.dump(), "report.json")
    assert read.dump() == REPORT.dump()
    assert read.findings["models/m"] == (WARNING,)
    [found] = read.findings["targets/dev"]
    assert found.waiver is not None
    assert (found.waiver.owner, found.waiver.until) == ("Jo", "")
    assert b"2030" not in REPORT.dump()


def test_what_was_waived_in_two_places_is_told_once() -> None:
    assert REPORT.waived() == (WAIVED,)


def test_an_older_report_has_no_hosts_and_no_counts() -> None:
    assert parse_report(b'{"findings":{}}', "report.json") == Report((), {}, {}, {})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("findings", None),
        ("findings", []),
        ("findings/models~m", 7),
        ("findings/models~m/0", "text"),
        ("findings/models~m/0/rule", None),
        ("findings/models~m/0/rule", 7),
        ("findings/models~m/0/severity", "fatal"),
        ("findings/models~m/0/message", None),
        ("findings/models~m/0/hint", 7),
        ("findings/targets~dev/0/waiver", "Jo"),
        ("findings/targets~dev/0/waiver/owner", None),
        ("findings/targets~dev/0/waiver/reason", 7),
        ("allowHosts", "mirror.corp"),
        ("allowHosts", [7]),
        ("objects", []),
        ("objects/dev", "3"),
        ("objects/dev", True),
        ("objects/dev", -1),
        ("scanned/models~m", 1),
        ("scanned/models~m/safetensors", "1"),
    ],
)
def test_what_is_no_report_is_refused(path: str, value: object) -> None:
    with pytest.raises(IntegrityError, match=r"report\.json: expected a report of the gate"):
        parse_report(changed(path, value), "report.json")


def test_json_that_is_no_object_is_refused() -> None:
    with pytest.raises(IntegrityError, match=r"expected a report of the gate"):
        parse_report(b"[]", "report.json")
