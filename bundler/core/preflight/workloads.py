"""What will run: the pods that the objects of a release become, and what those ask for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from bundler.core.objects import jsonpointer
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.preflight.quantity import quantity
from bundler.core.rules.walk import Pod, entries, lookup, pods

Amounts = Mapping[str, Fraction]

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Workload:
    """One pod template: whose it is, where its pods go, and how many there will be.

    `everywhere` is a DaemonSet: one pod on each node that it fits. `selector` are labels that all
    of its pods have.
    """

    id: ObjectId
    namespace: str
    pod: Pod
    replicas: int = 1
    everywhere: bool = False
    selector: Mapping[str, str] | None = None

    @property
    def requests(self) -> Amounts:
        """What the scheduler counts for one pod, itself included (``pods: 1``)."""
        return pod_requests(self.pod.spec)

    @property
    def images(self) -> frozenset[str]:
        """The digests (64 hex digits) of its containers' images."""
        texts = [container.get("image") for container in containers(self.pod.spec)]
        return _digests(str(text).rpartition("@")[2] for text in texts)

    @property
    def volumes(self) -> frozenset[str]:
        """The digests of its image volumes."""
        return _digests(
            str(lookup(volume, "image", "reference"))
            for _, volume in entries(self.pod.spec, "volumes")
        )

    @property
    def has_image_volumes(self) -> bool:
        """Whether a kubelet must mount an image."""
        return any(
            isinstance(volume.get("image"), dict) for _, volume in entries(self.pod.spec, "volumes")
        )

    @property
    def named(self) -> frozenset[str]:
        """Every digest in any text of the pod: a model may be a volume, an argument, a folder."""
        return _digests(text for _, text in jsonpointer.strings(self.pod.spec))

    def owns(self, pod: JsonObject) -> bool:
        """Whether `pod`, which is there, is one of this workload, and so makes way for it."""
        metadata = pod["metadata"]
        if metadata.get("namespace") != self.namespace:
            return False
        if self.selector is None:
            return bool(metadata.get("name") == self.id.name)
        labels = metadata.get("labels") or {}
        return all(labels.get(key) == value for key, value in self.selector.items())


def workloads(objects: Iterable[JsonObject]) -> tuple[Workload, ...]:
    """Every pod template in `objects`, of whatever kind, in their order.

    Of a kind that nobody knows here, one pod is counted for each template.
    """
    return tuple(each for obj in objects for each in _of(obj))


def _of(obj: JsonObject) -> Iterator[Workload]:
    object_id, spec = ObjectId.of(obj), obj.get("spec") or {}
    replicas, everywhere = _count(obj["kind"], spec)
    for pod in pods(obj):
        yield Workload(
            object_id,
            object_id.namespace or "default",
            pod,
            replicas,
            everywhere,
            _selector(obj, spec),
        )


def _count(kind: str, spec: Mapping[str, Any]) -> tuple[int, bool]:
    """How many pods run at a time, or that there is one on each node."""
    if kind == "DaemonSet":
        return 0, True
    if kind in ("Deployment", "StatefulSet", "ReplicaSet", "ReplicationController"):
        return _number(spec.get("replicas")), False
    if kind == "CronJob":
        spec = lookup(spec, "jobTemplate", "spec") or {}
    if kind in ("Job", "CronJob"):
        completions = spec.get("completions")
        at_once = _number(spec.get("parallelism"))
        return (at_once if completions is None else min(at_once, _number(completions))), False
    return 1, False


def _number(value: object) -> int:
    return value if isinstance(value, int) and value >= 0 else 1


def _selector(obj: JsonObject, spec: Mapping[str, Any]) -> Mapping[str, str] | None:
    if obj["kind"] == "Pod":
        return None
    if obj["kind"] == "Job":
        return {"batch.kubernetes.io/job-name": obj["metadata"]["name"]}
    selector = spec.get("selector")
    labels = lookup(selector, "matchLabels") if isinstance(selector, dict) else None
    return labels if isinstance(labels, dict) and labels else None


def containers(spec: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """The containers of a pod, those that run first included."""
    return tuple(
        each for name in ("initContainers", "containers") for _, each in entries(spec, name)
    )


def pod_requests(spec: Mapping[str, Any]) -> dict[str, Fraction]:
    """What a pod of `spec` takes from a node, as the scheduler counts it: itself, too."""
    total = pod_amounts(spec, container_requests)
    total |= container_requests(spec)  # what the pod asks for as a whole counts instead
    _add(total, _amounts(spec.get("overhead")))
    return total | {"pods": Fraction(1)}


def pod_amounts(
    spec: Mapping[str, Any], of: Callable[[Mapping[str, Any]], Amounts]
) -> dict[str, Fraction]:
    """What `of` says of a pod's containers, taken together.

    The sum of containers and sidecars, or the largest of what runs before them, with the sidecars
    that are there by then:
    https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers
    """
    total: dict[str, Fraction] = {}
    before: dict[str, Fraction] = {}
    for _, container in entries(spec, "initContainers"):
        asked = of(container)
        if container.get("restartPolicy") == "Always":
            _add(total, asked)
            asked = {}
        for name in {*total, *asked}:
            now = total.get(name, Fraction(0)) + asked.get(name, Fraction(0))
            before[name] = max(before.get(name, Fraction(0)), now)
    for _, container in entries(spec, "containers"):
        _add(total, of(container))
    for name, amount in before.items():
        total[name] = max(total.get(name, Fraction(0)), amount)
    return total


def container_requests(container: Mapping[str, Any]) -> dict[str, Fraction]:
    """What one container requests; a limit stands for a request that is not there."""
    resources = container.get("resources")
    limits, requests = (_amounts(lookup(resources, name)) for name in ("limits", "requests"))
    return limits | requests


def _amounts(value: object) -> dict[str, Fraction]:
    return {name: quantity(text) for name, text in value.items()} if isinstance(value, dict) else {}


def _add(total: dict[str, Fraction], more: Amounts) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, Fraction(0)) + amount


def devices(amounts: Amounts) -> dict[str, Fraction]:
    """Those of `amounts` that a device plugin offers: ``nvidia.com/gpu``, by their domain."""
    return {
        name: amount
        for name, amount in amounts.items()
        if "/" in name and "kubernetes.io/" not in name and amount > 0
    }


def with_runtime_classes(
    found: Sequence[Workload], classes: Mapping[str, JsonObject]
) -> tuple[Workload, ...]:
    """`found`, each with what its RuntimeClass adds: selector, tolerations, overhead."""
    return tuple(_with_class(each, classes.get(runtime_class(each) or "")) for each in found)


def runtime_class(workload: Workload) -> str | None:
    """The RuntimeClass that its pods name, or None."""
    name = workload.pod.spec.get("runtimeClassName")
    return name if isinstance(name, str) and name else None


def _with_class(workload: Workload, found: JsonObject | None) -> Workload:
    if found is None:
        return workload
    spec = dict(workload.pod.spec)
    scheduling = found.get("scheduling") or {}
    spec["nodeSelector"] = (scheduling.get("nodeSelector") or {}) | (spec.get("nodeSelector") or {})
    spec["tolerations"] = [
        *(each for _, each in entries(spec, "tolerations")),
        *(each for _, each in entries(scheduling, "tolerations")),
    ]
    spec["overhead"] = lookup(found, "overhead", "podFixed") or spec.get("overhead")
    return replace(workload, pod=replace(workload.pod, spec=spec))


def _digests(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(found for text in texts for found in _DIGEST.findall(text))
