"""A release taken away: its objects in the reverse order of applying, its record last.

What others put into a namespace, or made of a kind, is theirs: such a namespace or CRD stays.
Volumes hold data, and stay unless that was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bundler.cluster.client import Cluster, ConflictError
from bundler.cluster.planning.present import is_ours
from bundler.cluster.release.lease import lease_id
from bundler.cluster.release.record import (
    Journal,
    Record,
    is_made_by_releases,
    record_id,
    secret_name,
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
# What only tells of other objects.
_FOLLOWING = frozenset({"Event", "Endpoints", "EndpointSlice", "PodMetrics"})
_LEASE = "Lease"
_ANEW = "somebody else made it anew"


@dataclass(frozen=True)
class Kept:
    """An object that stays, and why, in words."""

    id: ObjectId
    why: str


@dataclass(frozen=True)
class Removal:
    """What goes, in the order of the deeds, and what stays; `uids` of what goes.

    `emptied` are the namespaces that go with whatever volumes are in them.
    """

    removed: tuple[ObjectId, ...]
    kept: tuple[Kept, ...]
    uids: Mapping[ObjectId, str]
    emptied: frozenset[ObjectId] = frozenset()

    def without(self, object_id: ObjectId, why: str) -> Removal:
        """This one, when `object_id` stays after all."""
        removed = tuple(each for each in self.removed if each != object_id)
        return replace(self, removed=removed, kept=(*self.kept, Kept(object_id, why)))


def plan_removal(
    cluster: Cluster,
    record: Record,
    namespace: str,
    *,
    data: bool,
    fresh: Collection[ObjectId] = (),
) -> Removal:
    """What taking `record` away does; reads, and changes nothing.

    `data` takes volumes, too; otherwise only those among the `fresh` objects go, which whoever
    calls has made himself just now. The record's own namespace goes with the last record in it,
    if airbundle made it.
    """
    mine, lease = record_id(record.name, namespace), lease_id(record.name, namespace)
    own = ObjectId("v1", "Namespace", None, namespace)
    brief = {identity(each) for each in fresh}
    plan = Removal((), (), {})
    for each in _in_order(record.inventory):
        live = cluster.get(each.id) if cluster.resource(each.id) is not None else None
        if live is None:
            continue
        ending = data or identity(each.id) in brief
        known = replace(plan, removed=(*plan.removed, mine, lease))
        why = _stays(cluster, each, live, known, volumes=not ending)
        plan = _and(plan, each.id, live, why, emptied=ending)
    if own in plan.removed:  # the record can't outlive it, and comes before it
        others = tuple(each for each in plan.removed if each != own)
        return replace(plan, removed=(*others, mine, own))
    alone = _is_alone(cluster, own, mine, lease)
    if alone is None:
        return replace(plan, removed=(*plan.removed, mine))
    uids = {**plan.uids, own: _uid(alone)}
    return replace(plan, removed=(*plan.removed, mine, own), uids=uids)


def _and(
    plan: Removal, object_id: ObjectId, live: JsonObject, why: str, *, emptied: bool
) -> Removal:
    """`plan` with one object more, that stays if there is a reason `why`."""
    if why:
        return replace(plan, kept=(*plan.kept, Kept(object_id, why)))
    return replace(
        plan,
        removed=(*plan.removed, object_id),
        uids={**plan.uids, object_id: _uid(live)},
        emptied=plan.emptied | ({object_id} if emptied and is_namespace(object_id) else set()),
    )


def remove(
    cluster: Cluster,
    record: Record,
    namespace: str,
    removal: Removal,
    timeout: float,
    progress: Progress,
    sleep: Sleep,
    guard: Callable[[], None],
) -> Removal:
    """Carry out `removal`, and wait up to `timeout` seconds until all of it is gone.

    The record says so first and goes last; cut off, the same again goes on. What was made anew
    since the plan, or holds by now what others made, stays: the removal as it was carried out.
    `guard` is asked before every write. ClusterError when something hangs. With a timeout of 0
    nothing is waited for.
    """
    progress.phase("removing", None)
    past, before = record.installed, record.journal
    fresh = before.fresh if before else ()
    first = before is not None and before.first
    journal = Journal("uninstall", past.index, past.version, past.target, first, fresh)
    guard()
    written = cluster.apply(replace(record, journal=journal).secret(namespace))
    mine, lease = record_id(record.name, namespace), lease_id(record.name, namespace)
    place = removal.removed.index(mine)
    objects, last = removal.removed[:place], removal.removed[place:]
    done = replace(removal, uids={**removal.uids, mine: _uid(written)})
    for ids, foreground in ((objects, timeout > 0), (last, False)):
        for object_id in ids:
            why = _held(cluster, object_id, done, lease)
            guard()
            why = why or _delete(cluster, object_id, done.uids[object_id], foreground=foreground)
            done = done.without(object_id, why) if why else done
        going = {each: done.uids[each] for each in ids if each in done.removed}
        _await_gone(cluster, going, timeout, sleep)
    return done


def _held(cluster: Cluster, object_id: ObjectId, done: Removal, lease: ObjectId) -> str:
    """What others put, since the plan, into a namespace or made of a kind; or nothing."""
    if not (is_namespace(object_id) or is_crd(object_id)):
        return ""
    live = cluster.get(object_id)
    known = replace(done, removed=(*done.removed, lease))
    volumes = object_id not in done.emptied
    return "" if live is None else _holds(cluster, object_id, live, known, volumes=volumes)


def _delete(cluster: Cluster, object_id: ObjectId, uid: str, *, foreground: bool) -> str:
    """Delete the very object that was planned; why another one stays, or nothing."""
    try:
        cluster.delete(object_id, uid, foreground=foreground)
    except ConflictError:
        live = cluster.get(object_id)
        if live is not None and _uid(live) == uid:
            raise
        return "" if live is None else _ANEW
    return ""


def _await_gone(
    cluster: Cluster, uids: Mapping[ObjectId, str], timeout: float, sleep: Sleep
) -> None:
    if not timeout:
        return
    left = dict(uids)
    for _ in range(int(timeout / _PAUSE) + 1):
        left = {each: uid for each, uid in left.items() if _is_there(cluster, each, uid)}
        if not left:
            return
        sleep(_PAUSE)
    first = next(iter(left))
    live = cluster.get(first) or {"metadata": {}}
    holders = ", ".join(live["metadata"].get("finalizers") or []) or "none"
    raise ClusterError(
        f"{first}: is still being deleted after {timeout:.0f} seconds (finalizers: {holders}); "
        f"{len(left)} of {len(uids)} objects are left",
        "find out what its finalizers wait for; the same command again continues",
    )


def _is_there(cluster: Cluster, object_id: ObjectId, uid: str) -> bool:
    live = cluster.get(object_id)
    return live is not None and _uid(live) == uid


def _uid(live: JsonObject) -> str:
    return str(live["metadata"].get("uid"))


def _in_order(inventory: Sequence[Owned]) -> Iterator[Owned]:
    """The last applied first; what holds others (namespaces, CRDs) after all that it may hold."""
    backwards = list(reversed(inventory))
    holders = [each for each in backwards if is_namespace(each.id) or is_crd(each.id)]
    yield from (each for each in backwards if each not in holders)
    yield from holders


def _stays(
    cluster: Cluster, owned: Owned, live: JsonObject, plan: Removal, *, volumes: bool
) -> str:
    """Why an object stays, or nothing; with `volumes` those are to be kept."""
    if not owned.made:
        return "it was there before the release"
    if not is_ours(cluster, live):
        return _ANEW
    if owned.id.kind == CLAIM and volumes:
        return "it holds data"
    return _holds(cluster, owned.id, live, plan, volumes=volumes)


def _holds(
    cluster: Cluster, object_id: ObjectId, live: JsonObject, plan: Removal, *, volumes: bool
) -> str:
    """What keeps a namespace or a CRD: it holds what doesn't go with this `plan`."""
    if is_namespace(object_id):
        return next(_others(cluster, object_id.name, plan, volumes=volumes), "")
    if is_crd(object_id):
        return next((_said(each, plan) for each in _instances(cluster, live, plan.removed)), "")
    return ""


