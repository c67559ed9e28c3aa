"""Weights that do not come as image volumes: rendered objects with what fetches them instead.

A pod that mounts ``airbundle.invalid/models/X`` as an image volume mounts, after this, a folder of
a claim or of an emptyDir, under the same paths and read-only. A claim gets a Job that fills it from
the registry; an emptyDir an init container that fills it from a bucket. Both check every digest,
give files their names last, and are in the objects that are judged and signed.

Names and folders carry a digest of the model's locked files, since a Job and a claim never change:
another model is another claim, and the earlier one stays until its release is gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from bundler.core.digest import Digest
from bundler.core.documents.weights import Claim, ObjectStore, Weights
from bundler.core.errors import PolicyError, UsageError
from bundler.core.lock import LockedFile, dump_files
from bundler.core.modelplace import ModelPlace
from bundler.core.objects import loaderpods
from bundler.core.objects.jsonpointer import Path
from bundler.core.objects.loaderpods import Access
from bundler.core.objects.manifests import (
    STAGE_LABEL,
    STAGE_LOAD,
    JsonObject,
    ObjectId,
    apply_order,
)
from bundler.core.reference import MODEL_PREFIX, ImageReference
from bundler.core.rules.walk import CONTAINER_LISTS, entries, pods
from bundler.core.strictjson import canonical

Objects = tuple[JsonObject, ...]

POLICY_NAME = "airbundle-load"
_GIB = 1024**3
_DISK = "ephemeral-storage"
_NAME_LENGTH = 63
_PREFIX_DIGITS = 10
_UNITS = {"": 1, "Ki": 1024, "Mi": 1024**2, "Gi": _GIB, "Ti": 1024**4}


@dataclass(frozen=True)
class Loading:
    """What the loaders of a bundle have in common.

    `image` is their image as manifests write it and `pinned` its digest; `models` has each model's
    locked files, `platforms` what they are for, and `access` what a site gives to loaders.
    """

    image: str
    pinned: Digest
    models: Mapping[str, Sequence[LockedFile]]
    platforms: tuple[str, ...]
    access: Access


@dataclass(frozen=True)
class _Volume:
    """An image volume of a model, in the pod at `path` of an object."""

    path: Path
    name: str
    model: str


def arrange(target: str, objects: Objects, wanted: Weights, loading: Loading) -> Objects:
    """`objects` of `target` with every model where `wanted` has it, in the order of applying.

    PolicyError when no pod has a model as image volume, or a volume is to be smaller than a model;
    for a model that the bundle lacks, as `images.rewrite` has it, nothing is done here.
    """
    made: list[JsonObject] = []
    changed: list[JsonObject] = []
    found = False
    for obj in objects:
        volumes = list(_volumes(obj))
        found = found or bool(volumes)
        obj = deepcopy(obj) if volumes else obj
        for volume in volumes:
            if volume.model in loading.models:
                made += _moved(obj, volume, wanted, loading)
        changed.append(obj)
    if not found:
        raise PolicyError(
            f"target {target}: spec.weights says how its models arrive, and no pod has an image "
            f"volume of {MODEL_PREFIX}<name>",
            "write the model's volume as base/deployment.yaml does, or leave the target out",
        )
    policies = _network_policies(changed, made, wanted) if wanted.egress else []
    return apply_order([*changed, *_distinct([*made, *policies])])


def content_digest(files: Sequence[LockedFile]) -> Digest:
    """What names a model's folder: the digest of the list of its files, as a bucket has it."""
    return Digest.of(dump_files(files))


def _volumes(obj: JsonObject) -> Iterator[_Volume]:
    for pod in pods(obj):
        for _, volume in entries(pod.spec, "volumes"):
            image = volume.get("image")
            text = image.get("reference") if isinstance(image, dict) else None
            model = _model(text) if isinstance(text, str) else None
            if model and isinstance(volume.get("name"), str):
                yield _Volume(pod.path, volume["name"], model)


def _model(text: str) -> str | None:
    try:
        return ImageReference.parse(text).model
    except UsageError:  # the search for images says so, with the place
        return None


