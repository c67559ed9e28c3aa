"""A plan carried out: what others need first, then the rest, then removals, then the record.

Before the first object is touched, the record says what is going on and names the objects of
both releases; killed at any moment, the same install can be run again and ends the same. What
the release no longer has goes when all that it has is ready: until then there is a way back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bundler.cluster.client import Cluster
from bundler.cluster.planning.present import Prepared
from bundler.cluster.push import PushedBundle
from bundler.cluster.release.record import record_id
from bundler.cluster.transaction.removal import delete
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId, before_workloads, loads
from bundler.core.objects.observed import conditions
from bundler.core.objects.plan import (
    Identity,
    Plan,
    Present,
    defined_kind,
    identity,
    is_crd,
    is_namespace,
)
from bundler.core.progress import Progress
from bundler.tools.http import Sleep

_POLLS = 120
_PAUSE = 0.5


def _nothing() -> None:
    """Asks nothing."""


def _at_once(ids: Sequence[ObjectId]) -> None:
    """Waits for nothing."""


@dataclass(frozen=True)
class Checks:
    """What is asked on the way; each raises a ClusterError when it isn't as it should be.

    `pushed` before anything is touched, whether the registry still has it all; `wait` until
    objects are ready; `smoke` when all of them are.
    """

    pushed: Callable[[], None] = _nothing
    wait: Callable[[Sequence[ObjectId]], None] = _at_once
    smoke: Callable[[], None] = _nothing


class StoppedError(ClusterError):
    """An install that failed after the first object was touched; the journal says so, too.

    `halfway` is the message with what was done before, for whom it stays so.
    """

    def __init__(self, message: str, hint: str | None, done: str) -> None:
        super().__init__(message, hint)
        self.halfway = with_more(message, f"stopped half way, applied before: {done}")


@dataclass
class _Deeds:
    """What is done on `cluster`, remembered: the objects as they became, and names in order."""

    cluster: Cluster
    results: dict[Identity, JsonObject] = field(default_factory=dict)
    names: dict[str, None] = field(default_factory=dict)

    def apply(self, obj: JsonObject, *, force: bool = False) -> None:
        object_id = ObjectId.of(obj)
        self.results[identity(object_id)] = self.cluster.apply(obj, force=force)
        self.names[str(object_id)] = None

    def delete(self, object_id: ObjectId, uid: str) -> None:
        if not delete(self.cluster, object_id, uid, foreground=False):
            self.names[f"{object_id} (removed)"] = None


def apply(
    cluster: Cluster,
    prepared: Prepared,
    pushed: PushedBundle,
    checks: Checks,
    progress: Progress,
    sleep: Sleep,
) -> Plan:
    """Carry out `prepared`; `pushed` is the proof that what it names can be pulled.

    The plan as it was carried out: nothing in it is unchecked. StoppedError at the first refusal,
    and for what doesn't get ready, which knows what was done before it; a ClusterError before that.
    """
    if str(pushed.bundle.release.index) != prepared.intended.index:
        raise AssertionError("another bundle was pushed than is applied")
    if prepared.plan.empty:
        return prepared.plan
    progress.phase("applying", None)
    deeds = _Deeds(cluster)
    try:
        _carry_out(deeds, prepared, checks, sleep)
    except ClusterError as error:
        raise _stopped(error, deeds, prepared) from error
    return prepared.carried_out(deeds.results)


def _carry_out(deeds: _Deeds, prepared: Prepared, checks: Checks, sleep: Sleep) -> None:
    for each in prepared.home:
        deeds.apply(each.desired)
    heads, rest = _parted([each for each in prepared.present if each.change != "unchanged"])
    _apply_heads(deeds, prepared, heads, sleep)
    _await_served(deeds.cluster, heads, rest, sleep)
    everything = [ObjectId.of(each.desired) for each in prepared.present]
    loaders = [ObjectId.of(each.desired) for each in prepared.present if loads(each.desired)]
    waits_for = [each for each in loaders if each.kind == "Job"]
    for each in rest:
        # They are in the order of `apply_order`: what fills volumes comes before all others.
        if waits_for and not before_workloads(each.desired):
            checks.wait(waits_for)
            waits_for = []
        if each.anew:
            _take_away(deeds, each, sleep)
        deeds.apply(each.desired, force=each.force)
    checks.wait(everything)
    checks.smoke()
    for object_id in prepared.plan.removed:
        deeds.delete(object_id, prepared.uids[object_id])
    deeds.apply(prepared.record.desired, force=prepared.record.force)


def _stopped(error: ClusterError, deeds: _Deeds, prepared: Prepared) -> ClusterError:
    """`error` with what was done before it."""
    if not deeds.names:
        return error
    record = str(record_id(prepared.intended.name, prepared.namespace))
    names = ", ".join(name for name in deeds.names if name != record)
    return StoppedError(error.message, error.hint, names or "nothing")


def with_more(message: str, more: str) -> str:
    """`message` and what follows from it, on a line of its own where that has several."""
    return f"{message}\n{more}" if "\n" in message else f"{message}; {more}"


def _apply_heads(deeds: _Deeds, prepared: Prepared, heads: Sequence[Present], sleep: Sleep) -> None:
    """The journal, namespaces and CRDs; then wait until these are established.

    The journal comes after its own namespace, where the bundle brings that.
    """
    journal = prepared.under_way.secret(prepared.namespace)
    own = ObjectId("v1", "Namespace", None, prepared.namespace)
    for each in heads:
        if ObjectId.of(each.desired) == own:
            deeds.apply(each.desired, force=each.force)
    deeds.apply(journal, force=prepared.record.force)
    for each in heads:
        deeds.apply(each.desired, force=each.force)
    for each in heads:
        if is_crd(ObjectId.of(each.desired)):
            _await_established(deeds.cluster, ObjectId.of(each.desired), sleep)


def _await_served(
    cluster: Cluster, heads: Sequence[Present], rest: Sequence[Present], sleep: Sleep
) -> None:
    """Wait until kinds of the CRDs among `heads` are served in the versions that `rest` has.

    A CRD is established before its kinds are, and all along where it gets one version more.
    """
    cluster.forget()
    defined = {defined_kind(e.desired) for e in heads if is_crd(ObjectId.of(e.desired))}
    for object_id in (ObjectId.of(each.desired) for each in rest):
        # One that doesn't come is refused when it is applied, in the client's words.
        for _ in range(_POLLS if (object_id.group, object_id.kind) in defined else 0):
            if cluster.resource(object_id) is not None:
                break
            sleep(_PAUSE)
            cluster.forget()


def _parted(present: Sequence[Present]) -> tuple[list[Present], list[Present]]:
    heads: list[Present] = []
    rest: list[Present] = []
    for each in present:
        object_id = ObjectId.of(each.desired)
        (heads if is_namespace(object_id) or is_crd(object_id) else rest).append(each)
    return heads, rest


def _take_away(deeds: _Deeds, present: Present, sleep: Sleep) -> None:
    """Delete what is made anew, and wait until it is gone."""
    object_id = ObjectId.of(present.desired)
    if (live := deeds.cluster.get(object_id)) is None:
        return
    deeds.delete(object_id, str(live["metadata"].get("uid")))
    for _ in range(_POLLS):
        if deeds.cluster.get(object_id) is None:
            return
        sleep(_PAUSE)
    raise ClusterError(
        f"{object_id}: is made anew, and the earlier one is still there after "
        f"{_POLLS * _PAUSE:.0f} seconds",
        "find out what holds it (its finalizers); the same command again continues",
    )


def _await_established(cluster: Cluster, crd: ObjectId, sleep: Sleep) -> None:
    for _ in range(_POLLS):
        live = cluster.get(crd)
        state = {each.type: each.status for each in conditions(live or {})}
        if state.get("Established") == "True":
            return
        if state.get("NamesAccepted") == "False":
            raise ClusterError(f"{crd}: its names are taken by another definition")
        sleep(_PAUSE)
    raise ClusterError(
        f"{crd}: not established after {_POLLS * _PAUSE:.0f} seconds",
        "run the same install again; the API server's log says why",
    )
