"""The core rules: what every bundle's objects must not be, decided from the objects alone.

Pure, small and complete in this folder: a rule reads plain data and yields findings. The rule
about parameters is `bundler.core.objects.parameters.check`, since it needs their declarations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from bundler.core.errors import PolicyError
from bundler.core.findings import Finding
from bundler.core.objects.manifests import JsonObject
from bundler.core.rules import closure, external_hosts, partition, pod_security, rights
from bundler.core.rules.context import RuleContext

Rule = Callable[[JsonObject, RuleContext], Iterable[Finding]]

RULES: tuple[Rule, ...] = (
    closure.check,
    external_hosts.check,
    partition.check,
    pod_security.check,
    rights.check,
)

# Stands in the lock: whoever changes what is found raises it.
RULES_VERSION = "4"

__all__ = ["RULES", "RULES_VERSION", "Rule", "RuleContext", "check"]


def check(objects: Sequence[JsonObject], context: RuleContext) -> tuple[Finding, ...]:
    """What all rules find in `objects`, sorted, so that the order of objects and keys is no matter.

    Waivers aren't applied here: that is `findings.apply_waivers`. PolicyError when there is
    nothing to check, since a gate that looked at nothing has let everything pass.
    """
    if not objects:
        raise PolicyError(
            "core rules: expected at least one object, found none",
            hint="see what kustomize renders for this target",
        )
    found = {finding for rule in RULES for obj in objects for finding in rule(obj, context)}
    return tuple(sorted(found, key=lambda each: (each.rule, each.subject, each.message)))