def _moved(
    obj: JsonObject, volume: _Volume, wanted: Weights, loading: Loading
) -> tuple[JsonObject, ...]:
    """Changes `obj`, a copy; the objects that it needs from now on."""
    spec = _at(obj, volume.path)
    files = loading.models[volume.model]
    folder = content_digest(files).hex
    for _, found in entries(spec, "volumes"):
        if found.get("name") == volume.name:
            del found["image"]
            place = found
    for mount in _mounts(spec, volume.name):
        _below(mount, folder)
    if wanted.s3 is not None:
        place["emptyDir"] = {"sizeLimit": loaderpods.mebibytes(_room(files))}
        _fetching(obj, volume, spec, wanted.s3, loading)
        return ()
    assert wanted.pvc is not None, "the document has one of the two"
    claim = _claim(obj, volume.model, wanted.pvc, files)
    place["persistentVolumeClaim"] = {"claimName": claim["metadata"]["name"]}
    return claim, _job(claim, spec, volume.model, folder, loading)


def _fetching(
    obj: JsonObject, volume: _Volume, spec: JsonObject, store: ObjectStore, loading: Loading
) -> None:
    """The init container that fills an emptyDir, and what it mounts."""
    digest = content_digest(loading.models[volume.model])
    where = ModelPlace(store.bucket, store.prefix, volume.model, digest)
    container = loaderpods.container(
        f"load-{volume.name}"[:_NAME_LENGTH].rstrip("-"),
        loading.image,
        [str(where), "--into", f"{loaderpods.WEIGHTS}/{digest.hex}"],
        volume.name,
        loaderpods.bucket_access(store, loading.access),
    )
    _reserve(container["resources"], spec, _room(loading.models[volume.model]))
    user = spec.get("securityContext")
    if isinstance(user, dict) and user.get("runAsUser"):
        del container["securityContext"]["runAsUser"]
    spec["initContainers"] = [container, *(spec.get("initContainers") or [])]
    names = {found.get("name") for _, found in entries(spec, "volumes")}
    extra = loaderpods.volumes(loaderpods.bucket_access(store, loading.access))
    spec["volumes"] += [each for each in extra if each["name"] not in names]
    _label(obj, volume.path)


def _reserve(resources: JsonObject, spec: JsonObject, room: int) -> None:
    """Disk for `room` bytes and for the loader's own on the node.

    A node holds what a pod's emptyDirs have against the sum of its containers' limits, where one
    of them has any, or that of an init container, if that is more.
    """
    room += 512 * 1024**2
    resources["requests"][_DISK] = loaderpods.mebibytes(room)
    limits = [_may_write(container) for container in _containers(spec)]
    resources["limits"][_DISK] = loaderpods.mebibytes(room + sum(limits))
    if not any(limits):
        del resources["limits"][_DISK]


def _label(obj: JsonObject, path: Path) -> None:
    """The pods of the template at `path`; one inside of a custom resource has no labels here."""
    owner = _at(obj, path[:-1])
    if path[-2:-1] == ("template",) or "metadata" in owner:
        metadata = owner.setdefault("metadata", {})
        metadata["labels"] = {**(metadata.get("labels") or {}), loaderpods.LABEL: "true"}


def _claim(obj: JsonObject, model: str, wanted: Claim, files: Sequence[LockedFile]) -> JsonObject:
    size = wanted.size or loaderpods.mebibytes(_room(files))
    needed = sum(file.size for file in files)
    if _bytes(size) < needed:
        raise PolicyError(
            f"{ObjectId.of(obj)}: its model {model} has {needed:,} bytes, a volume for it is to "
            f"have {size}",
            "make size larger, or leave it out",
        )
    spec: dict[str, Any] = {
        "accessModes": [wanted.access_mode],
        "resources": {"requests": {"storage": size}},
    }
    if wanted.storage_class is not None:
        spec["storageClassName"] = wanted.storage_class
    digits = _digits([str(content_digest(files)), spec])
    name = f"{wanted.claim}-{model}"[: _NAME_LENGTH - _PREFIX_DIGITS - 1].rstrip("-")
    return _object("v1", "PersistentVolumeClaim", f"{name}-{digits}", obj, spec)


