"""Why an object is not ready: its pods, their events and last log lines, within bounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from bundler.cluster.client import Cluster
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.objects.observed import conditions, number, part, parts, text
from bundler.core.objects.podtrouble import Trouble, troubles
from bundler.core.oneline import one_line

_PODS = 3
_EVENTS = 3
_LOG_LINES = 10
_WIDTH = 600

# What runs pods without naming them by a selector: the label that its controller gives them.
_LABELS = {
    ("serving.kserve.io", "InferenceService"): "serving.kserve.io/inferenceservice",
    ("trainer.kubeflow.org", "TrainJob"): "jobset.sigs.k8s.io/jobset-name",
    ("jobset.x-k8s.io", "JobSet"): "jobset.sigs.k8s.io/jobset-name",
}
_OPERATORS = {"In": "in", "NotIn": "notin"}
_ADMISSION = "what refuses its pods (a quota, Pod Security, a webhook) is named above"
# What keeps the versions of a kind, and the label that tells their pods apart.
_REVISIONS = {
    "Deployment": ("ReplicaSet", "pod-template-hash"),
    "DaemonSet": ("ControllerRevision", "controller-revision-hash"),
}
# Events that say no more than the state of a container does.
_EMPTY = ("Error: ImagePullBackOff", "Error: ErrImagePull", "Back-off ")


@dataclass(frozen=True)
class Explained:
    """What was found about an object: lines to read, and what to do; `cause` is a pod's."""

    lines: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()
    cause: str = ""


def explain(cluster: Cluster, object_id: ObjectId) -> Explained:
    """Why `object_id` is not ready, as far as we may ask; every line is fit for a terminal."""
    try:
        return _explained(cluster, object_id)
    except ClusterError as error:
        return Explained((one_line(f"why can't be asked: {error.message}", _WIDTH),), ())


def _explained(cluster: Cluster, object_id: ObjectId) -> Explained:
    live = cluster.get(object_id)
    if live is None:
        return Explained((), ())
    pods = _troubled(cluster, live)
    lines = [each.words for each in conditions(live) if each.type == "ReplicaFailure"]
    lines += _events(cluster, live, lines, warnings=bool(pods or lines))
    for pod, found in pods[:_PODS]:
        lines += _of_pod(cluster, pod, found)
    if len(pods) > _PODS:
        lines.append(f"… and {len(pods) - _PODS} more pods")
    if not pods:
        lines += _of_replica_set(cluster, live, lines)
    shown = tuple(dict.fromkeys(_indented(line) for line in lines))
    remedies = [each.remedy for _, found in pods[:_PODS] for each in found if each.remedy]
    if any("FailedCreate" in line or "forbidden" in line for line in lines):
        remedies.append(_ADMISSION)
    causes = (each.words for _, found in pods for each in found if each.remedy)
    return Explained(shown, tuple(dict.fromkeys(remedies)), next(causes, ""))


def hopeless(cluster: Cluster, object_id: ObjectId) -> bool:
    """Whether a pod of `object_id` is in a state that waiting doesn't mend.

    How often a Job may crash is said by the Job itself. Who may not look at pods waits for them.
    """
    patient = (object_id.group, object_id.kind) == ("batch", "Job")
    try:
        live = cluster.get(object_id)
        pods = [] if live is None else _troubled(cluster, live)
    except ClusterError:
        return False
    found = [each for _, known in pods for each in known if each.hopeless]
    return any(not (patient and each.container) for each in found)


def _troubled(cluster: Cluster, live: JsonObject) -> list[tuple[JsonObject, tuple[Trouble, ...]]]:
    """The pods of `live` that something is wrong with, the youngest first."""
    pods = sorted(_pods(cluster, live), key=_age, reverse=True)
    return [(pod, found) for pod in pods if (found := troubles(pod))]


def _of_pod(cluster: Cluster, pod: JsonObject, found: Sequence[Trouble]) -> Iterator[str]:
    for each in found:
        yield f"Pod {pod['metadata']['name']}: {each.words}"
        yield from (f"  | {line}" for line in _log(cluster, pod, each))
    said = [each.words for each in found]
    yield from (f"  {line}" for line in _events(cluster, pod, said))


def _age(obj: JsonObject) -> str:
    return text(part(obj, "metadata"), "creationTimestamp")


def _pods(cluster: Cluster, live: JsonObject) -> list[JsonObject]:
    object_id = ObjectId.of(live)
    if (object_id.group, object_id.kind) == ("", "Pod"):
        return [live]
    selector = _selector(live, object_id)
    if not selector or object_id.namespace is None:
        return []
    latest = _revision(cluster, live, selector)
    selected = f"{selector},{latest}" if latest else selector
    return cluster.list(ObjectId("v1", "Pod", object_id.namespace, "any"), "", selected)


