"""All of it or nothing: an install that fails goes back to what was there before by itself.

One at a time (a lease), noted before the first object is touched (the journal in the record), and
continued by whoever runs the same command again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from bundler.cluster.client import Cluster
from bundler.cluster.planning.present import Intent, Prepared, is_ours, prepare
from bundler.cluster.push import PushedBundle
from bundler.cluster.release.lease import held
from bundler.cluster.release.record import Record, is_made_by_releases, record_id
from bundler.cluster.transaction.apply import Checks, StoppedError, apply, with_more
from bundler.cluster.transaction.removal import plan_removal, remove
from bundler.core.errors import BundlerError, ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.objects.plan import Plan, Present
from bundler.core.progress import Progress
from bundler.tools.http import Sleep


@dataclass(frozen=True)
class WayBack:
    """The release that is there, as it can be made again: its objects, and the proof of images."""

    objects: tuple[JsonObject, ...]
    pushed: PushedBundle


@dataclass(frozen=True)
class Manner:
    """How patiently: seconds until objects must be ready (0 waits for nothing), and whether what
    failed is left as it is, for looking."""

    timeout: float = 600.0
    keep_failed: bool = False


PATIENT = Manner()


def transact(
    cluster: Cluster,
    prepared: Prepared,
    pushed: PushedBundle,
    back: WayBack | None,
    checks: Checks,
    manner: Manner,
    progress: Progress,
    sleep: Sleep,
) -> Plan:
    """Carry out `prepared`; when that fails, go `back`, or away where nothing was installed.

    The plan as it was carried out. ClusterError that says what failed and what is there now; the
    same one when another install is going on, or went on since the plan was made, or somebody
    made what it would make.
    """
    if prepared.plan.empty:
        return prepared.plan
    fresh = _make_home(cluster, prepared)
    with held(cluster, prepared.intended.name, prepared.namespace, sleep) as lease:
        ours = cluster.guarded(lease.require)
        _require_unmoved(ours, prepared)
        for each in prepared.present:
            # What is in a namespace made a moment ago is the cluster's: its account, say.
            if not (fresh and ObjectId.of(each.desired).namespace == prepared.namespace):
                _require_absent(ours, each)
        checks.pushed()
        try:
            return apply(ours, prepared, pushed, checks, progress, sleep)
        except StoppedError as error:
            if manner.keep_failed:
                raise _left(error, prepared) from error
            undo = _going(ours, prepared, back, checks, manner, progress, sleep)
            raise _undone(error, undo, prepared) from error


def _going(
    cluster: Cluster,
    prepared: Prepared,
    back: WayBack | None,
    checks: Checks,
    manner: Manner,
    progress: Progress,
    sleep: Sleep,
) -> Callable[[], str]:
    """What undoes it, and says in words what is there then."""
    earlier = prepared.before

    def away() -> str:
        record, namespace = prepared.under_way, prepared.namespace
        plan = plan_removal(cluster, record, namespace, data=False, fresh=_made(prepared))
        removal = remove(cluster, record, namespace, plan, manner.timeout, progress, sleep)
        left = ", ".join(str(each.id) for each in removal.kept)
        return f"what it made was removed again{f' (kept: {left})' if left else ''}"

    def returned() -> str:
        assert earlier is not None
        assert back is not None  # whoever has no way back doesn't set out, or keeps what failed
        intent = Intent(
            Record(earlier.name, earlier.installed, ()),
            back.objects,
            prepared.namespace,
            "going back",
            # Who wrote a field meanwhile, an autoscaler say, doesn't keep us half way.
            take_ownership=True,
            made=_made(prepared),
        )
        again = prepare(cluster, intent)
        apply(cluster, again, back.pushed, replace(checks, smoke=_unasked), progress, sleep)
        return f"{earlier.name} {earlier.version} is what runs, as before"

    return away if prepared.journal.first else returned


def _made(prepared: Prepared) -> tuple[ObjectId, ...]:
    """What was not there when the plan was made: this run brought it."""
    return tuple(ObjectId.of(each.desired) for each in prepared.present if each.live is None)


def _unasked() -> None:
    """What was asked of the earlier release when it was installed is not asked again."""


def _undone(error: StoppedError, undo: Callable[[], str], prepared: Prepared) -> ClusterError:
    """What to tell of `error`, after trying to `undo` what it left."""
    try:
        said = undo()
    except BundlerError as second:
        why = second.halfway if isinstance(second, StoppedError) else second.message
        return ClusterError(
            with_more(error.halfway, f"going back failed, too: {why}"),
            f"the record, {_record(prepared)}, says how far it came: once the cause is gone, the "
            "same command again continues",
        )
    return ClusterError(with_more(error.message, said), error.hint)


def _left(error: StoppedError, prepared: Prepared) -> ClusterError:
    note = (
        f"it is left as it is (--keep-failed); the record, {_record(prepared)}, says so: the same "
        f"command again continues, airbundle rollback {prepared.intended.name} --key PUB goes "
        "back, and airbundle uninstall takes it away"
    )
    return ClusterError(error.halfway, f"{error.hint}\n{note}" if error.hint else note)


def _record(prepared: Prepared) -> ObjectId:
    return record_id(prepared.intended.name, prepared.namespace)


def _make_home(cluster: Cluster, prepared: Prepared) -> bool:
    """The namespace of the record, where the lease lies, too; whether it was not there."""
    fresh = False
    own = ObjectId("v1", "Namespace", None, prepared.namespace)
    for each in (*prepared.home, *prepared.present):
        if ObjectId.of(each.desired) == own and each.live is None:
            # Two releases that are installed first at the same time make it together.
            _require_absent(cluster, each, shared=each in prepared.home)
            cluster.apply(each.desired)
            fresh = True
    return fresh


def _require_absent(cluster: Cluster, present: Present, *, shared: bool = False) -> None:
    """ClusterError when what was to be made is there by now, and not by us: it would become ours,
    and go with what failed. What is `shared` may be another release's."""
    object_id = ObjectId.of(present.desired)
    if present.live is not None or cluster.resource(object_id) is None:
        return
    live = cluster.get(object_id)
    if live is None or (shared and is_made_by_releases(live)):
        return
    if not is_ours(cluster, live):
        raise ClusterError(
            f"{object_id}: was made by somebody else since the plan was made; nothing of the "
            "release was touched",
            "run the same command again: the new plan says whose it is",
        )


def _require_unmoved(cluster: Cluster, prepared: Prepared) -> None:
    """ClusterError when the record isn't the one that the plan was made for."""
    live, planned = cluster.get(_record(prepared)), prepared.record.live
    if _version(live) != _version(planned):
        raise ClusterError(
            f"{_record(prepared)}: another install went on since the plan was made",
            "look at `airbundle status`, then run the same command again",
        )


def _version(live: JsonObject | None) -> object:
    return None if live is None else live["metadata"].get("resourceVersion")
