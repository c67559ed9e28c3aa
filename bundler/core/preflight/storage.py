"""The volumes that a release claims, and whether their storage class has room for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.preflight.quantity import quantity
from bundler.core.preflight.workloads import Workload
from bundler.core.rules.walk import entries, lookup

DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_OLD_CLASS = "volume.beta.kubernetes.io/storage-class"


@dataclass(frozen=True)
class Claim:
    """A volume that is claimed, `count` times; `storage_class` None is the cluster's default.

    `volume` is the PersistentVolume that it names, if it does.
    """

    id: ObjectId
    size: Fraction
    storage_class: str | None
    count: int = 1
    volume: str | None = None
    modes: frozenset[str] = frozenset()


def claims_of(objects: Sequence[JsonObject], found: Sequence[Workload]) -> tuple[Claim, ...]:
    """The claims in `objects`, and those that StatefulSets and ephemeral volumes will make."""
    made = [_claim(obj) for obj in objects if obj["kind"] == "PersistentVolumeClaim"]
    for obj in objects:
        if obj["kind"] == "StatefulSet":
            made += _templates(obj)
    return (*made, *(each for workload in found for each in _ephemeral(workload)))


def claimed(found: Iterable[Workload]) -> Iterator[tuple[Workload, ObjectId]]:
    """Every claim that pods name."""
    for workload in found:
        for _, volume in entries(workload.pod.spec, "volumes"):
            name = lookup(volume, "persistentVolumeClaim", "claimName")
            if isinstance(name, str):
                yield workload, ObjectId("v1", "PersistentVolumeClaim", workload.namespace, name)


def _claim(obj: JsonObject) -> Claim:
    spec = obj.get("spec") or {}
    annotated = (obj["metadata"].get("annotations") or {}).get(_OLD_CLASS)
    return _from(ObjectId.of(obj), spec, 1, annotated)


def _from(
    object_id: ObjectId, spec: Mapping[str, Any], count: int, annotated: str | None = None
) -> Claim:
    size = quantity(lookup(spec, "resources", "requests", "storage") or 0)
    storage_class = spec.get("storageClassName", annotated)
    modes = frozenset(map(str, spec.get("accessModes") or ()))
    return Claim(object_id, size, storage_class, count, spec.get("volumeName") or None, modes)


def _templates(obj: JsonObject) -> list[Claim]:
    spec = obj.get("spec") or {}
    count = spec.get("replicas", 1)
    place = ObjectId.of(obj)
    return [
        _from(
            ObjectId(
                "v1",
                "PersistentVolumeClaim",
                place.namespace,
                f"{lookup(template, 'metadata', 'name')}-{place.name}-0",
            ),
            template.get("spec") or {},
            count if isinstance(count, int) else 1,
        )
        for _, template in entries(spec, "volumeClaimTemplates")
    ]


def _ephemeral(workload: Workload) -> Iterator[Claim]:
    for _, volume in entries(workload.pod.spec, "volumes"):
        spec = lookup(volume, "ephemeral", "volumeClaimTemplate", "spec")
        if isinstance(spec, dict):
            name = f"{workload.id.name}-{volume.get('name')}"
            object_id = ObjectId("v1", "PersistentVolumeClaim", workload.namespace, name)
            yield _from(object_id, spec, workload.replicas)


def default_classes(classes: Iterable[JsonObject]) -> tuple[str, ...]:
    """The names of the classes that claims without one get; the newest of several counts."""
    found = [
        each
        for each in classes
        if (each["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true"
    ]
    newest = sorted(
        found, key=lambda each: str(each["metadata"].get("creationTimestamp", "")), reverse=True
    )
    return tuple(each["metadata"]["name"] for each in newest)


def fits_by_hand(claim: Claim, volume: JsonObject) -> bool:
    """Whether the PersistentVolume `volume`, made by hand, may become that of `claim`.

    It has no class, is nobody's yet and is large enough, and has the claim's access modes.
    """
    spec, modes = volume.get("spec") or {}, claim.modes
    free = lookup(volume, "status", "phase") in (None, "Available", "Pending")
    large = quantity(lookup(spec, "capacity", "storage") or 0) >= claim.size
    return (
        free
        and large
        and not spec.get("storageClassName")
        and not spec.get("claimRef")
        and modes <= frozenset(spec.get("accessModes") or ())
    )


def shortage(name: str, claims: Sequence[Claim], capacities: Sequence[JsonObject]) -> str | None:
    """What the storage class `name` has too little of for its new `claims`, in words.

    `capacities` are CSIStorageCapacity objects: of each topology how much there is, and how large
    one volume may be. None when there is enough, or when the class's driver says nothing.
    """
    own = [each for each in capacities if each.get("storageClassName") == name]
    if not own:
        return None
    free = [quantity(each.get("capacity") or 0) for each in own]
    largest = max(
        quantity(each.get("maximumVolumeSize") or each.get("capacity") or 0) for each in own
    )
    for claim in claims:
        if claim.size > largest:
            return f"{claim.id} asks for {_gib(claim.size)}, the largest volume has {_gib(largest)}"
    wanted = sum((claim.size * claim.count for claim in claims), Fraction(0))
    if wanted > sum(free):
        return f"{_gib(wanted)} are asked for in all, {_gib(Fraction(sum(free)))} are free"
    return None


def _gib(amount: Fraction) -> str:
    return f"{float(amount) / 1024**3:.3g} GiB"
