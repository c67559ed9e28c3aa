"""Findings as reports have them, and the waivers of a policy."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bundler.core.documents.policy import Policy, Waiver
from bundler.core.findings import Finding, apply_waivers

FINDING = Finding("rights", "error", "Role serving/web", "/rules/0/verbs/0: '*'", hint="name them")
WAIVER = Waiver("rights", "Role serving/*", "Jo", "until the operator can do less", "2027-01-31")


def waived(finding: Finding, *waivers: Waiver) -> Waiver | None:
    [result] = apply_waivers([finding], Policy(waivers=waivers))
    return result.waiver


def test_a_waiver_fits_by_rule_and_object() -> None:
    assert waived(FINDING, WAIVER) == WAIVER


@pytest.mark.parametrize(
    "other",
    [
        {"rule": "pod-security"},
        {"object": "Role serving/other"},
        {"object": "role serving/web"},
        {"object": "Role"},
    ],
    ids=str,
)
def test_another_waiver_does_not_fit(other: dict[str, str]) -> None:
    assert waived(FINDING, replace(WAIVER, **other)) is None


def test_the_first_waiver_that_fits_is_taken() -> None:
    second = replace(WAIVER, owner="Kim", object="*")
    assert waived(FINDING, replace(WAIVER, rule="closure"), second, WAIVER) == second


def test_closure_is_never_waived() -> None:
    finding = replace(FINDING, rule="closure")
    # A policy that was not read from a document: parse_policy refuses such a waiver.
    everything = Waiver("closure", "*", "Jo", "it must be", "2027-01-31")
    assert waived(finding, everything) is None


def test_findings_keep_their_order() -> None:
    findings = [FINDING, replace(FINDING, rule="closure"), replace(FINDING, message="x")]
    results = apply_waivers(findings, Policy(waivers=(WAIVER,)))
    assert [replace(result, waiver=None) for result in results] == findings


def test_only_an_error_that_is_not_waived_blocks() -> None:
    assert FINDING.blocks
    assert not replace(FINDING, waiver=WAIVER).blocks
    assert not replace(FINDING, severity="warning").blocks


def test_a_report_has_everything_but_the_last_day() -> None:
    report = replace(FINDING, waiver=WAIVER).to_json()
    assert report == {
        "rule": "rights",
        "severity": "error",
        "subject": "Role serving/web",
        "message": "/rules/0/verbs/0: '*'",
        "hint": "name them",
        "waiver": {"owner": "Jo", "reason": "until the operator can do less"},
    }
    assert "2027" not in json.dumps(report)


def test_what_is_not_there_is_not_in_a_report() -> None:
    assert set(replace(FINDING, hint=None).to_json()) == {"rule", "severity", "subject", "message"}


def test_what_would_end_a_line_is_spelled_out() -> None:
    found = Finding("rights", "error", "Role a\nb", "one\r\ntwo")
    assert (found.subject, found.message) == ("Role a\\nb", "one\\r\\ntwo")
