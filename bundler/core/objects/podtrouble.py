"""What keeps a pod from being ready, in words: read off its status.

Reasons are those of kubelet (pkg/kubelet/images/types.go, pkg/kubelet/container) and scheduler.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bundler.core.objects.manifests import JsonObject
from bundler.core.objects.observed import conditions, number, part, parts, text

# So often a container may crash before the wait for it ends: from then on, kubelet starts it only
# once in five minutes.
CRASHES = 5

_NEVER = frozenset({"InvalidImageName", "ErrImageNeverPull"})
_BUSY = frozenset({"ContainerCreating", "PodInitializing"})
_PULL = "nodes must reach the registry, trust its certificate and have a login where it wants one"
_START = "its command must be in its image, and what it mounts must be there"
_REMEDIES = {
    "ErrImagePull": _PULL,
    "ImagePullBackOff": _PULL,
    "RegistryUnavailable": _PULL,
    "CreateContainerError": _START,
    "RunContainerError": _START,
    "CreateContainerConfigError": "make the Secret or ConfigMap that it names",
    "CrashLoopBackOff": "its last log lines are what it said before it ended",
}
_ROOM = "give it a node: free one, add one, or ask for less"
_MEMORY = "raise its memory limit, or give it less to hold"
_PROBE = "its probe must be answered: look at its log, and at the probe's path and port"


@dataclass(frozen=True)
class Trouble:
    """One thing that keeps a pod from being ready.

    `container` is whose log tells more, empty when none does; `previous`: the log of before its
    last restart. `hopeless`: waiting longer doesn't mend it.
    """

    words: str
    remedy: str = ""
    container: str = ""
    previous: bool = False
    hopeless: bool = False


def troubles(pod: JsonObject) -> tuple[Trouble, ...]:
    """What keeps `pod` from being ready; nothing for one that is."""
    if text(part(pod, "metadata"), "deletionTimestamp"):
        return (Trouble("is being deleted"),)
    status = part(pod, "status")
    phase = text(status, "phase")
    if phase == "Succeeded" or _is_ready(pod):
        return ()
    if phase == "Failed":
        why = ": ".join(filter(None, (text(status, "reason"), text(status, "message"))))
        return (Trouble(f"ended in failure: {why}" if why else "ended in failure"), *_each(pod))
    return tuple(_unplaced(pod)) or tuple(_each(pod)) or (Trouble(_unexplained(pod)),)


def _is_ready(pod: JsonObject) -> bool:
    return any((each.type, each.status) == ("Ready", "True") for each in conditions(pod))


def _unplaced(pod: JsonObject) -> Iterator[Trouble]:
    for each in conditions(pod):
        if (each.type, each.status) == ("PodScheduled", "False"):
            yield Trouble(f"no node takes it ({each.reason}): {each.message}", _ROOM)


def _unexplained(pod: JsonObject) -> str:
    """What the pod says where none of its containers says anything."""
    said = {each.type: each for each in conditions(pod) if each.status == "False"}
    ready = said.get("Ready")
    if ready is not None and ready.reason == "ReadinessGatesNotReady":
        return f"is not ready: {ready.words}"
    return "is being started"


def _each(pod: JsonObject) -> Iterator[Trouble]:
    status = part(pod, "status")
    for container in parts(status, "initContainerStatuses"):
        if (trouble := _container(pod, container, "init container")) is not None:
            yield trouble
    if any(each.type == "Initialized" and each.status == "False" for each in conditions(pod)):
        return
    for container in parts(status, "containerStatuses"):
        if (trouble := _container(pod, container, "container")) is not None:
            yield trouble


def _container(pod: JsonObject, container: JsonObject, kind: str) -> Trouble | None:
    name = text(container, "name")
    state, before = part(container, "state"), part(part(container, "lastState"), "terminated")
    waiting, ended = part(state, "waiting"), part(state, "terminated")
    reason = text(waiting, "reason")
    if reason == "CrashLoopBackOff":
        restarts = number(container, "restartCount", 0)
        remedy = _MEMORY if text(before, "reason") == "OOMKilled" else _REMEDIES[reason]
        words = f"{kind} {name} crashed {restarts} times: {_end(pod, name, before)}"
        return Trouble(words, remedy, name, bool(before), restarts >= CRASHES)
    if reason in _BUSY:
        return Trouble(f"{kind} {name} is being started ({reason})")
    if reason:
        words = f"{kind} {name}: {reason}: {text(waiting, 'message')}"
        return Trouble(words, _REMEDIES.get(reason, ""), hopeless=reason in _NEVER)
    if ended and number(ended, "exitCode", 0) != 0:
        remedy = _MEMORY if text(ended, "reason") == "OOMKilled" else _REMEDIES["CrashLoopBackOff"]
        words = f"{kind} {name} ended: {_end(pod, name, ended)}{_again(container)}"
        return Trouble(words, remedy, name)
    if "running" in state and container.get("ready") is not True:
        return _unready(container, kind, name, before)
    return None


def _unready(container: JsonObject, kind: str, name: str, before: JsonObject) -> Trouble:
    if kind == "init container":
        return Trouble(f"{kind} {name} is still running", "", name)
    if container.get("started") is False:
        words = f"{kind} {name} runs, but has not passed its startup probe{_again(container)}"
    else:
        words = f"{kind} {name} runs, but is not ready{_again(container)}"
    return Trouble(words, _PROBE, name, bool(before))


def _again(container: JsonObject) -> str:
    restarts = number(container, "restartCount", 0)
    return f" (restarted {restarts} times)" if restarts else ""


def _end(pod: JsonObject, name: str, ended: JsonObject) -> str:
    """How a container ended: ``OOMKilled (memory limit 64Mi)``, ``exit code 1``."""
    reason, message = text(ended, "reason"), text(ended, "message")
    limit = next(
        (
            part(part(each, "resources"), "limits").get("memory")
            for each in (*_specs(pod, "containers"), *_specs(pod, "initContainers"))
            if each.get("name") == name
        ),
        None,
    )
    if reason == "OOMKilled":
        return f"OOMKilled (memory limit {limit})" if limit else "OOMKilled"
    code = f"exit code {number(ended, 'exitCode', 0)}"
    if reason not in ("", "Error", "Completed"):
        code = f"{reason}, {code}"
    return f"{code}: {message}" if message else code


def _specs(pod: JsonObject, key: str) -> tuple[JsonObject, ...]:
    return parts(part(pod, "spec"), key)
