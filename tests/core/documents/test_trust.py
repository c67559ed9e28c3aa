"""The TrustPolicy as values, and which rule decides."""

from __future__ import annotations

import pytest

from bundler.core.documents.trust import parse_trust_policy
from tests.core.documents.examples import TRUST


def test_every_field_arrives() -> None:
    policy = parse_trust_policy(TRUST, "trust.yaml")
    rule = policy.rules[0]
    assert (rule.names, rule.threshold, rule.min_version) == (("movie-*", "exact"), 2, "1.3.0")
    assert [key.id for key in rule.keys] == ["release-2026", "security"]
    assert rule.keys[0].pem.startswith("-----BEGIN PUBLIC KEY-----\nRAAA\n")
    assert policy.rules[1].min_version is None
    assert policy.revoked == {f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"}


@pytest.mark.parametrize(
    ("name", "chosen"),
    [("movie-search", 0), ("exact", 0), ("exactly", 1), ("a-movie-b", 1), ("Movie-x", 1)],
)
def test_the_first_rule_that_matches_decides(name: str, chosen: int) -> None:
    policy = parse_trust_policy(TRUST, "trust.yaml")
    assert policy.rule_for(name) is policy.rules[chosen]


def test_no_match_is_no_rule() -> None:
    policy = parse_trust_policy(TRUST.replace('["*"]', "[other]"), "trust.yaml")
    assert policy.rule_for("a-movie-b") is None
