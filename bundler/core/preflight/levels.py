"""Pod Security levels of namespaces, and which of a release's pods they keep out.

https://kubernetes.io/docs/concepts/security/pod-security-admission/
"""

from __future__ import annotations

from collections.abc import Mapping

from bundler.core.documents.policy import Policy
from bundler.core.objects.manifests import JsonObject
from bundler.core.rules import pod_security
from bundler.core.rules.context import RuleContext

ENFORCE = "pod-security.kubernetes.io/enforce"


def enforced(live: JsonObject | None, brought: JsonObject | None) -> str | None:
    """The level that a namespace enforces once the release is there; None without a label.

    What the bundle says of the namespace counts, then what it has.
    """
    for namespace in (brought, live):
        labels: Mapping[str, str] = {}
        if namespace is not None:
            labels = namespace["metadata"].get("labels") or {}
        if ENFORCE in labels:
            return str(labels[ENFORCE])
    return None


def violations(obj: JsonObject) -> tuple[str, ...]:
    """What the level ``restricted`` has against the pods of `obj`, in words."""
    # This rule asks neither the policy nor what travels.
    context = RuleContext(Policy(), frozenset(), "")
    return tuple(finding.message for finding in pod_security.check(obj, context))
