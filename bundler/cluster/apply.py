"""A plan carried out: what others need first, then the rest, then the removals, then the record.

Before the first object is touched, the record says what is going on and names the objects of
both releases; killed at any moment, the same install can be run again and ends the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bundler.cluster.client import Cluster
from bundler.cluster.present import Prepared
from bundler.cluster.push import PushedBundle
from bundler.cluster.release import Record, record_id
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.objects.plan import (
    Identity,
    Owned,
    Plan,
    Present,
    identity,
    is_crd,
    is_namespace,
)
from bundler.core.progress import Progress
from bundler.tools.http import Sleep

_POLLS = 120
_PAUSE = 0.5


@dataclass
class _Deeds:
    """What is done on `cluster`, remembered: the objects as they became, and names in order."""

    cluster: Cluster
    results: dict[Identity, JsonObject] = field(default_factory=dict)
    names: dict[str, None] = field(default_factory=dict)

    def apply(self, obj: JsonObject) -> None:
        object_id = ObjectId.of(obj)
        self.results[identity(object_id)] = self.cluster.apply(obj)
        self.names[str(object_id)] = None

    def delete(self, object_id: ObjectId, uid: str) -> None:
        self.cluster.delete(object_id, uid)
        self.names[f"{object_id} (removed)"] = None


def apply(
    cluster: Cluster, prepared: Prepared, pushed: PushedBundle, progress: Progress, sleep: Sleep
) -> Plan:
    """Carry out `prepared`; `pushed` is the proof that what it names can be pulled.

    The plan as it was carried out: nothing in it is unchecked. ClusterError at the first refusal,
    with what was done before it; the record then says that the release is being applied.
    """
    if str(pushed.bundle.release.index) != prepared.intended.index:
        raise AssertionError("another bundle was pushed than is applied")
    if prepared.plan.empty:
        return prepared.plan
    progress.phase("applying", None)
    deeds = _Deeds(cluster)
    try:
        _carry_out(deeds, prepared, sleep)
    except ClusterError as error:
        raise _stopped(error, deeds, prepared) from error
    return prepared.carried_out(deeds.results)


def _carry_out(deeds: _Deeds, prepared: Prepared, sleep: Sleep) -> None:
    for each in prepared.home:
        deeds.apply(each.desired)
    heads, rest = _parted([each for each in prepared.present if each.change != "unchanged"])
    if heads or rest or prepared.plan.removed:
        _apply_heads(deeds, prepared, heads, sleep)
        for each in rest:
            deeds.apply(each.desired)
        for object_id in prepared.plan.removed:
            deeds.delete(object_id, prepared.uids[object_id])
    deeds.apply(prepared.record.desired)


def _stopped(error: ClusterError, deeds: _Deeds, prepared: Prepared) -> ClusterError:
    """`error` with what was done before it, and how to go on."""
    record = str(record_id(prepared.intended.name, prepared.namespace))
    if not deeds.names:
        return error
    names = ", ".join(name for name in deeds.names if name != record)
    notes = [error.hint] if error.hint else []
    if record in deeds.names:
        notes.append(f"the release's record, {record}, notes that it is being applied")
    notes.append("once the cause is gone, the same command again continues")
    return ClusterError(
        f"{error.message}; stopped half way, applied before: {names or 'nothing'}",
        "; ".join(notes),
    )


def _apply_heads(deeds: _Deeds, prepared: Prepared, heads: Sequence[Present], sleep: Sleep) -> None:
    """The journal, namespaces and CRDs; then wait until the kinds are served.

    The journal comes after its own namespace, where the bundle brings that.
    """
    journal = _journal(prepared).secret(prepared.namespace)
    own = ObjectId("v1", "Namespace", None, prepared.namespace)
    for each in heads:
        if ObjectId.of(each.desired) == own:
            deeds.apply(each.desired)
    deeds.apply(journal)
    for each in heads:
        deeds.apply(each.desired)
    for each in heads:
        if is_crd(ObjectId.of(each.desired)):
            _await_established(deeds.cluster, ObjectId.of(each.desired), sleep)
    deeds.cluster.forget()


def _parted(present: Sequence[Present]) -> tuple[list[Present], list[Present]]:
    heads: list[Present] = []
    rest: list[Present] = []
    for each in present:
        object_id = ObjectId.of(each.desired)
        (heads if is_namespace(object_id) or is_crd(object_id) else rest).append(each)
    return heads, rest


def _journal(prepared: Prepared) -> Record:
    """The earlier record, or the new one, with the objects of both and a note of what goes on."""
    base = prepared.before or prepared.intended
    known = {identity(each.id): each for each in base.inventory}
    new = [each for each in prepared.intended.inventory if identity(each.id) not in known]
    both: tuple[Owned, ...] = (*base.inventory, *new)
    return replace(base, inventory=both, journal=f"applying {prepared.intended.index}")


def _conditions(live: JsonObject) -> dict[str, str]:
    status = live.get("status")
    found = status.get("conditions") if isinstance(status, dict) else None
    known = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    return {str(each.get("type")): str(each.get("status")) for each in known}


def _await_established(cluster: Cluster, crd: ObjectId, sleep: Sleep) -> None:
    for _ in range(_POLLS):
        live = cluster.get(crd)
        state = _conditions(live or {})
        if state.get("Established") == "True":
            return
        if state.get("NamesAccepted") == "False":
            raise ClusterError(f"{crd}: its names are taken by another definition")
        sleep(_PAUSE)
    raise ClusterError(
        f"{crd}: not established after {_POLLS * _PAUSE:.0f} seconds",
        "run the same install again; the API server's log says why",
    )
