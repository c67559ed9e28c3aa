"""A release taken away: its objects in the reverse order of applying, its record last.

What others put into a namespace, or made of a kind, is theirs: such a namespace or CRD stays.
Volumes hold data, and stay unless that was asked for.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bundler.cluster.client import Cluster, ConflictError, ForbiddenError
from bundler.cluster.planning.inside import holds, others
from bundler.cluster.planning.present import is_ours
from bundler.cluster.release.lease import lease_id
from bundler.cluster.release.record import Journal, Record, is_made_by_releases, record_id
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId, after_workloads
from bundler.core.objects.observed import part, parts, text
from bundler.core.objects.plan import VOLUMES, Owned, identity, is_crd, is_namespace
from bundler.core.progress import Progress
from bundler.tools.http import Sleep

_PAUSE = 0.5
_DATA = "it holds data"
_ANEW = "somebody else made it anew"


@dataclass(frozen=True)
class Kept:
    """An object that stays, and why, in words."""

    id: ObjectId
    why: str


@dataclass(frozen=True)
class Removal:
    """What goes, in the order of the deeds, and what stays; `uids` of what goes."""

    removed: tuple[ObjectId, ...]
    kept: tuple[Kept, ...]
    uids: Mapping[ObjectId, str]

    def without(self, object_id: ObjectId, why: str) -> Removal:
        """This one, when `object_id` stays after all."""
        removed = tuple(each for each in self.removed if each != object_id)
        return replace(self, removed=removed, kept=(*self.kept, Kept(object_id, why)))

    def more(self, object_id: ObjectId, live: JsonObject, why: str) -> Removal:
        """This one with one object more, that stays if there is a reason `why`."""
        if why:
            return replace(self, kept=(*self.kept, Kept(object_id, why)))
        uids = {**self.uids, object_id: _uid(live)}
        return replace(self, removed=(*self.removed, object_id), uids=uids)

    def holds(self, cluster: Cluster, object_id: ObjectId, live: JsonObject, *own: ObjectId) -> str:
        """What keeps `live`, a namespace or a CRD, when all of this goes, and our `own`."""
        kept = [each.id for each in self.kept]
        return holds(cluster, object_id, live, (*self.removed, *own), kept)


def plan_removal(
    cluster: Cluster,
    record: Record,
    namespace: str,
    *,
    data: bool,
    fresh: Collection[ObjectId] = (),
) -> Removal:
    """What taking `record` away does; reads, and changes nothing.

    `data` takes volumes, too; otherwise only those among the `fresh` objects go, and of them,
    which whoever calls has made himself just now. The record's own namespace goes with the last
    record in it, if airbundle made it.
    """
    mine, lease = record_id(record.name, namespace), lease_id(record.name, namespace)
    own = ObjectId("v1", "Namespace", None, namespace)
    known = {identity(each.id) for each in record.inventory}
    brief = {identity(each) for each in fresh}
    plan = Removal((), (), {})
    for each in _in_order(record.inventory):
        object_id = cluster.served(each.id)
        live = cluster.get(object_id) if object_id is not None else None
        if object_id is None or live is None:
            continue
        ending = data or identity(object_id) in brief
        why = _stays(cluster, each, live, volumes=not ending)
        plan = plan.more(object_id, live, why or plan.holds(cluster, object_id, live, mine, lease))
        for claim in () if why else _claims_of(cluster, live):
            if identity(ObjectId.of(claim)) not in known:
                goes = data or (ending and not _is_older(claim, live))
                plan = plan.more(ObjectId.of(claim), claim, "" if goes else _DATA)
    if own in plan.removed:  # the record can't outlive it, and comes before it
        before = tuple(each for each in plan.removed if each != own)
        return replace(plan, removed=(*before, mine, own))
    alone = _is_alone(cluster, own, mine, lease)
    if alone is None:
        return replace(plan, removed=(*plan.removed, mine))
    uids = {**plan.uids, own: _uid(alone)}
    return replace(plan, removed=(*plan.removed, mine, own), uids=uids)


def _claims_of(cluster: Cluster, live: JsonObject) -> Iterator[JsonObject]:
    """The claims that a StatefulSet made of its templates, and that outlive it.

    https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#volume-claim-templates
    """
    object_id = ObjectId.of(live)
    templates = parts(part(live, "spec"), "volumeClaimTemplates")
    if (object_id.group, object_id.kind) != ("apps", "StatefulSet") or not templates:
        return
    names = "|".join(re.escape(text(part(each, "metadata"), "name")) for each in templates)
    made = re.compile(f"({names})-{re.escape(object_id.name)}-[0-9]+")
    try:
        claims = cluster.list(ObjectId("v1", "PersistentVolumeClaim", object_id.namespace, "any"))
    except ForbiddenError:  # who may not see them can't take them away
        return
    for each in claims:
        if made.fullmatch(each["metadata"]["name"]) and not each["metadata"].get("ownerReferences"):
            yield each


def _is_older(claim: JsonObject, live: JsonObject) -> bool:
    """Whether `claim` was there before what uses it now: kept from an earlier time, or restored."""
    made, used = (text(part(each, "metadata"), "creationTimestamp") for each in (claim, live))
    return made < used


def remove(
    cluster: Cluster,
    record: Record,
    namespace: str,
    removal: Removal,
    timeout: float,
    progress: Progress,
    sleep: Sleep,
) -> Removal:
    """Carry out `removal`, and wait up to `timeout` seconds until all of it is gone.

    The record says so first and goes last; cut off, the same again goes on. What was made anew
    since the plan, or holds by now what others made, stays: the removal as it was carried out.
    ClusterError when something hangs. With a timeout of 0 nothing is waited for.
    """
    progress.phase("removing", None)
    past, before = record.installed, record.journal
    fresh = before.fresh if before else ()
    first = before is not None and before.first
    journal = Journal("uninstall", past.index, past.version, past.target, first, fresh)
    # Whoever wrote the record, a restored backup say, it is the release's.
    written = cluster.apply(replace(record, journal=journal).secret(namespace), force=True)
    mine, lease = record_id(record.name, namespace), lease_id(record.name, namespace)
    place = removal.removed.index(mine)
    objects, last = removal.removed[:place], removal.removed[place:]
    # What a controller has to let go of must be gone before the controller is.
    early = tuple(each for each in objects if after_workloads(each))
    late = tuple(each for each in objects if each not in early)
    done = replace(removal, uids={**removal.uids, mine: _uid(written)})
    for ids, foreground in ((early, timeout > 0), (late, timeout > 0), (last, False)):
        for object_id in ids:
            why = _held(cluster, object_id, done, lease)
            why = why or delete(cluster, object_id, done.uids[object_id], foreground=foreground)
            done = done.without(object_id, why) if why else done
        going = {each: done.uids[each] for each in ids if each in done.removed}
        _await_gone(cluster, going, timeout, sleep)
    return done


def _held(cluster: Cluster, object_id: ObjectId, done: Removal, lease: ObjectId) -> str:
    """What others put, since the plan, into a namespace or made of a kind; or nothing."""
    if not (is_namespace(object_id) or is_crd(object_id)):
        return ""
    live = cluster.get(object_id)
    return "" if live is None else done.holds(cluster, object_id, live, lease)


def delete(cluster: Cluster, object_id: ObjectId, uid: str, *, foreground: bool) -> str:
    """Delete the very object that was planned; why another one stays, or nothing where it went."""
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
    left, until = dict(uids), time.monotonic() + timeout
    for _ in range(int(timeout / _PAUSE) + 1):
        left = {each: uid for each, uid in left.items() if _is_there(cluster, each, uid)}
        if not left:
            return
        if time.monotonic() >= until:
            break
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


def _stays(cluster: Cluster, owned: Owned, live: JsonObject, *, volumes: bool) -> str:
    """Why an object stays, or nothing; with `volumes` those are to be kept."""
    if not owned.made:
        return "it was there before the release"
    if not is_ours(cluster, live):
        return _ANEW
    return _DATA if owned.id.kind in VOLUMES and volumes else ""


def _is_alone(
    cluster: Cluster, own: ObjectId, mine: ObjectId, lease: ObjectId
) -> JsonObject | None:
    """The record's namespace, if it is airbundle's own and holds no other record or object."""
    live = cluster.get(own)
    if live is None or not is_made_by_releases(live):
        return None
    return None if any(others(cluster, own.name, (mine, lease))) else live