def _revision(cluster: Cluster, live: JsonObject, selector: str) -> str:
    """What selects the pods of the latest version: those of the earlier one have their own woes."""
    object_id = ObjectId.of(live)
    if object_id.group != "apps":
        return ""
    if object_id.kind == "StatefulSet":
        revision = text(part(live, "status"), "updateRevision")
        return f"controller-revision-hash={revision}" if revision else ""
    kind, label = _REVISIONS.get(object_id.kind, ("", ""))
    if not kind:
        return ""
    made = cluster.list(ObjectId("apps/v1", kind, object_id.namespace, "any"), "", selector)
    latest = max(made, key=_number_of, default={})
    value = text(part(part(latest, "metadata"), "labels"), label)
    return f"{label}={value}" if value else ""


def _number_of(revision: JsonObject) -> int:
    """Which one in the row of its kind a ReplicaSet or ControllerRevision is."""
    annotations = part(part(revision, "metadata"), "annotations")
    said = text(annotations, "deployment.kubernetes.io/revision")
    return int(said) if said.isdecimal() else number(revision, "revision", 0)


def _selector(live: JsonObject, object_id: ObjectId) -> str:
    """What selects the pods of `live`, as a query has it; empty for what has none."""
    label = _LABELS.get((object_id.group, object_id.kind))
    if label is not None:
        return f"{label}={object_id.name}"
    if object_id.group not in ("apps", "batch"):
        return ""
    return ",".join(_requirements(part(part(live, "spec"), "selector")))


def _requirements(selector: JsonObject) -> Iterator[str]:
    for key, value in part(selector, "matchLabels").items():
        yield f"{key}={value}"
    for each in parts(selector, "matchExpressions"):
        key, operator = text(each, "key"), text(each, "operator")
        values = each.get("values")
        if operator in _OPERATORS and isinstance(values, list):
            yield f"{key} {_OPERATORS[operator]} ({','.join(map(str, values))})"
        elif operator in ("Exists", "DoesNotExist"):
            yield key if operator == "Exists" else f"!{key}"


def _of_replica_set(cluster: Cluster, live: JsonObject, said: Sequence[str]) -> Sequence[str]:
    """What is said of the latest ReplicaSet of a Deployment without pods: a quota, a webhook."""
    object_id = ObjectId.of(live)
    if (object_id.group, object_id.kind) != ("apps", "Deployment"):
        return ()
    kind = ObjectId("apps/v1", "ReplicaSet", object_id.namespace, "any")
    found = sorted(cluster.list(kind, "", _selector(live, object_id)), key=_number_of)
    return _events(cluster, found[-1], said) if found else ()


def _events(
    cluster: Cluster, live: JsonObject, said: Sequence[str], *, warnings: bool = False
) -> list[str]:
    """The latest warnings about `live` that `said` doesn't say already.

    When there are none, the latest event, unless it is to be `warnings` only.
    """
    metadata = live["metadata"]
    place = ObjectId("v1", "Event", metadata.get("namespace") or "default", "any")
    events = cluster.list(place, f"involvedObject.uid={metadata.get('uid')}")
    # The latest of each reason: the same refusal may differ in a port or a time.
    latest = {text(each, "reason"): each for each in sorted(events, key=_when) if _says(each, said)}
    alarming = [each for each in latest.values() if each.get("type") == "Warning"]
    rest = [] if warnings else list(latest.values())[-1:]
    return [_event(each) for each in alarming[-_EVENTS:] or rest]


def _says(event: JsonObject, said: Sequence[str]) -> bool:
    """Whether a message has an end (``Error: exit 3``) that was not `said` before."""
    message = text(event, "message")
    core = message.partition(": ")[2] or message
    return not message.startswith(_EMPTY) and not any(core in each for each in said)


def _when(event: JsonObject) -> str:
    series = part(event, "series")
    last = text(series, "lastObservedTime") or text(event, "lastTimestamp")
    return last or text(event, "eventTime") or _age(event)


def _event(event: JsonObject) -> str:
    count = max(number(event, "count", 1), number(part(event, "series"), "count", 1))
    times = f" ({count} times)" if count > 1 else ""
    return f"{text(event, 'reason')}{times}: {text(event, 'message')}"


def _log(cluster: Cluster, pod: JsonObject, trouble: Trouble) -> Sequence[str]:
    """The last lines of the container that `trouble` names, as far as there are any."""
    if not trouble.container:
        return ()
    try:
        lines = _lines(cluster, pod, trouble.container, trouble.previous)
    except ClusterError as error:
        return (f"(no log: {error.message})",)
    if not lines and not trouble.previous:
        # It may have begun anew since its state was read, and is still silent.
        with suppress(ClusterError):
            lines = _lines(cluster, pod, trouble.container, True)
    return lines or ("(no log)",)


def _lines(cluster: Cluster, pod: JsonObject, container: str, previous: bool) -> list[str]:
    found = cluster.logs(ObjectId.of(pod), container, _LOG_LINES, previous=previous)
    return [line for line in found.splitlines() if line.strip()][-_LOG_LINES:]


def _indented(line: str) -> str:
    """`line` as it may be shown, with the blanks that it begins with."""
    blanks = len(line) - len(line.lstrip(" "))
    return " " * blanks + one_line(line, _WIDTH)
