"""How far what runs pods is: the rules of kstatus for workloads (see `kstatus`)."""

from __future__ import annotations

from bundler.core.objects.manifests import JsonObject
from bundler.core.objects.observed import (
    State,
    conditions,
    current,
    failed,
    number,
    part,
    parts,
    progressing,
    text,
)

# The API server gives what nobody set this value, which stands for "no deadline".
_NO_DEADLINE = 2**31 - 1
_THROUGH = ("True", "NewReplicaSetAvailable")


def overdue(obj: JsonObject) -> str:
    """What the controller of a Deployment says once its deadline is over; or nothing."""
    late = (each for each in conditions(obj) if each.reason == "ProgressDeadlineExceeded")
    return next((each.words for each in late if each.type == "Progressing"), "")


def deployment(obj: JsonObject) -> State:
    """Deployment: as many pods of the new version as wanted, available, and no others."""
    if words := overdue(obj):
        return failed(words)
    found = {each.type: each for each in conditions(obj)}
    progress, available = found.get("Progressing"), found.get("Available")
    status, wanted = part(obj, "status"), _replicas(obj)
    there, updated = number(status, "replicas", 0), number(status, "updatedReplicas", 0)
    short = _first_short(
        _of(there, wanted, "replicas there"),
        _of(updated, wanted, "replicas of the new version"),
        _of(number(status, "availableReplicas", 0), updated, "replicas available"),
        _of(number(status, "readyReplicas", 0), wanted, "replicas ready"),
        _surplus(there, wanted, earlier=there - updated),
    )
    if short is not None:
        paused = part(obj, "spec").get("paused") is True
        return progressing(f"{short.words}; the rollout is paused") if paused else short
    deadline = number(part(obj, "spec"), "progressDeadlineSeconds", _NO_DEADLINE)
    through = progress is not None and (progress.status, progress.reason) == _THROUGH
    if deadline != _NO_DEADLINE and not through:
        return progressing("the new version is not there completely")
    if available is None or available.status != "True":
        return progressing("not available yet")
    return current(f"{wanted} of {wanted} replicas available")


def replica_set(obj: JsonObject) -> State:
    """ReplicaSet, which a release seldom has by itself."""
    for each in conditions(obj):
        if (each.type, each.status) == ("ReplicaFailure", "True"):
            return progressing(each.words)
    status, wanted = part(obj, "status"), _replicas(obj)
    return _first_short(
        _of(number(status, "fullyLabeledReplicas", 0), wanted, "replicas there"),
        _of(number(status, "availableReplicas", 0), wanted, "replicas available"),
        _of(number(status, "readyReplicas", 0), wanted, "replicas ready"),
        _surplus(number(status, "replicas", 0), wanted),
    ) or current(f"{wanted} of {wanted} replicas available")


def stateful_set(obj: JsonObject) -> State:
    """StatefulSet: all ready and of the new version, or those behind its partition."""
    strategy = part(part(obj, "spec"), "updateStrategy")
    if strategy.get("type") == "OnDelete":
        return current("its pods are replaced by whoever deletes them")
    status, wanted = part(obj, "status"), _replicas(obj)
    there, updated = number(status, "replicas", 0), number(status, "updatedReplicas", 0)
    short = _first_short(
        _of(there, wanted, "replicas there"),
        _of(number(status, "readyReplicas", 0), wanted, "replicas ready"),
        _surplus(there, wanted),
    )
    if short is not None:
        return short
    ready = current(f"{wanted} of {wanted} replicas ready")
    partition = number(part(strategy, "rollingUpdate"), "partition", -1)
    if partition != -1:
        share = _of(updated, wanted - partition, "replicas of the new version")
        return _first_short(share) or ready
    present = _of(number(status, "currentReplicas", 0), wanted, "replicas of the new version")
    if (short := _first_short(present)) is not None:
        return short
    if text(status, "currentRevision") != text(status, "updateRevision"):
        return progressing("the new version is not there completely")
    return ready


