"""The rules together: all of them run, in one order, and on nothing they refuse to run."""

from __future__ import annotations

import pytest

from bundler.core.errors import PolicyError
from bundler.core.rules import RULES, check
from tests.core.rules.objects import args, context, deployment, pod_spec

BAD = (
    args("https://b.example.com", "https://a.example.com", "airbundle.invalid/models/x"),
    args("arn:aws:s3:::models"),
    deployment(pod_spec(hostNetwork=True, hostPID=True)),
    args(*(f"https://{letter}.example.com" for letter in "zyxwvutsrqponm")),
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "it"},
        "roleRef": {"name": "cluster-admin"},
    },
)


def test_every_rule_runs() -> None:
    assert {finding.rule for finding in check(BAD, context())} == {
        "closure",
        "external-host",
        "partition",
        "pod-security",
        "rights",
    }
    assert len(RULES) == 5


def test_the_order_of_objects_and_keys_is_no_matter() -> None:
    turned = tuple({key: obj[key] for key in reversed(obj)} for obj in reversed(BAD))
    findings = check(BAD, context())
    assert check(turned, context()) == findings
    shown = [(finding.rule, finding.subject, finding.message) for finding in findings]
    assert shown == sorted(shown)


def test_nothing_to_check_is_refused() -> None:
    with pytest.raises(PolicyError, match="expected at least one object, found none"):
        check((), context())