def _said(found: ObjectId, plan: Removal) -> str:
    kept = {identity(each.id) for each in plan.kept}
    return (
        f"holds {found}, which is kept"
        if identity(found) in kept
        else (f"{found} is not of this release")
    )


def _others(cluster: Cluster, namespace: str, plan: Removal, *, volumes: bool) -> Iterator[str]:
    """What is in a namespace and neither goes, nor belongs to something, nor is the cluster's.

    Claims count where `volumes` are to be kept. What can't be asked could hold anything.
    """
    known = {identity(each) for each in plan.removed}
    silent: list[str] = []
    for api_version, kind in _kinds(cluster, plan.removed):
        if kind in _FOLLOWING or (kind == CLAIM and not volumes):
            continue
        listed = _listed(cluster, api_version, kind, namespace)
        if listed is None:
            silent.append(f"its {f'{kind}.' if kind else ''}{api_version} can't be asked")
        for live in listed or ():
            found = ObjectId(api_version, kind, namespace, live["metadata"]["name"])
            if not (_follows(found, live) or identity(found) in known):
                yield _said(found, plan)
    yield from silent


def _listed(
    cluster: Cluster, api_version: str, kind: str, namespace: str
) -> list[JsonObject] | None:
    """The objects of one kind; None when they can't be asked for."""
    if not kind:
        return None
    try:
        return cluster.list(ObjectId(api_version, kind, namespace, "any"))
    except ClusterError:
        if api_version == "v1":
            raise
        return None


