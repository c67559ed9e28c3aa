"""Every rule and scanner of ours has words of its own."""

from __future__ import annotations

import pytest

from bundler.core import rules
from bundler.core.reports.rulebook import RULEBOOK, about
from bundler.scan.models import NOTHING_SCANNED, SCANNERS
from bundler.sources.resolved import LICENSE_RULE

IDS = [
    *(rule.__globals__["ID"] for rule in rules.RULES),
    *(scanner.id for scanner in SCANNERS),
    NOTHING_SCANNED,
    LICENSE_RULE,
    "parameters",
    "parameter-target",
    "waiver",
]


@pytest.mark.parametrize("rule", IDS)
def test_a_rule_of_ours_is_described(rule: str) -> None:
    assert rule in RULEBOOK
    assert about(rule).title.endswith(".")
    assert about(rule).title != f"The check {rule} failed."


def test_another_tools_check_is_described_by_its_id() -> None:
    assert about("CKV_K8S_20").title == "The check CKV_K8S_20 failed."
