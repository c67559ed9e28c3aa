"""Whether an object has become what was asked for: the rules of kstatus, over plain data.

They are those of https://github.com/kubernetes-sigs/cli-utils (pkg/kstatus/status, v0.37.2), by
which Flux and Helm wait, too; a test asks that very library. What differs, on purpose:

- a Job, a JobSet and a TrainJob are current only when complete, or suspended by their own spec;
- a pod that ended in failure has failed, where kstatus takes it for done;
- a pod that has no place yet is in progress, where kstatus gives up after 15 seconds by the clock:
  a node may come;
- what has a controller of its own (InferenceService, ScaledObject, APIService) is current when
  that says so, where kstatus takes silence for consent.
"""

from __future__ import annotations

from collections.abc import Callable

from bundler.core.objects import workloads
from bundler.core.objects.manifests import JsonObject
from bundler.core.objects.observed import (
    State,
    conditions,
    current,
    failed,
    number,
    part,
    progressing,
    text,
)


def state(obj: JsonObject) -> State:
    """How far `obj` is, which is complete, its status included.

    What has another type than the API gives it counts as absent.
    """
    rule = _RULES.get((_group(obj), str(obj.get("kind"))), _by_ready)
    return _deleted(obj) or _unobserved(obj) or _declared(obj) or rule(obj)


def _deleted(obj: JsonObject) -> State | None:
    since = text(part(obj, "metadata"), "deletionTimestamp")
    return State("terminating", f"is being deleted since {since}") if since else None


def _unobserved(obj: JsonObject) -> State | None:
    """In progress while its controller has not seen the latest change."""
    generation = number(part(obj, "metadata"), "generation", -1)
    observed = number(part(obj, "status"), "observedGeneration", -1)
    if -1 in (generation, observed) or generation == observed:
        return None
    return progressing("its controller has not seen the latest change yet")


def _declared(obj: JsonObject) -> State | None:
    """What the conditions that kstatus itself proposes say."""
    for each in conditions(obj):
        if (each.type, each.status) == ("Reconciling", "True"):
            return progressing(each.words)
        if (each.type, each.status) == ("Stalled", "True"):
            return failed(each.words)
    return None


def _by_ready(obj: JsonObject) -> State:
    """For kinds without a rule: their Ready, or else that they are there."""
    for each in conditions(obj):
        if each.type == "Ready" and each.status in ("True", "False", "Unknown"):
            return current("ready") if each.status == "True" else progressing(each.words)
    return current("is there")


def _there(_: JsonObject) -> State:
    return current("is there")


def _claim(obj: JsonObject) -> State:
    phase = text(part(obj, "status"), "phase")
    return current("bound") if phase == "Bound" else progressing("not bound to a volume yet")


def _service(obj: JsonObject) -> State:
    spec = part(obj, "spec")
    if spec.get("type") == "LoadBalancer" and not text(spec, "clusterIP"):
        return progressing("has no cluster IP yet")
    return current("is there")


def _definition(obj: JsonObject) -> State:
    for each in conditions(obj):
        if (each.type, each.status) == ("NamesAccepted", "False"):
            return failed(each.words)
        if each.type == "Established" and each.status == "True":
            return current("established")
        if each.type == "Established" and each.status == "False" and each.reason != "Installing":
            return failed(each.words)
    return progressing("not established yet")


def _by_condition(name: str) -> Callable[[JsonObject], State]:
    """The rule of what says by the condition `name` whether it works."""

    def rule(obj: JsonObject) -> State:
        for each in conditions(obj):
            if each.type == name:
                return current(name.lower()) if each.status == "True" else progressing(each.words)
        return progressing("its controller has said nothing yet")

    return rule


_RULES: dict[tuple[str, str], Callable[[JsonObject], State]] = {
    ("", "ConfigMap"): _there,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Pod"): workloads.pod,
    ("", "Secret"): _there,
    ("", "Service"): _service,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("apiregistration.k8s.io", "APIService"): _by_condition("Available"),
    ("apps", "DaemonSet"): workloads.daemon_set,
    ("apps", "Deployment"): workloads.deployment,
    ("apps", "ReplicaSet"): workloads.replica_set,
    ("apps", "StatefulSet"): workloads.stateful_set,
    ("batch", "CronJob"): _there,
    ("batch", "Job"): workloads.job,
    ("jobset.x-k8s.io", "JobSet"): workloads.job_set,
    ("keda.sh", "ScaledObject"): _by_condition("Ready"),
    ("policy", "PodDisruptionBudget"): _there,
    ("serving.kserve.io", "InferenceService"): _by_condition("Ready"),
    ("trainer.kubeflow.org", "TrainJob"): workloads.train_job,
}


def _group(obj: JsonObject) -> str:
    return str(obj.get("apiVersion")).rpartition("/")[0]
