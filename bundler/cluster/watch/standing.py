"""How a release stands on the cluster: its objects, what became of them, and who works on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bundler.cluster.client import Cluster
from bundler.cluster.release.lease import holder_of, lease_id
from bundler.cluster.release.record import Journal, Record
from bundler.cluster.watch.diagnosis import explain
from bundler.cluster.watch.wait import readiness
from bundler.core.errors import ClusterError
from bundler.core.objects.differences import Difference, differences
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.objects.observed import Verdict, part, text
from bundler.core.objects.plan import Identity, Owned, identity
from bundler.core.oneline import one_line

_EXPLAINED = 5
_LONGEST = 300

_DOING = {
    "install": "an install of {version} ({target})",
    "rollback": "a rollback to {version} ({target})",
    "going back": "going back to {version} ({target})",
    "uninstall": "an uninstall",
}
_AGAIN = {
    "install": "`airbundle install` of the same file again continues, "
    "`airbundle rollback {name} --key PUB` goes back",
    "rollback": "`airbundle rollback {name} --key PUB` again continues",
    "going back": "`airbundle rollback {name} --key PUB` again continues",
    "uninstall": "`airbundle uninstall {name}` again continues",
}
# A first install has nothing to go back to.
_FIRST = (
    "`airbundle install` of the same file again continues, `airbundle uninstall {name}` takes it "
    "away"
)


@dataclass(frozen=True)
class Standing:
    """One object of a release: how far it is, and what differs from what was applied.

    `drift` is from what was applied to what is there; `unknown` says why it can't be told. `why`
    are lines about what keeps it from being ready.
    """

    id: ObjectId
    made: bool
    state: Verdict | Literal["missing"]
    words: str
    drift: tuple[Difference, ...] = ()
    unknown: str | None = None
    why: tuple[str, ...] = ()

    @property
    def well(self) -> bool:
        """Whether it is there, ready, and as it was applied, as far as that can be told."""
        return self.state == "current" and not self.drift and self.unknown is None


def under_way(cluster: Cluster, record: Record, namespace: str) -> str | None:
    """What goes on with a release, or was cut off, in words; None where it is settled."""
    lease = cluster.get(lease_id(record.name, namespace))
    holder = "" if lease is None else holder_of(lease)
    renewed = text(part(lease or {}, "spec"), "renewTime")
    held = f"{holder} holds the lease, renewed {renewed} by its clock" if holder else ""
    if record.journal is None:
        return held or None
    doing = _DOING[record.journal.doing].format(
        version=record.journal.version, target=record.journal.target
    )
    if held:
        return f"{doing} is going on, or was cut off a moment ago: {held}"
    return f"{doing} was cut off: {_again(record.journal, record.name)}"


def _again(journal: Journal, name: str) -> str:
    first = journal.first and journal.doing == "install"
    return (_FIRST if first else _AGAIN[journal.doing]).format(name=name)


def standings(
    cluster: Cluster, inventory: Sequence[Owned], applied: Sequence[JsonObject]
) -> tuple[Standing, ...]:
    """How each object of an `inventory` stands; `applied` are objects as they were applied.

    Asks the server for a dry run of each of those, as the release's own field manager and by
    force: what it would change is what somebody else changed. Nothing changes. ClusterError when
    the server can't be asked at all.
    """
    desired = {identity(ObjectId.of(obj)): obj for obj in applied}
    return tuple(_each(cluster, inventory, desired))


def _each(
    cluster: Cluster, inventory: Sequence[Owned], desired: Mapping[Identity, JsonObject]
) -> Iterator[Standing]:
    explained = 0
    for owned in inventory:
        if cluster.resource(owned.id) is None:
            words = f"the cluster has no {owned.id.kind} in {owned.id.api_version} any more"
            yield Standing(owned.id, owned.made, "missing", words)
            continue
        live = cluster.get(owned.id)
        if live is None:
            yield Standing(owned.id, owned.made, "missing", "is not there")
            continue
        state = readiness(cluster, owned.id)
        drift, unknown = _drift(cluster, live, desired.get(identity(owned.id)))
        why: tuple[str, ...] = ()
        if state.verdict != "current" and explained < _EXPLAINED:
            explained += 1
            why = explain(cluster, owned.id).lines
        words = one_line(state.words, _LONGEST)
        yield Standing(owned.id, owned.made, state.verdict, words, drift, unknown, why)


def _drift(
    cluster: Cluster, live: JsonObject, desired: JsonObject | None
) -> tuple[tuple[Difference, ...], str | None]:
    if desired is None:
        return (), None
    try:
        restored = cluster.apply(desired, dry_run=True, force=True)
    except ClusterError as error:
        return (), one_line(error.message, _LONGEST)
    return differences(restored, live), None
