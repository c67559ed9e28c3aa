"""The Policy as values."""

from __future__ import annotations

from bundler.core.documents.policy import Waiver, parse_policy
from tests.core.documents.examples import POLICY


def test_every_field_arrives() -> None:
    policy = parse_policy(POLICY, "policy.yaml")
    assert policy.allow_hosts == ("telemetry.corp", "*.bank.example", "10.0.0.1:8443")
    assert policy.waivers == (
        Waiver(
            rule="external-host",
            object="ConfigMap serving/*",
            owner="Jo of the platform team",
            reason="a link in a help text, nothing opens it",
            until="2027-01-31",
        ),
    )


def test_a_day_needs_no_quotes() -> None:
    policy = parse_policy(POLICY.replace('"2027-01-31"', "2027-01-31"), "policy.yaml")
    assert policy.waivers[0].until == "2027-01-31"
