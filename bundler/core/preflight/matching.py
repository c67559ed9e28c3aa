"""Whether a pod may go to a node at all: selector, affinity, taints.

https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/ and taint-and-toleration/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bundler.core.preflight.nodes import Node
from bundler.core.preflight.workloads import Workload
from bundler.core.rules.walk import entries, lookup

_HOSTNAME = "kubernetes.io/hostname"
_KEEPING_OUT = ("NoSchedule", "NoExecute")
# DaemonSets' pods stay on nodes in trouble.
_BORNE_EVERYWHERE = "node.kubernetes.io/"


def unwanted(workload: Workload, node: Node) -> str | None:
    """Why pods of `workload` may not go to `node`, in words; None when they may."""
    spec = workload.pod.spec
    for key, value in (spec.get("nodeSelector") or {}).items():
        if node.labels.get(key) != str(value):
            return f"has no label {key}={value}"
    required = lookup(
        spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"
    )
    if required is not None and not any(
        _term(term, node) for _, term in entries(required, "nodeSelectorTerms")
    ):
        return "does not satisfy the node affinity"
    for taint in node.taints:
        if taint.get("effect") in _KEEPING_OUT and not _tolerated(workload, taint):
            return f"has the taint {_spelled(taint)}, which is not tolerated"
    return None


def is_alone(workload: Workload) -> bool:
    """Whether its pods refuse to share a node with each other (required anti-affinity)."""
    terms = entries(
        lookup(workload.pod.spec, "affinity", "podAntiAffinity"),
        "requiredDuringSchedulingIgnoredDuringExecution",
    )
    return any(
        term.get("topologyKey") == _HOSTNAME and _selects(term.get("labelSelector"), workload)
        for _, term in terms
    )


def _selects(selector: object, workload: Workload) -> bool:
    labels = {str(key): str(value) for key, value in workload.pod.labels.items()}
    wanted = lookup(selector, "matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(each, labels) for _, each in entries(selector, "matchExpressions")
    )


def _term(term: Mapping[str, Any], node: Node) -> bool:
    """One term of a node affinity: all of its parts; an empty one is nobody's."""
    wishes = list(_wishes(term, node))
    return bool(wishes) and all(wishes)


def _wishes(term: Mapping[str, Any], node: Node) -> Iterator[bool]:
    for _, each in entries(term, "matchExpressions"):
        yield _holds(each, node.labels)
    for _, each in entries(term, "matchFields"):
        yield _holds(each, {"metadata.name": node.name})


def _holds(wish: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    found = labels.get(str(wish.get("key")))
    values = [str(value) for value in wish.get("values") or []]
    judge = _OPERATORS.get(str(wish.get("operator")))
    return judge is not None and judge(found, values)


def _compared(found: str | None, values: list[str]) -> int | None:
    """How far `found` is above the one value, both integers; None when they aren't."""
    try:
        return int(str(found)) - int(values[0])
    except (ValueError, IndexError):
        return None


_OPERATORS: Mapping[str, Callable[[str | None, list[str]], bool]] = {
    "In": lambda found, values: found in values,
    "NotIn": lambda found, values: found not in values,
    "Exists": lambda found, _: found is not None,
    "DoesNotExist": lambda found, _: found is None,
    "Gt": lambda found, values: (_compared(found, values) or 0) > 0,
    "Lt": lambda found, values: (_compared(found, values) or 0) < 0,
}


def _tolerated(workload: Workload, taint: Mapping[str, Any]) -> bool:
    if workload.everywhere and str(taint.get("key")).startswith(_BORNE_EVERYWHERE):
        return True
    return any(_tolerates(each, taint) for _, each in entries(workload.pod.spec, "tolerations"))


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    key, exists = toleration.get("key"), toleration.get("operator") == "Exists"
    if not key:
        return exists
    if key != taint.get("key"):
        return False
    return exists or (toleration.get("value") or "") == (taint.get("value") or "")


def _spelled(taint: Mapping[str, Any]) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint.get('key')}{value}:{taint.get('effect')}"