def _follows(found: ObjectId, live: JsonObject) -> bool:
    """Whether it belongs to another object, or is the cluster's own, or nobody's."""
    # The lease of a release says that somebody installs it just now.
    at_work = found.kind == _LEASE and found.name.startswith(secret_name(""))
    native = (found.kind, found.name) in _NATIVE or (found.kind == _LEASE and not at_work)
    return native or bool(live["metadata"].get("ownerReferences"))


def _kinds(cluster: Cluster, going: Collection[ObjectId]) -> Iterator[tuple[str, str]]:
    """Every kind that lives in namespaces and can be listed, in the version that is preferred.

    No kind stands for all of a version that can't be asked, an extension that is down say. A kind
    that goes itself is left out: nothing of it stays.
    """
    ending = {each.name for each in going if is_crd(each)}
    groups = cluster.read("/apis").get("groups") or []
    versions = [each["preferredVersion"]["groupVersion"] for each in groups]
    yield from _served(cluster.read("/api/v1"), "v1", ending)
    for api_version in versions:
        try:
            resources = cluster.read(f"/apis/{api_version}", attempts=1)
        except ClusterError:
            group = api_version.partition("/")[0]
            if not any(each.endswith(f".{group}") for each in ending):
                yield api_version, ""
        else:
            yield from _served(resources, api_version, ending)


def _served(
    resources: JsonObject, api_version: str, ending: Collection[str]
) -> Iterator[tuple[str, str]]:
    group = api_version.partition("/")[0]
    for each in resources.get("resources") or []:
        listable = each["namespaced"] and "/" not in each["name"] and "list" in each["verbs"]
        if listable and f"{each['name']}.{group}" not in ending:
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


def _is_alone(
    cluster: Cluster, own: ObjectId, mine: ObjectId, lease: ObjectId
) -> JsonObject | None:
    """The record's namespace, if it is airbundle's own and holds no other record or object."""
    live = cluster.get(own)
    if live is None or not is_made_by_releases(live):
        return None
    held = any(_others(cluster, own.name, Removal((mine, lease), (), {}), volumes=True))
    return None if held else live
