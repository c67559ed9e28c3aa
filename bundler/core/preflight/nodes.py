"""Nodes as the API shows them: what each offers, what is left of it, and what ails it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from bundler.core.objects.manifests import JsonObject
from bundler.core.preflight.quantity import quantity
from bundler.core.preflight.workloads import Amounts, pod_requests
from bundler.core.rules.walk import entries, lookup

_VERSION = re.compile(r"v?(\d+)\.(\d+)")
_PRESSURES = ("DiskPressure", "MemoryPressure", "PIDPressure", "NetworkUnavailable")
_UNSCHEDULABLE = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


@dataclass(frozen=True)
class Node:
    """One node: labels, taints, what pods may have of it, and what of that is `free`.

    `trouble` is why nothing is put there now: not ready, cordoned, out of disk. `stored` are the
    bytes of each image that it has, by digest.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Mapping[str, Any], ...] = ()
    platform: str = "linux/amd64"
    kubelet: str = ""
    runtime: str = ""
    allocatable: Amounts = field(default_factory=dict)
    free: Amounts = field(default_factory=dict)
    trouble: tuple[str, ...] = ()
    stored: Mapping[str, int] = field(default_factory=dict)


def nodes_of(
    objects: Iterable[JsonObject],
    pods: Sequence[JsonObject],
    makes_way: Callable[[JsonObject], bool],
) -> tuple[Node, ...]:
    """The nodes in `objects`; of what is free, `pods` that are there and stay have their part."""
    used: dict[str, dict[str, Fraction]] = {}
    for pod in pods:
        spec, phase = pod.get("spec") or {}, lookup(pod, "status", "phase")
        if phase in ("Succeeded", "Failed") or makes_way(pod):
            continue
        sums = used.setdefault(str(spec.get("nodeName")), {})
        for name, amount in pod_requests(spec).items():
            sums[name] = sums.get(name, Fraction(0)) + amount
    return tuple(_node(obj, used.get(obj["metadata"]["name"], {})) for obj in objects)


def _node(obj: JsonObject, used: Amounts) -> Node:
    status = obj.get("status") or {}
    spec = obj.get("spec") or {}
    info = status.get("nodeInfo") or {}
    allocatable = {name: quantity(text) for name, text in (status.get("allocatable") or {}).items()}
    free = {
        name: max(Fraction(0), amount - used.get(name, Fraction(0)))
        for name, amount in allocatable.items()
    }
    return Node(
        name=obj["metadata"]["name"],
        labels=obj["metadata"].get("labels") or {},
        # Cordoned is said in `trouble`, once.
        taints=tuple(
            taint
            for _, taint in entries(spec, "taints")
            if taint.get("key") != _UNSCHEDULABLE["key"]
        ),
        platform=f"{info.get('operatingSystem', 'linux')}/{info.get('architecture', '')}",
        kubelet=str(info.get("kubeletVersion", "")),
        runtime=str(info.get("containerRuntimeVersion", "")),
        allocatable=allocatable,
        free=free,
        trouble=_trouble(spec, status),
        stored=_stored(status),
    )


def _trouble(spec: Mapping[str, Any], status: Mapping[str, Any]) -> tuple[str, ...]:
    conditions = {
        str(each.get("type")): str(each.get("status")) for _, each in entries(status, "conditions")
    }
    found = [] if conditions.get("Ready") == "True" else ["not ready"]
    found += [name for name in _PRESSURES if conditions.get(name) == "True"]
    return (*found, *(["cordoned"] if spec.get("unschedulable") is True else []))


def _stored(status: Mapping[str, Any]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for _, image in entries(status, "images"):
        names = image.get("names")
        size = image.get("sizeBytes")
        for name in names if isinstance(names, list) else []:
            if "@sha256:" in str(name) and isinstance(size, int):
                sizes[str(name).rpartition("sha256:")[2]] = size
    return sizes


def version_of(text: str) -> tuple[int, int]:
    """The first two numbers of ``v1.36.3`` or ``containerd://2.1.4``; (0, 0) when it has none."""
    found = _VERSION.search(text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def mounts_images(node: Node) -> tuple[bool, str | None]:
    """Whether `node` can mount image volumes, and why not; or on what that hangs.

    Kubelet 1.31 to 1.34 have it behind the feature gate ImageVolume, off unless set; from 1.35 it
    is on (pkg/features/kube_features.go). containerd has it from 2.1, CRI-O from 1.31:
    https://kubernetes.io/docs/tasks/configure-pod-container/image-volumes/
    """
    kubelet, (name, _, _) = version_of(node.kubelet), node.runtime.partition("://")
    if kubelet < (1, 31):
        return False, f"kubelet {node.kubelet or 'of an unknown version'}, expected 1.35 or later"
    oldest = {"containerd": (2, 1), "cri-o": (1, 31)}.get(name)
    if oldest is None:
        return False, f"runtime {node.runtime or 'unknown'}, expected containerd or CRI-O"
    if version_of(node.runtime) < oldest:
        return False, f"{node.runtime}, expected {oldest[0]}.{oldest[1]} or later"
    if kubelet < (1, 35):
        return (
            True,
            f"kubelet {node.kubelet} mounts images only with --feature-gates=ImageVolume=true",
        )
    return True, None
