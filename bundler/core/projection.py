"""Objects as a scanner of plain workloads has to be shown them, so that it looks into every pod.

checkov looks into Pods and into the templates of Kubernetes' own workloads, and into nothing else:
the pod of an InferenceService or a ClusterTrainingRuntime goes by unread. So each object is shown
as it is, and each pod in it that checkov would not find is shown once more, as a Pod or Job of its
own, with the place where it stands. What checkov must not see is left out here: it was read in
version 3.3.30, ``checkov/kubernetes``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bundler.core.objects.jsonpointer import Path
from bundler.core.objects.manifests import JsonObject
from bundler.core.rules import walk
from bundler.core.rules.walk import Pod

# Where checkov finds the pod of a kind by itself, in each of its ways to look for one. In CronJobs
# only some of its checks look, and so they are not here.
_TEMPLATE: Path = ("spec", "template", "spec")
_FOUND: dict[str, Path] = {
    "DaemonSet": _TEMPLATE,
    "Deployment": _TEMPLATE,
    "Job": _TEMPLATE,
    "Pod": ("spec",),
    "ReplicaSet": _TEMPLATE,
    "ReplicationController": _TEMPLATE,
    "StatefulSet": _TEMPLATE,
}
# An object's own word that checks are to be left out: the policy says so, or nobody does.
_LOOK_AWAY = ("checkov.io/skip", "bridgecrew.io/skip", "cortex.io/skip")
# Taken for kustomize's own file and passed over, though Flux has a custom resource called so.
_PASSED_OVER = {"Kustomization": "FluxKustomization"}
# One `name` with such a character, too long or no text, at any depth: the whole object is dropped.
_ILLEGIBLE = str.maketrans("#{}", "___")
_LONGEST_NAME = 253
# A cluster-scoped custom resource makes pods in a namespace that it does not know.
_SOME_NAMESPACE = "airbundle-projection"


@dataclass(frozen=True)
class Shown:
    """What is shown of an object: `path` leads to its pod, or is empty for the object itself."""

    path: Path
    manifest: JsonObject


def project(obj: JsonObject) -> Iterator[Shown]:
    """The object itself, and then every pod in it that checkov would not find there."""
    kind, metadata = obj["kind"], dict(obj["metadata"])
    if "annotations" in metadata:
        metadata["annotations"] = _heard(metadata["annotations"])
    shown = {**obj, "kind": _PASSED_OVER.get(kind, kind), "metadata": metadata}
    template = walk.lookup(obj, "spec", "template")
    if _FOUND.get(kind) == _TEMPLATE and isinstance(template, dict):
        shown["spec"] = {**obj["spec"], "template": _of_no_kind(template)}
    yield Shown((), _legible(shown))
    for pod in walk.pods(obj):
        # Without labels, a pod is taken to be under whatever NetworkPolicy there is.
        if pod.path != _FOUND.get(kind) or not pod.labels:
            yield Shown(pod.path, _legible(_projected(obj, pod)))


def _projected(obj: JsonObject, pod: Pod) -> JsonObject:
    """The pod as an object by itself: a Job when it comes to an end, and so needs no probes."""
    metadata = {"name": obj["metadata"]["name"]}
    namespace = obj["metadata"].get("namespace") or (
        _SOME_NAMESPACE if obj["kind"].startswith("Cluster") else None
    )
    if namespace:
        metadata["namespace"] = namespace
    said = {"annotations": _heard(pod.annotations), "labels": pod.labels}
    if _ends(obj, pod):
        template = {"metadata": said, "spec": pod.spec}
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": metadata,
            "spec": {"template": template},
        }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**metadata, **said}, "spec": pod.spec}


def _ends(obj: JsonObject, pod: Pod) -> bool:
    """By its own word, or because a job stands around it: RayJob, jobTargetRef, replicatedJobs."""
    return pod.spec.get("restartPolicy") in ("Never", "OnFailure") or any(
        "job" in str(step).lower() for step in (obj["kind"], *pod.path)
    )


def _of_no_kind(template: JsonObject) -> JsonObject:
    """Kubernetes has no use for a kind in there; checkov takes the pod for one of that kind."""
    return {key: value for key, value in template.items() if key not in ("apiVersion", "kind")}


def _heard(annotations: Any) -> dict[str, Any]:
    if not isinstance(annotations, dict):
        return {}
    return {
        key: value
        for key, value in annotations.items()
        if not any(word in key for word in _LOOK_AWAY)
    }


def _legible(value: Any) -> Any:
    """`value` with each `name` as checkov takes one; no check of it depends on what is changed."""
    if isinstance(value, list):
        return [_legible(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _name(item) if key == "name" else _legible(item) for key, item in value.items()}


def _name(value: Any) -> Any:
    if isinstance(value, dict | list):
        return _legible(value)
    return str(value).translate(_ILLEGIBLE)[:_LONGEST_NAME]