def daemon_set(obj: JsonObject) -> State:
    """DaemonSet: a pod of the new version on every node that should have one."""
    status = part(obj, "status")
    wanted = number(status, "desiredNumberScheduled", -1)
    unseen = "generation" not in part(obj, "metadata") or "observedGeneration" not in status
    if wanted == -1 or unseen:
        return progressing("its controller has not seen it yet")
    return _first_short(
        _of(number(status, "currentNumberScheduled", 0), wanted, "nodes have a pod"),
        _of(number(status, "updatedNumberScheduled", 0), wanted, "nodes have the new version"),
        _of(number(status, "numberAvailable", 0), wanted, "nodes have an available pod"),
        _of(number(status, "numberReady", 0), wanted, "nodes have a ready pod"),
    ) or current(f"{wanted} of {wanted} nodes have an available pod")


def pod(obj: JsonObject) -> State:
    """Pod: ready, or completed."""
    status = part(obj, "status")
    phase = text(status, "phase")
    if phase == "Succeeded":
        return current("completed")
    if phase == "Failed":
        why = text(status, "message") or text(status, "reason")
        return failed(f"ended in failure: {why}" if why else "ended in failure")
    if phase != "Running":
        return progressing(_waits_for(obj) or "not running yet")
    if any((each.type, each.status) == ("Ready", "True") for each in conditions(obj)):
        return current("ready")
    looping = [
        text(each, "name")
        for each in parts(status, "containerStatuses")
        if part(part(each, "state"), "waiting").get("reason") == "CrashLoopBackOff"
    ]
    if looping:
        return failed(f"crashes again and again: {', '.join(looping)}")
    return progressing("runs, but is not ready")


def _waits_for(obj: JsonObject) -> str:
    """The scheduler's words about a pod that it has no node for."""
    for each in conditions(obj):
        if (each.type, each.status) == ("PodScheduled", "False") and each.reason == "Unschedulable":
            return f"no node takes it: {each.words}"
    return ""


def job(obj: JsonObject) -> State:
    """Job: complete; its pods may fail on the way."""
    if (ended := _ended(obj, "Complete")) is not None:
        return ended
    status, spec = part(obj, "status"), part(obj, "spec")
    if not text(status, "startTime"):
        return progressing("not started yet")
    wanted = number(spec, "completions", number(spec, "parallelism", 1))
    lost = number(status, "failed", 0)
    tried = f", {lost} failed" if lost else ""
    return progressing(f"{number(status, 'succeeded', 0)} of {wanted} completions{tried}")


def train_job(obj: JsonObject) -> State:
    """TrainJob of Kubeflow: complete."""
    return _ended(obj, "Complete") or progressing("not complete yet")


def job_set(obj: JsonObject) -> State:
    """JobSet: completed."""
    return _ended(obj, "Completed") or progressing("not complete yet")


def _ended(obj: JsonObject, complete: str) -> State | None:
    """How something that runs to its end did end, or that it is not meant to begin yet."""
    for each in conditions(obj):
        if each.status == "True" and each.type == complete:
            return current("complete")
        if each.status == "True" and each.type == "Failed":
            return failed(f"failed: {each.words}")
    if part(obj, "spec").get("suspend") is True:
        return current("suspended, as its spec says")
    return None


def _of(have: int, want: int, what: str) -> tuple[bool, str]:
    return have < want, f"{have} of {want} {what}"


def _surplus(there: int, wanted: int, earlier: int = 0) -> tuple[bool, str]:
    """More than wanted: `earlier` ones, of the version before, or simply too many."""
    count, which = (earlier, "of the earlier version") if earlier else (there - wanted, "too many")
    replicas = f"1 replica {which} is" if count == 1 else f"{count} replicas {which} are"
    return there > wanted, f"{replicas} still to end"


def _first_short(*lacks: tuple[bool, str]) -> State | None:
    """In progress by the first of `lacks` (whether it is one, and its words) that is one."""
    return next((progressing(words) for lacking, words in lacks if lacking), None)


def _replicas(obj: JsonObject) -> int:
    return number(part(obj, "spec"), "replicas", 1)
