"""What an install will do, decided before anything is done: a pure difference.

Whether an object changes is not guessed here: it is its present form compared with what the API
server says that it would become (a dry run of the very apply that would follow).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bundler.core.objects.differences import Difference, differences, essence
from bundler.core.objects.manifests import JsonObject, ObjectId

Identity = tuple[str, str, str | None, str]
Change = Literal["created", "adopted", "changed", "unchanged", "unchecked"]

# Deleting one of these deletes what others put into it, or data: an upgrade leaves them.
VOLUMES = frozenset({"PersistentVolume", "PersistentVolumeClaim"})
KEPT_KINDS = VOLUMES | {"Namespace", "CustomResourceDefinition"}

# The lists of a plan, each an attribute of it.
LISTS = ("created", "adopted", "changed", "removed", "unchanged", "unchecked", "kept")


@dataclass(frozen=True, order=True)
class Owned:
    """An object of a release; `made` when the release created it, rather than found it there."""

    id: ObjectId
    made: bool


@dataclass(frozen=True)
class Taken:
    """A field, as the API server writes its path, that becomes ours, and whose it was."""

    field: str
    owner: str


@dataclass(frozen=True)
class Present:
    """One desired object on the cluster: what it is, and what it would become.

    `live` is None when it isn't there; `dry_run` is None when the server could not be asked,
    since its namespace or its kind comes, or changes, with this very plan. `foreign` is what is
    there and was neither made nor had by this release before; `taken` are fields of others that
    would get other values. `force`: it may be applied although fields of it are others'; `anew`:
    it can't be changed, and is deleted first.
    """

    desired: JsonObject
    live: JsonObject | None
    dry_run: JsonObject | None
    foreign: bool = False
    taken: tuple[Taken, ...] = ()
    force: bool = False
    anew: bool = False

    @property
    def change(self) -> Change:
        """What applying this object does."""
        if self.dry_run is None:
            return "unchecked"
        if self.live is None:
            return "created"
        if self.foreign:
            return "adopted"
        return "unchanged" if essence(self.live) == essence(self.dry_run) else "changed"

    @property
    def differences(self) -> tuple[Difference, ...]:
        """What becomes different of an object that is there, as far as it could be asked."""
        if self.live is None or self.dry_run is None:
            return ()
        return differences(self.live, self.dry_run)


@dataclass(frozen=True)
class Plan:
    """Every object of a release, each in one list; the lists are in the order of the deeds.

    `adopted` were there, and become part of the release, though not made by it; `removed` are
    objects that the previous release made and this one lacks; `kept` are those of them that
    stay, because deleting them would delete more (see `KEPT_KINDS`). `differences` has those of
    each object that is adopted or changed, `taken` the fields that are taken over from others.
    Those `anew` can't be changed, and are deleted and made again.
    """

    created: tuple[ObjectId, ...] = field(default=())
    adopted: tuple[ObjectId, ...] = field(default=())
    changed: tuple[ObjectId, ...] = field(default=())
    removed: tuple[ObjectId, ...] = field(default=())
    unchanged: tuple[ObjectId, ...] = field(default=())
    unchecked: tuple[ObjectId, ...] = field(default=())
    kept: tuple[ObjectId, ...] = field(default=())
    differences: Mapping[ObjectId, tuple[Difference, ...]] = field(default_factory=dict)
    taken: Mapping[ObjectId, tuple[Taken, ...]] = field(default_factory=dict)
    anew: tuple[ObjectId, ...] = field(default=())

    @property
    def empty(self) -> bool:
        """Whether nothing would be done."""
        done = (self.created, self.adopted, self.changed, self.removed, self.unchecked)
        return not any(done)

    def to_json(self) -> dict[str, list[dict[str, object]]]:
        """The lists, with ids in full; `differences`, `taken` and `anew` where there are any."""
        return {name: [self._described(each) for each in getattr(self, name)] for name in LISTS}

    def _described(self, object_id: ObjectId) -> dict[str, object]:
        found, taken = self.differences.get(object_id), self.taken.get(object_id)
        return (
            id_to_json(object_id)
            | ({} if found is None else {"differences": found})
            | ({} if taken is None else {"taken": taken})
            | ({"anew": True} if object_id in self.anew else {})
        )


def make_plan(
    present: Sequence[Present],
    previous: Collection[Owned],
    leftovers: Collection[ObjectId],
    disposable: Collection[ObjectId] = (),
) -> Plan:
    """The plan for the desired objects in `present`, given the `previous` release's inventory.

    `leftovers` are the objects of `previous` that are on the cluster and still ours; what is
    neither made by the previous release nor among them is never removed. Of those whose kind is
    kept otherwise, the `disposable` ones go.
    """
    lists: dict[Change, list[ObjectId]] = {
        "created": [],
        "adopted": [],
        "changed": [],
        "unchanged": [],
        "unchecked": [],
    }
    for each in present:
        lists[each.change].append(ObjectId.of(each.desired))
    gone = dropped(previous, (ObjectId.of(each.desired) for each in present))
    removable = {identity(each): each for each in leftovers}
    going = [
        removable[identity(each.id)]
        for each in gone
        if each.made and identity(each.id) in removable
    ]
    brief = {identity(each) for each in disposable}
    kept = tuple(each for each in going if each.kind in KEPT_KINDS and identity(each) not in brief)
    return Plan(
        created=tuple(lists["created"]),
        adopted=tuple(lists["adopted"]),
        changed=tuple(lists["changed"]),
        removed=tuple(each for each in reversed(going) if each not in kept),
        unchanged=tuple(lists["unchanged"]),
        unchecked=tuple(lists["unchecked"]),
        kept=kept,
        differences={
            ObjectId.of(each.desired): each.differences
            for each in present
            if each.change in ("adopted", "changed")
        },
        taken={ObjectId.of(each.desired): each.taken for each in present if each.taken},
        anew=tuple(ObjectId.of(each.desired) for each in present if each.anew),
    )


def dropped(previous: Iterable[Owned], desired: Iterable[ObjectId]) -> tuple[Owned, ...]:
    """What `previous` has and `desired` lacks; a new version of an API is no new object."""
    staying = {identity(each) for each in desired}
    return tuple(each for each in previous if identity(each.id) not in staying)


def inventory(
    present: Sequence[Present], previous: Collection[Owned], kept: Collection[ObjectId]
) -> tuple[Owned, ...]:
    """The inventory of the release that `present` describes, in the order of applying.

    An object is `made` by it when it was not there, or when the previous release had made it.
    What is `kept` stays in it, so that an uninstall knows it.
    """
    made = {identity(each.id): each.made for each in previous}
    owned = [Owned(ObjectId.of(each.desired), _made(each, made)) for each in present]
    return (*(Owned(each, True) for each in kept), *owned)


def _made(present: Present, before: Mapping[Identity, bool]) -> bool:
    known = before.get(identity(ObjectId.of(present.desired)))
    if present.live is None or known is not None:
        return present.live is None or bool(known)
    # What an uninstall left of the same release: it applied this, and nobody else wrote it.
    return not present.foreign and len(_writers(present.live)) == 1


def _writers(live: JsonObject) -> frozenset[str]:
    """Who wrote `live`, apart from what controllers note of it.

    https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
    """
    entries = live["metadata"].get("managedFields") or []
    return frozenset(
        str(each.get("manager"))
        for each in entries
        if not (each.get("subresource") or _is_note(each))
    )


def _is_note(entry: JsonObject) -> bool:
    """Whether this is an update of annotations, finalizers and a claim's volume only."""
    fields = entry.get("fieldsV1") or {}
    metadata, spec = fields.get("f:metadata") or {}, fields.get("f:spec") or {}
    return (
        entry.get("operation") == "Update"
        and fields.keys() <= {"f:metadata", "f:spec"}
        and metadata.keys() <= {"f:annotations", "f:finalizers"}
        and spec.keys() <= {"f:volumeName"}
    )


