"""The present state of a cluster, as far as a release is concerned; reads, and changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bundler.cluster.client import (
    Cluster,
    ForbiddenError,
    OwnershipError,
    UnreachableError,
    nowhere,
)
from bundler.cluster.planning.inside import holds
from bundler.cluster.planning.ownership import check_claims, forced, somebody_elses
from bundler.cluster.planning.terminating import being_deleted
from bundler.cluster.planning.unasked import check_schemas
from bundler.cluster.release.record import (
    MOST_BYTES,
    Journal,
    Record,
    check_owner,
    check_takeover,
    check_version,
    managers,
    read_records,
)
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId, apply_order, loads
from bundler.core.objects.plan import (
    KEPT_KINDS,
    VOLUMES,
    Identity,
    Owned,
    Plan,
    Present,
    Taken,
    defined_kind,
    defines_namespaced,
    dropped,
    identity,
    inventory,
    is_crd,
    make_plan,
    uncheckable,
)

# The API server's words (apimachinery, pkg/api/validation/objectmeta.go, FieldImmutableErrorMsg).
_IMMUTABLE = "field is immutable"


@dataclass(frozen=True)
class Intent:
    """What is to be installed: a record without its inventory, and its objects, relocated.

    An `install` may not be older than what is installed; `going back` also removes what an
    upgrade that failed brought, were it a namespace with nothing else in it or, where it was
    `made` by this very run, a volume. What others made, or own, is refused unless
    `take_ownership`.
    """

    record: Record
    objects: tuple[JsonObject, ...]
    namespace: str
    doing: Literal["install", "rollback", "going back"] = "install"
    take_ownership: bool = False
    made: tuple[ObjectId, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """A plan and all that is needed to carry it out.

    `present` are the desired objects in the order of applying; `home` is the namespace of the
    record if that must be made, or nothing; `record` is what will be written last; `before` the
    one that is there; `uids` belong to the plan's `removed`.
    """

    plan: Plan
    present: tuple[Present, ...]
    home: tuple[Present, ...]
    record: Present
    intended: Record
    before: Record | None
    uids: Mapping[ObjectId, str]
    namespace: str
    journal: Journal

    @property
    def under_way(self) -> Record:
        """What the record says from before the first object is touched until the last is ready.

        The release that was there, or at a first install the new one, with the objects of both.
        """
        base = self.before if self.before and not self.journal.first else self.intended
        previous = self.before.inventory if self.before else ()
        known = {identity(each.id) for each in previous}
        new = [each for each in self.intended.inventory if identity(each.id) not in known]
        record = replace(base, inventory=(*previous, *new), journal=self.journal)
        return record.fitting(MOST_BYTES)

    def carried_out(self, results: Mapping[Identity, JsonObject]) -> Plan:
        """The plan after the fact: what could not be asked before is by now among `results`."""
        made = tuple(
            each
            if each.dry_run is not None
            else replace(each, dry_run=results.get(identity(ObjectId.of(each.desired))))
            for each in (*self.home, *self.present, self.record)
        )
        return make_plan(made, self.before.inventory if self.before else (), self.uids)


def prepare(cluster: Cluster, intent: Intent) -> Prepared:
    """The plan for `intent`; ClusterError for what would be refused on the way, as far as the
    server can say without doing it: takeovers, older versions, conflicts, missing kinds."""
    wanted, namespace = intent.record, intent.namespace
    objects = apply_order(intent.objects)
    ids = tuple(ObjectId.of(obj) for obj in objects)
    before = check_takeover(wanted.name, ids, read_records(cluster, namespace, wanted.name))
    if intent.doing == "install":
        check_version(before, wanted.version)
    previous = before.inventory if before else ()
    present = survey(cluster, objects, previous)
    check_schemas(present)
    uids = _leftovers(cluster, dropped(previous, ids))
    disposable = _disposable(cluster, intent, before, uids)
    kept = make_plan(present, previous, uids, disposable).kept
    record = wanted.with_inventory(inventory(present, previous, kept)).after(before)
    home = _home(cluster, namespace, ids)
    # Whoever wrote the record, a restored backup say, it is the release's.
    written = _record_present(cluster, record, namespace)
    written = replace(written, foreign=False, taken=(), force=True)
    if intent.take_ownership:
        present = tuple(map(forced, present))
    else:
        check_claims(present)
    plan = make_plan((*home, *present, written), previous, uids, disposable)
    journal = _journal(intent, before, record)
    made = Prepared(plan, present, home, written, record, before, uids, namespace, journal)
    _require_room(made)
    return made


def _disposable(
    cluster: Cluster, intent: Intent, before: Record | None, uids: Collection[ObjectId]
) -> tuple[ObjectId, ...]:
    """What goes with an upgrade that failed although its kind is kept otherwise.

    Data that an attempt before this one left may be in use by now, and others may have put things
    into a namespace or made some of a kind.
    """
    if intent.doing != "going back" or before is None or before.journal is None:
        return ()
    made = {identity(each) for each in intent.made}
    fresh = {
        identity(each)
        for each in before.journal.fresh
        if each.kind not in VOLUMES or identity(each) in made
    }
    going = [each for each in uids if each.kind not in KEPT_KINDS or identity(each) in fresh]
    empty = []
    for each in going:
        if identity(each) in fresh and each.kind in KEPT_KINDS:
            live = cluster.get(each)
            if live is not None and not holds(cluster, each, live, going):
                empty.append(each)
    return tuple(empty)


def _require_room(prepared: Prepared) -> None:
    """ClusterError when the record can't hold what it must, in the middle or at the end."""
    middle, end = prepared.under_way, prepared.intended
    size = max(middle.size, end.size)
    if size > MOST_BYTES:
        raise ClusterError(
            f"release {end.name}: its record would have {size} bytes, and a Secret holds "
            f"{MOST_BYTES}: it names {len(end.inventory)} objects, while it is being installed "
            f"{len(middle.inventory)}",
            "make several bundles of it with fewer objects each, or a smaller overlay",
        )


