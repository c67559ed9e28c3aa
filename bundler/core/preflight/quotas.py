"""ResourceQuotas and LimitRanges against what a release adds to a namespace.

https://kubernetes.io/docs/concepts/policy/resource-quotas/ and limit-range/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from bundler.core.objects.manifests import JsonObject
from bundler.core.preflight.quantity import quantity, spelled
from bundler.core.preflight.storage import Claim
from bundler.core.preflight.workloads import Workload, containers, pod_amounts
from bundler.core.rules.walk import entries, lookup

_ALIASES = {
    "cpu": "requests.cpu",
    "memory": "requests.memory",
    "ephemeral-storage": "requests.ephemeral-storage",
    **{name: f"count/{name}" for name in ("configmaps", "secrets", "services")},
}
_COMPUTE = ("requests.cpu", "requests.memory", "limits.cpu", "limits.memory")


def demand(
    found: Sequence[Workload],
    claims: Sequence[Claim],
    limits: Sequence[JsonObject],
    new: Mapping[str, int],
) -> dict[str, Fraction]:
    """What `found` and the new `claims` count for in their namespace, by a quota's names.

    `limits` are its LimitRanges, which fill in what containers leave out; `new` counts the
    objects that are made, by ``plural.group``.
    """
    total: dict[str, Fraction] = {}
    for workload in found:
        _add(total, {"pods": Fraction(1)}, workload.replicas)
        _add(total, _of_pod(workload, limits), workload.replicas)
    for claim in claims:
        _add(
            total,
            {"requests.storage": claim.size, "persistentvolumeclaims": Fraction(1)},
            claim.count,
        )
        if claim.storage_class:
            own = f"{claim.storage_class}.storageclass.storage.k8s.io"
            named = {f"{own}/requests.storage": claim.size}
            _add(total, named | {f"{own}/persistentvolumeclaims": Fraction(1)}, claim.count)
    for name, count in new.items():
        total[f"count/{name}"] = Fraction(count)
    return total


def _of_pod(workload: Workload, limits: Sequence[JsonObject]) -> dict[str, Fraction]:
    return pod_amounts(workload.pod.spec, lambda container: _asked(container, limits))


def _asked(container: Mapping[str, Any], limits: Sequence[JsonObject]) -> dict[str, Fraction]:
    """``requests.cpu`` and so on of one container, with what LimitRanges fill in."""
    filled, own = _defaults(limits), _own(container)
    most = filled["limits"] | own["limits"]
    least = filled["requests"] | own["limits"] | own["requests"]
    return {f"limits.{name}": amount for name, amount in most.items()} | {
        f"requests.{name}": amount for name, amount in least.items()
    }


def _own(container: Mapping[str, Any]) -> dict[str, dict[str, Fraction]]:
    return {
        kind: {
            name: quantity(value)
            for name, value in (lookup(container, "resources", kind) or {}).items()
        }
        for kind in ("requests", "limits")
    }


def _defaults(limits: Sequence[JsonObject]) -> dict[str, dict[str, Fraction]]:
    filled: dict[str, dict[str, Fraction]] = {"requests": {}, "limits": {}}
    for limit in limits:
        for _, item in entries(limit.get("spec"), "limits"):
            if item.get("type") == "Container":
                for kind, key in (("limits", "default"), ("requests", "defaultRequest")):
                    for name, value in (item.get(key) or {}).items():
                        filled[kind][name] = quantity(value)
    return filled


def over_quota(
    quota: JsonObject, wanted: Mapping[str, Fraction], returned: Mapping[str, Fraction]
) -> Iterator[str]:
    """What `wanted` would exceed of `quota`, in words; `returned` is given back meanwhile."""
    spec = quota.get("spec") or {}
    hard = lookup(quota, "status", "hard") or spec.get("hard") or {}
    used = lookup(quota, "status", "used") or {}
    for name, value in hard.items():
        counted = _ALIASES.get(name, name)
        asked = wanted.get(counted, Fraction(0))
        free = quantity(value) - quantity(used.get(name, 0)) + returned.get(counted, Fraction(0))
        if asked > max(free, Fraction(0)):
            plain = counted.rpartition(".")[2] if counted in _COMPUTE else counted
            yield (
                f"{name}: {spelled(plain, free)} of {spelled(plain, quantity(value))} are left, "
                f"{spelled(plain, asked)} are asked for"
            )


def unsaid(quota: JsonObject, workload: Workload, limits: Sequence[JsonObject]) -> Iterator[str]:
    """Containers of `workload` that don't say what `quota` counts, so that no pod is let in."""
    hard = lookup(quota, "spec", "hard") or {}
    counted = sorted({_ALIASES.get(name, name) for name in hard} & {*_COMPUTE})
    for container in containers(workload.pod.spec):
        asked = _asked(container, limits)
        for name in counted:
            if name not in asked:
                yield f"container {container.get('name')} has no resources.{name}"


def out_of_range(limit: JsonObject, workload: Workload) -> Iterator[str]:
    """What of `workload` is outside of the LimitRange `limit`, in words."""
    for _, item in entries(limit.get("spec"), "limits"):
        if item.get("type") == "Container":
            for container in containers(workload.pod.spec):
                asked = _asked(container, (limit,))
                yield from _outside(f"container {container.get('name')}", item, asked)
        elif item.get("type") == "Pod":
            yield from _outside("the pod", item, _of_pod(workload, (limit,)))


def _outside(what: str, item: Mapping[str, Any], asked: Mapping[str, Fraction]) -> Iterator[str]:
    for name, value in (item.get("max") or {}).items():
        most = quantity(value)
        found = asked.get(f"limits.{name}", asked.get(f"requests.{name}"))
        if found is None or found > most:
            said = "no limit" if found is None else spelled(name, found)
            yield f"{what} has {said} of {name}, at most {spelled(name, most)} is allowed"
    for name, value in (item.get("min") or {}).items():
        least = quantity(value)
        found = asked.get(f"requests.{name}")
        if found is None or found < least:
            said = "no request" if found is None else spelled(name, found)
            yield f"{what} has {said} of {name}, at least {spelled(name, least)} is demanded"


def _add(total: dict[str, Fraction], more: Mapping[str, Fraction], times: int) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, Fraction(0)) + amount * times
