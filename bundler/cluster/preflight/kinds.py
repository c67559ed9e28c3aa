"""Kinds: served in the version that the objects have, or brought along in it."""

from __future__ import annotations

from collections.abc import Iterator

from bundler.cluster.preflight.asked import Asked
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.objects.plan import is_crd
from bundler.core.preflight.checked import Checked, or_fine
from bundler.core.rules.walk import entries, lookup

_NAME = "kinds"


def kinds(asked: Asked) -> Iterator[Checked]:
    """A failure for each kind that nobody serves, and for CRDs that drop what is stored."""
    yield from or_fine(
        _problems(asked), _NAME, "all kinds of the release are served, or come along"
    )


def _problems(asked: Asked) -> Iterator[Checked]:
    users: dict[tuple[str, str], list[ObjectId]] = {}
    for obj in asked.needs.objects:
        object_id = ObjectId.of(obj)
        users.setdefault((object_id.api_version, object_id.kind), []).append(object_id)
    for found in users.values():
        yield from _of_kind(asked, found)
    for obj in asked.needs.objects:
        if is_crd(ObjectId.of(obj)):
            yield from _dropped(asked, obj)


def _of_kind(asked: Asked, users: list[ObjectId]) -> Iterator[Checked]:
    one = users[0]
    needed = f"{one.kind} in {one.api_version} (for {one}{_more(users)})"
    crd = asked.brought_kinds.get((one.group, one.kind))
    if crd is not None:
        brought = _served(crd)
        if one.api_version.rpartition("/")[2] not in brought:
            yield Checked(
                _NAME,
                "failed",
                f"{needed}: the bundle's own {ObjectId.of(crd)} serves {' and '.join(brought)}",
                "this bundle does not fit together: ask who built it for one that does",
            )
    elif asked.cluster.resource(one) is None:
        others = _others(asked, one)
        has = (
            f"the cluster serves {' and '.join(others)}"
            if others
            else "the cluster has no such kind"
        )
        yield Checked(_NAME, "failed", f"{needed}: {has}", _remedy(one, others))


def _others(asked: Asked, one: ObjectId) -> list[str]:
    """The versions of the group in which the kind is served."""
    versions = [f"{one.group}/{each}" for each in asked.groups.get(one.group, ())]
    return [
        version
        for version in versions
        if asked.cluster.resource(ObjectId(version, one.kind, None, "-")) is not None
    ]


def _remedy(one: ObjectId, others: list[str]) -> str:
    if others:
        return (
            f"bring what provides {one.group} on the cluster to the version that serves "
            f"{one.api_version}, or ask for a bundle built for {others[0]}"
        )
    if one.group and "." in one.group:
        return f"install what defines {one.kind} ({one.group}) on the cluster first, with its CRDs"
    return f"ask for a bundle without {one.kind} in {one.api_version}, or upgrade the cluster"


def _dropped(asked: Asked, crd: JsonObject) -> Iterator[Checked]:
    """Versions in which objects are stored on the cluster, and that the bundle's CRD lacks."""
    live = asked.get(ObjectId.of(crd))
    stored = lookup(live, "status", "storedVersions") or []
    named = [str(each.get("name")) for _, each in entries(crd.get("spec"), "versions")]
    lost = [str(each) for each in stored if each not in named]
    if lost:
        yield Checked(
            _NAME,
            "failed",
            f"{ObjectId.of(crd)}: objects may be stored as {' and '.join(lost)}, the bundle's has "
            f"{' and '.join(named)}",
            "the CRD on the cluster is of another version: migrate what is stored, and take "
            f"{' and '.join(lost)} out of its status.storedVersions, before it is replaced",
        )


def _served(crd: JsonObject) -> list[str]:
    return [
        str(each.get("name"))
        for _, each in entries(crd.get("spec"), "versions")
        if each.get("served") is True
    ]


def _more(users: list[ObjectId]) -> str:
    return f" and {len(users) - 1} more" if len(users) > 1 else ""
