"""JUnit reports: what a schema and two readers accept, and which case fails."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest

from bundler.core.errors import PolicyError
from bundler.core.reports.junit import junit
from tests.core.reported import FINDINGS, HOST, HOSTILE, OTHER_HOST, WAIVED, WARNING
from tests.parts import citools

REPORTS = {"everything": junit(FINDINGS), "nothing found": junit({"targets/dev": ()})}


def case_of(*found: object) -> Element:
    root = ElementTree.fromstring(junit({"targets/dev": found}))  # type: ignore[dict-item]
    (case,) = root.iter("testcase")
    return case


def counts(element: Element, *names: str) -> tuple[str | None, ...]:
    return tuple(element.get(name) for name in names)


# --- what others say of it ----------------------------------------------------------------------


@pytest.mark.needs("citools")
@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_it_is_what_jenkins_schema_says(report: str, tmp_path: Path) -> None:
    folder = citools.fetch()
    path = tmp_path / "report.xml"
    argv: list[str | Path] = [
        folder / "bin" / "xmlschema-validate",
        "--schema",
        folder / "junit-10.xsd",
        path,
    ]
    path.write_text(report)
    assert subprocess.run(argv, capture_output=True, check=False).returncode == 0
    path.write_text(report.replace("tests=", "test="))
    assert subprocess.run(argv, capture_output=True, check=False).returncode != 0


READER = """\
import sys
from junitparser import JUnitXml
for suite in JUnitXml.fromfile(sys.argv[1]):
    for case in suite:
        verdicts = [type(each).__name__ for each in case.result] or ["passed"]
        print(suite.name, *verdicts)
"""


@pytest.mark.needs("citools")
def test_another_reader_sees_the_same_verdicts(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORTS["everything"])
    argv: list[str | Path] = [citools.fetch() / "bin" / "python", "-c", READER, "report.xml"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["parameters", "passed"],
        ["targets/dev", "Failure"],
        ["targets/dev", "Skipped"],
        ["targets/airgapped", "Failure"],
        ["checkov/dev", "Failure"],
        ["models/mini", "passed"],
        ["models/mini", "Failure"],
    ]


# --- what is in it ------------------------------------------------------------------------------


def test_suites_are_places_and_count_their_cases() -> None:
    root = ElementTree.fromstring(REPORTS["everything"])
    assert counts(root, "name", "tests", "failures", "errors") == ("airbundle", "7", "4", "0")
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == list(FINDINGS)
    assert counts(suites["targets/dev"], "tests", "failures", "skipped") == ("2", "1", "1")


def test_a_place_without_findings_has_one_case_that_passed() -> None:
    root = ElementTree.fromstring(REPORTS["nothing found"])
    (case,) = root.iter("testcase")
    assert (case.get("classname"), case.get("name"), list(case)) == ("targets/dev", "gate", [])


def test_nothing_judged_is_no_good_report() -> None:
    with pytest.raises(PolicyError, match="nothing was judged"):
        junit({})


def test_a_case_fails_with_all_that_its_rule_found_in_its_object() -> None:
    case = case_of(HOST, OTHER_HOST)
    assert case.get("name") == "external-host: Deployment serving/web"
    (failure,) = case
    assert failure.tag == "failure"
    assert failure.get("message") == f"{HOST.message} (and 1 more)"
    assert failure.text is not None
    assert HOST.message in failure.text
    assert OTHER_HOST.message in failure.text
    assert f"hint: {HOST.hint}" in failure.text


def test_a_waived_finding_is_skipped_with_reason_and_owner() -> None:
    (skipped,) = case_of(WAIVED)
    assert skipped.tag == "skipped"
    assert skipped.get("message") == 'it "is" needed (Jo of the <platform> team)'
    assert "2027" not in REPORTS["everything"]


def test_a_warning_passes_and_is_told() -> None:
    (told,) = case_of(WARNING)
    assert (told.tag, told.text) == ("system-out", "NOASSERTION\n  hint: read the card")


def test_one_that_blocks_among_waived_ones_fails_and_tells_them() -> None:
    failure, told = case_of(replace(WAIVED, waiver=None, message="other"), WAIVED)
    assert (failure.tag, failure.text) == ("failure", "other")
    assert told.tag == "system-out"
    assert "[waived: " in (told.text or "")


def test_what_xml_can_not_hold_is_spelled_out() -> None:
    case = case_of(HOSTILE)
    assert case.get("name") == "pickle: weights/\\x1b[31m\\x00\\ufffe<b>&\"'.pt"
    assert (case[0].text or "").startswith("]]> [a link](https://evil.example)")
    assert "\U0001f4a5" in (case[0].text or "")