def identity(object_id: ObjectId) -> Identity:
    """What makes two ids the same object: group, kind, namespace, name; not the API's version."""
    return object_id.group, object_id.kind, object_id.namespace, object_id.name


def id_to_json(object_id: ObjectId) -> dict[str, object]:
    """An id as plain data; `id_from_json` is its inverse."""
    return {
        "apiVersion": object_id.api_version,
        "kind": object_id.kind,
        "namespace": object_id.namespace,
        "name": object_id.name,
    }


def id_from_json(item: Mapping[str, Any]) -> ObjectId:
    """What `id_to_json` made; KeyError or ValueError for anything else."""
    found = ObjectId(item["apiVersion"], item["kind"], item["namespace"], item["name"])
    if not all(isinstance(each, str) for each in (found.api_version, found.kind, found.name)):
        raise ValueError("an object has no apiVersion, kind or name")
    if not isinstance(found.namespace, str | None):
        raise ValueError("a namespace is no name")
    return found


def uncheckable(
    objects: Sequence[JsonObject], absent: Collection[Identity], moving: Collection[Identity]
) -> frozenset[Identity]:
    """The objects about which the server can't be asked before the plan has begun.

    Those in a namespace that is in `objects` and `absent` from the cluster, and those of a kind
    whose CRD is in `objects` and `moving` (absent, or about to change).
    """
    ids = [ObjectId.of(obj) for obj in objects]
    namespaces = {each.name for each in ids if is_namespace(each) and identity(each) in absent}
    kinds = {
        defined_kind(obj)
        for obj, each in zip(objects, ids, strict=True)
        if is_crd(each) and identity(each) in moving
    }
    return frozenset(
        identity(each)
        for each in ids
        if each.namespace in namespaces or (each.group, each.kind) in kinds
    )


def is_namespace(object_id: ObjectId) -> bool:
    """Whether this is a core Namespace."""
    return (object_id.group, object_id.kind) == ("", "Namespace")


def is_crd(object_id: ObjectId) -> bool:
    """Whether this is a CustomResourceDefinition."""
    named = object_id.group, object_id.kind
    return named == ("apiextensions.k8s.io", "CustomResourceDefinition")


def defined_kind(crd: JsonObject) -> tuple[str, str]:
    """The (group, kind) that a CustomResourceDefinition defines; empty where it says nothing."""
    spec = crd.get("spec") or {}
    return str(spec.get("group", "")), str((spec.get("names") or {}).get("kind", ""))


def defines_namespaced(crd: JsonObject) -> bool:
    """Whether objects of the kind that a CustomResourceDefinition defines live in namespaces."""
    return (crd.get("spec") or {}).get("scope") == "Namespaced"
