"""The Policy as values."""

from __future__ import annotations

from bundler.core.documents.policy import Skip, Waiver, parse_policy
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
    assert policy.checks == "checks/team"
    assert policy.skip == (
        Skip("CKV_K8S_15", "images are named by digest"),
        Skip("CKV2_K8S_6", "the site has policies of its own"),
    )
    assert policy.partitions == {"aws-govcloud": "aws-us-gov", "cn-*": "aws-cn"}


def test_a_day_needs_no_quotes() -> None:
    policy = parse_policy(POLICY.replace('"2027-01-31"', "2027-01-31"), "policy.yaml")
    assert policy.waivers[0].until == "2027-01-31"