def _journal(intent: Intent, before: Record | None, record: Record) -> Journal:
    """What is to be noted while `record` is being made of what is there `before`."""
    going_back = intent.doing == "going back"
    known = {identity(each.id) for each in before.inventory} if before else set()
    cut_off = before.journal.fresh if before and before.journal else ()
    new = () if going_back else (each.id for each in record.inventory if each.made)
    return Journal(
        intent.doing,
        record.index,
        record.version,
        record.installed.target,
        before is None or not before.settled,
        (*cut_off, *(each for each in new if identity(each) not in known)),
    )


def survey(
    cluster: Cluster, objects: Sequence[JsonObject], previous: Collection[Owned]
) -> tuple[Present, ...]:
    """Each of `objects` as it is and as it would become, in the same order.

    Foreign is what is there, but neither in the `previous` inventory nor ours.
    """
    known = {identity(each.id) for each in previous}
    brought = {defined_kind(obj): obj for obj in objects if is_crd(ObjectId.of(obj))}
    live = {
        identity(ObjectId.of(obj)): _live(cluster, ObjectId.of(obj), brought) for obj in objects
    }
    crds = {
        identity(ObjectId.of(obj)): _asked(cluster, obj, live, known)
        for obj in objects
        if is_crd(ObjectId.of(obj))
    }
    absent = {each for each, found in live.items() if found is None}
    moving = {each for each, found in crds.items() if found.change != "unchanged"}
    silent = uncheckable(objects, absent, moving)
    found = (
        crds[name]
        if (name := identity(ObjectId.of(obj))) in crds
        else Present(obj, live[name], None)
        if name in silent
        else _asked(cluster, obj, live, known)
        for obj in objects
    )
    return tuple(replace(each, foreign=_is_foreign(cluster, each, known)) for each in found)


def _asked(
    cluster: Cluster,
    obj: JsonObject,
    live: Mapping[Identity, JsonObject | None],
    known: Collection[Identity],
) -> Present:
    here = live[identity(ObjectId.of(obj))]
    try:
        return _tried(cluster, obj, here)
    except (UnreachableError, ForbiddenError):
        raise
    except ClusterError as error:
        # What the server says of a stranger's object would tell to delete it.
        if here is None or not _is_foreign(cluster, Present(obj, here, None), known):
            raise
        raise somebody_elses(ObjectId.of(obj), here, error) from error


def _tried(cluster: Cluster, obj: JsonObject, here: JsonObject | None) -> Present:
    try:
        return Present(obj, here, cluster.apply(obj, dry_run=True))
    except OwnershipError as error:
        # What it would become is said all the same, and whose it is: `check_claims` refuses it.
        taken = tuple(Taken(*each) for each in error.fields)
        return Present(obj, here, cluster.apply(obj, dry_run=True, force=True), taken=taken)
    except ClusterError as error:
        # A Job can't be changed; one that fills a volume loses nothing by being made anew.
        object_id = ObjectId.of(obj)
        job = (object_id.group, object_id.kind) == ("batch", "Job") and loads(obj)
        if here is None or not job or _IMMUTABLE not in error.message:
            raise
        return Present(obj, here, obj, anew=True)


def _live(
    cluster: Cluster, object_id: ObjectId, brought: Mapping[tuple[str, str], JsonObject]
) -> JsonObject | None:
    crd = brought.get((object_id.group, object_id.kind))
    if crd is not None and cluster.resource(object_id) is None:
        # The server can't say so yet, and half of the release would be there when it can.
        if object_id.namespace is None and defines_namespaced(crd):
            raise nowhere(object_id)
        return None
    live = cluster.get(object_id)
    if live is not None and "deletionTimestamp" in live["metadata"]:
        raise being_deleted(object_id, live)
    if live is not None:
        check_owner(cluster, object_id, live)
    return live


def _is_foreign(cluster: Cluster, present: Present, known: Collection[Identity]) -> bool:
    if present.live is None or identity(ObjectId.of(present.desired)) in known:
        return False
    return not is_ours(cluster, present.live)


def _leftovers(cluster: Cluster, gone: Sequence[Owned]) -> dict[ObjectId, str]:
    """The uids of those of `gone` that are there and that we still manage.

    Who deletes an object of ours and makes another one of that name has taken it over.
    """
    uids: dict[ObjectId, str] = {}
    for owned in gone:
        object_id = cluster.served(owned.id) if owned.made else None
        live = cluster.get(object_id) if object_id is not None else None
        if object_id is not None and live is not None and is_ours(cluster, live):
            uids[object_id] = str(live["metadata"].get("uid"))
    return uids


def is_ours(cluster: Cluster, live: JsonObject) -> bool:
    """Whether this release applied something of `live`."""
    return cluster.manager in managers(live)


def _home(cluster: Cluster, namespace: str, desired: Collection[ObjectId]) -> tuple[Present, ...]:
    home = ObjectId("v1", "Namespace", None, namespace)
    if home in desired or cluster.get(home) is not None:
        return ()
    # Something has to be ours of it, or nobody could tell later who made it.
    metadata = {"name": namespace, "labels": {"app.kubernetes.io/managed-by": "airbundle"}}
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    return survey(cluster, (made,), ())


def _record_present(cluster: Cluster, record: Record, namespace: str) -> Present:
    secret = record.secret(namespace)
    if cluster.get(ObjectId("v1", "Namespace", None, namespace)) is None:
        return Present(secret, None, None)
    return survey(cluster, (secret,), ())[0]
