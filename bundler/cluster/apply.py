"""A plan carried out: what others need first, then the rest, then the removals, then the record.

Before the first object is touched, the record says what is going on and names the objects of
both releases; killed at any moment, the same install can be run again and ends the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bundler.cluster.client import Cluster
from bundler.cluster.present import Prepared
from bundler.cluster.push import PushedBundle
from bundler.cluster.release import Record
from bundler.core.errors import ClusterError
from bundler.core.manifests import ObjectId
from bundler.core.plan import Owned, Present, identity, is_crd, is_namespace
from bundler.core.progress import Progress
from bundler.tools.http import Sleep

_POLLS = 120
_PAUSE = 0.5


def apply(
    cluster: Cluster, prepared: Prepared, pushed: PushedBundle, progress: Progress, sleep: Sleep
) -> None:
    """Carry out `prepared`; `pushed` is the proof that what it names can be pulled.

    ClusterError at the first refusal: the record then says that the release is being applied.
    """
    if str(pushed.bundle.release.index) != prepared.intended.index:
        raise AssertionError("another bundle was pushed than is applied")
    if prepared.plan.empty:
        return
    progress.phase("applying", None)
    if prepared.home is not None:
        cluster.apply(prepared.home)
    heads, rest = _parted([each for each in prepared.present if each.change != "unchanged"])
    if heads or rest or prepared.plan.removed:
        _apply_heads(cluster, prepared, heads, sleep)
        for each in rest:
            cluster.apply(each.desired)
        for object_id in prepared.plan.removed:
            cluster.delete(object_id, prepared.uids[object_id])
    cluster.apply(prepared.record.desired)


def _apply_heads(
    cluster: Cluster, prepared: Prepared, heads: Sequence[Present], sleep: Sleep
) -> None:
    """The journal, namespaces and CRDs; then wait until the kinds are served.

    The journal comes after its own namespace, where the bundle brings that.
    """
    journal = _journal(prepared).secret(prepared.namespace)
    own = ObjectId("v1", "Namespace", None, prepared.namespace)
    for each in heads:
        if ObjectId.of(each.desired) == own:
            cluster.apply(each.desired)
    cluster.apply(journal)
    for each in heads:
        cluster.apply(each.desired)
    for each in heads:
        if is_crd(ObjectId.of(each.desired)):
            _await_established(cluster, ObjectId.of(each.desired), sleep)
    cluster.forget()


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


def _await_established(cluster: Cluster, crd: ObjectId, sleep: Sleep) -> None:
    for _ in range(_POLLS):
        live = cluster.get(crd)
        conditions = ((live or {}).get("status") or {}).get("conditions") or []
        state = {each.get("type"): each.get("status") for each in conditions}
        if state.get("Established") == "True":
            return
        if state.get("NamesAccepted") == "False":
            raise ClusterError(f"{crd}: its names are taken by another definition")
        sleep(_PAUSE)
    raise ClusterError(
        f"{crd}: not established after {_POLLS * _PAUSE:.0f} seconds",
        "run the same install again; the API server's log says why",
    )