def _job(
    claim: JsonObject, spec: JsonObject, model: str, folder: str, loading: Loading
) -> JsonObject:
    made = loaderpods.job(
        spec,
        loading.image,
        [f"{MODEL_PREFIX}{model}", "--into", f"{loaderpods.WEIGHTS}/{folder}"],
        claim["metadata"]["name"],
        loading.access,
    )
    digits = _digits([made, folder, str(loading.pinned), list(loading.platforms)])
    name = f"load-{model}"[: _NAME_LENGTH - _PREFIX_DIGITS - 1].rstrip("-")
    return _object("batch/v1", "Job", f"{name}-{digits}", claim, made)


def _object(
    api_version: str, kind: str, name: str, beside: JsonObject, spec: JsonObject
) -> JsonObject:
    """An object of the stage that is applied first, in the namespace of `beside`."""
    metadata: dict[str, Any] = {"name": name, "labels": {STAGE_LABEL: STAGE_LOAD}}
    if namespace := beside["metadata"].get("namespace"):
        metadata["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


def _network_policies(
    changed: Sequence[JsonObject], made: Sequence[JsonObject], wanted: Weights
) -> list[JsonObject]:
    spec = loaderpods.network_policy(wanted.egress)
    owners = made or [obj for obj in changed if any(_loads(pod.spec) for pod in pods(obj))]
    return [
        _object("networking.k8s.io/v1", "NetworkPolicy", POLICY_NAME, owner, spec)
        for owner in owners
    ]


def _loads(spec: JsonObject) -> bool:
    """Whether one of our init containers stands in it."""
    return any(
        found.get("command", [])[:2] == loaderpods.COMMAND[:2]
        for _, found in entries(spec, "initContainers")
    )


def _distinct(objects: Sequence[JsonObject]) -> list[JsonObject]:
    """Each once: two pods of one namespace share a model's claim and Job.

    The first one's node and account count for the Job; a volume is filled once.
    """
    found: dict[tuple[str, str | None, str, str], JsonObject] = {}
    for obj in objects:
        spec = obj["spec"]
        claim = loaderpods.claim_of(spec) if obj["kind"] == "Job" else ""
        name = "" if claim else obj["metadata"]["name"]
        found.setdefault((obj["kind"], obj["metadata"].get("namespace"), name, claim), obj)
    return list(found.values())


def _mounts(spec: JsonObject, volume: str) -> Iterator[JsonObject]:
    for container in _containers(spec):
        for _, mount in entries(container, "volumeMounts"):
            if mount.get("name") == volume:
                yield mount


def _containers(spec: JsonObject) -> Iterator[JsonObject]:
    for kind in CONTAINER_LISTS:
        yield from (container for _, container in entries(spec, kind))


def _below(mount: JsonObject, folder: str) -> None:
    """What is mounted is in `folder` from now on, and can't be written to."""
    key = "subPathExpr" if mount.get("subPathExpr") else "subPath"
    inner = mount.get(key)
    mount[key] = f"{folder}/{inner}" if inner else folder
    mount["readOnly"] = True


def _room(files: Sequence[LockedFile]) -> int:
    """What a volume needs for them, in bytes: a twentieth and 64 MiB for the file system's own."""
    size = sum(file.size for file in files)
    return size + size // 20 + 64 * 1024**2


def _may_write(container: JsonObject) -> int:
    limits = (container.get("resources") or {}).get("limits") or {}
    return _bytes(str(limits.get(_DISK, "0")))


def _bytes(quantity: str) -> int:
    """The bytes of a quantity of whole units; 0 for any other."""
    number = quantity.rstrip("KMGTi")
    unit = _UNITS.get(quantity[len(number) :], 0)
    return int(number) * unit if number.isascii() and number.isdigit() else 0


def _digits(value: object) -> str:
    return Digest.of(canonical(value)).hex[:_PREFIX_DIGITS]


def _at(obj: JsonObject, path: Path) -> JsonObject:
    found: Any = obj
    for step in path:
        found = found[step]
    assert isinstance(found, dict), "pods are found in mappings"
    return found
