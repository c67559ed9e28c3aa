"""A release taken away: its objects in the reverse order of applying, its record last.

What others put into a namespace, or made of a kind, is theirs: such a namespace or CRD stays.
Volumes hold data, and stay unless that was asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from bundler.cluster.client import Cluster
from bundler.cluster.present import is_ours
from bundler.cluster.release import (
    SECRET_TYPE,
    Journal,
    Record,
    is_made_by_releases,
    record_id,
)
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.objects.plan import Owned, identity, is_crd, is_namespace
from bundler.core.progress import Progress
from bundler.tools.http import Sleep

CLAIM = "PersistentVolumeClaim"
_PAUSE = 0.5
# What a cluster itself puts into every namespace.
_NATIVE = frozenset({("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")})
# What only tells of other objects, and the lease of whoever is at work.
_FOLLOWING = frozenset({"Event", "Endpoints", "EndpointSlice", "PodMetrics", "Lease"})


@dataclass(frozen=True)
class Kept:
    """An object that stays, and why, in words."""

    id: ObjectId
    why: str


@dataclass(frozen=True)
class Removal:
    """What goes, in the order of the deeds, and what stays."""

    removed: tuple[ObjectId, ...]
    kept: tuple[Kept, ...]


def plan_removal(cluster: Cluster, record: Record, namespace: str, *, data: bool) -> Removal:
    """What taking `record` away does; `data` takes volumes, too. Reads, and changes nothing.

    The record's own namespace goes with the last record in it, if airbundle made it.
    """
    going: list[ObjectId] = []
    kept: list[Kept] = []
    fresh = {identity(each) for each in record.journal.fresh} if record.journal else set()
    for each in _in_order(record.inventory):
        live = cluster.get(each.id) if cluster.resource(each.id) is not None else None
        if live is not None:
            brief = data or identity(each.id) in fresh
            why = _stays(cluster, each, live, brief, going)
            if why:
                kept.append(Kept(each.id, why))
            else:
                going.append(each.id)
    mine = record_id(record.name, namespace)
    own = ObjectId("v1", "Namespace", None, namespace)
    if own in going:  # the record can't outlive it, and comes before it
        going.remove(own)
        return Removal((*going, mine, own), tuple(kept))
    alone = (own,) if _is_alone(cluster, own, mine) else ()
    return Removal((*going, mine, *alone), tuple(kept))


def remove(
    cluster: Cluster,
    record: Record,
    namespace: str,
    removal: Removal,
    timeout: float,
    progress: Progress,
    sleep: Sleep,
) -> None:
    """Carry out `removal`, and wait up to `timeout` seconds until all of it is gone.

    The record says so first and goes last; cut off, the same again goes on. ClusterError when
    something hangs. With a timeout of 0 nothing is waited for.
    """
    progress.phase("removing", None)
    past, before = record.installed, record.journal
    fresh = before.fresh if before else ()
    first = before is not None and before.first
    journal = Journal("uninstall", past.index, past.version, past.target, first, fresh)
    cluster.apply(replace(record, journal=journal).secret(namespace))
    place = removal.removed.index(record_id(record.name, namespace))
    objects = removal.removed[:place]
    for object_id in objects:
        _delete(cluster, object_id, foreground=timeout > 0)
    _await_gone(cluster, objects, timeout, sleep)
    last = removal.removed[place:]
    for object_id in last:
        _delete(cluster, object_id, foreground=False)
    _await_gone(cluster, last, timeout, sleep)


def _delete(cluster: Cluster, object_id: ObjectId, *, foreground: bool) -> None:
    if (live := cluster.get(object_id)) is not None:
        cluster.delete(object_id, str(live["metadata"].get("uid")), foreground=foreground)


def _await_gone(cluster: Cluster, ids: Sequence[ObjectId], timeout: float, sleep: Sleep) -> None:
    if not timeout:
        return
    left = list(ids)
    for _ in range(int(timeout / _PAUSE) + 1):
        left = [each for each in left if cluster.get(each) is not None]
        if not left:
            return
        sleep(_PAUSE)
    live = cluster.get(left[0]) or {"metadata": {}}
    holders = ", ".join(live["metadata"].get("finalizers") or []) or "none"
    raise ClusterError(
        f"{left[0]}: is still being deleted after {timeout:.0f} seconds (finalizers: {holders}); "
        f"{len(left)} of {len(ids)} objects are left",
        "find out what its finalizers wait for; the same command again continues",
    )


def _in_order(inventory: Sequence[Owned]) -> Iterator[Owned]:
    """The last applied first; what holds others (namespaces, CRDs) after all that it may hold."""
    backwards = list(reversed(inventory))
    holders = [each for each in backwards if is_namespace(each.id) or is_crd(each.id)]
    yield from (each for each in backwards if each not in holders)
    yield from holders


def _stays(
    cluster: Cluster, owned: Owned, live: JsonObject, brief: bool, going: Sequence[ObjectId]
) -> str:
    """Why an object stays, or nothing."""
    if not owned.made:
        return "it was there before the release"
    if not is_ours(cluster, live):
        return "somebody else made it anew"
    if owned.id.kind == CLAIM and not brief:
        return "it holds data"
    left: ObjectId | None = None
    if is_namespace(owned.id):
        left = next(_others(cluster, owned.id.name, going, volumes=not brief), None)
    elif is_crd(owned.id):
        left = next(_instances(cluster, live, going), None)
    return "" if left is None else f"{left} is not of this release"


def _others(
    cluster: Cluster, namespace: str, going: Collection[ObjectId], *, volumes: bool
) -> Iterator[ObjectId]:
    """What is in a namespace and neither goes, nor belongs to something, nor is the cluster's.

    Claims count where `volumes` are to be kept.
    """
    known = {identity(each) for each in going}
    for api_version, kind in _kinds(cluster):
        if kind in _FOLLOWING or (kind == CLAIM and not volumes):
            continue
        for live in cluster.list(ObjectId(api_version, kind, namespace, "any")):
            found = ObjectId(api_version, kind, namespace, live["metadata"]["name"])
            follows = live["metadata"].get("ownerReferences") or live.get("type") == SECRET_TYPE
            if not (follows or (kind, found.name) in _NATIVE or identity(found) in known):
                yield found


def _kinds(cluster: Cluster) -> Iterator[tuple[str, str]]:
    """Every kind that lives in namespaces and can be listed, in the version that is preferred."""
    groups = cluster.read("/apis").get("groups") or []
    versions = [each["preferredVersion"]["groupVersion"] for each in groups]
    for path, api_version in (("/api/v1", "v1"), *((f"/apis/{each}", each) for each in versions)):
        for each in cluster.read(path).get("resources") or []:
            if each["namespaced"] and "/" not in each["name"] and "list" in each["verbs"]:
                yield api_version, each["kind"]


def _instances(
    cluster: Cluster, crd: JsonObject, going: Collection[ObjectId]
) -> Iterator[ObjectId]:
    """Objects of the kind that `crd` defines, of all namespaces, that don't go."""
    known = {identity(each) for each in going}
    spec = crd["spec"]
    served = [each["name"] for each in spec["versions"] if each["served"]]
    for api_version in (f"{spec['group']}/{name}" for name in served[:1]):
        anywhere = ObjectId(api_version, spec["names"]["kind"], None, "any")
        for live in cluster.list(anywhere) if cluster.resource(anywhere) else ():
            metadata = live["metadata"]
            found = replace(anywhere, namespace=metadata.get("namespace"), name=metadata["name"])
            if identity(found) not in known:
                yield found


def _is_alone(cluster: Cluster, own: ObjectId, mine: ObjectId) -> bool:
    """Whether the record's namespace is airbundle's own, and holds no other record or object."""
    live = cluster.get(own)
    if live is None or not is_made_by_releases(live):
        return False
    records = {each["metadata"]["name"] for each in cluster.list(mine, f"type={SECRET_TYPE}")}
    return records <= {mine.name} and not any(_others(cluster, own.name, (mine,), volumes=True))
