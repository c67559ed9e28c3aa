"""The same bad pod in every kind that holds one, in the shapes of the projects' own examples."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from bundler.core.objects.manifests import JsonObject

_CONTAINER = {
    "name": "kserve-container",
    "image": "model-server:latest",
    "securityContext": {"privileged": True},
}
_SPEC: dict[str, Any] = {"hostNetwork": True, "containers": [_CONTAINER]}
TEMPLATE: dict[str, Any] = {"metadata": {"labels": {"app": "bad"}}, "spec": _SPEC}
_ENDS = {**TEMPLATE, "spec": {**_SPEC, "restartPolicy": "Never"}}
_JOB = {"name": "node", "template": {"spec": {"template": TEMPLATE}}}


def _object(api: str, kind: str, spec: Any, field: str = "spec") -> JsonObject:
    metadata: dict[str, Any] = {"name": kind.lower(), "labels": {"app": "bad"}}
    if not kind.startswith("Cluster"):
        metadata["namespace"] = "serving"
    return {"apiVersion": api, "kind": kind, "metadata": metadata, field: deepcopy(spec)}


def projections() -> list[JsonObject]:
    """One object of each kind; the pods in it are equal but for what the kind demands."""
    kserve, trainer = "serving.kserve.io/v1", "trainer.kubeflow.org/v1alpha1"
    workload = {"selector": {"matchLabels": {"app": "bad"}}, "template": TEMPLATE}
    runtime = {"template": {"spec": {"replicatedJobs": [_JOB, {**_JOB, "name": "more"}]}}}
    patch = {"template": {"spec": {"replicatedJobs": [_JOB]}}}
    return [
        _object("v1", "Pod", _SPEC),
        _object("apps/v1", "Deployment", workload),
        _object("apps/v1", "StatefulSet", {**workload, "serviceName": "bad"}),
        _object("batch/v1", "Job", {"template": _ENDS}),
        _object(
            "batch/v1",
            "CronJob",
            {"schedule": "0 * * * *", "jobTemplate": {"spec": {"template": _ENDS}}},
        ),
        _object("v1", "PodTemplate", TEMPLATE, "template"),
        _object(
            f"{kserve}beta1",
            "InferenceService",
            {"predictor": {"minReplicas": 0, "maxReplicas": 4, **_SPEC}, "transformer": _SPEC},
        ),
        _object(f"{kserve}alpha1", "ServingRuntime", {"supportedModelFormats": [], **_SPEC}),
        _object(f"{kserve}alpha1", "ClusterServingRuntime", {**_SPEC, "workerSpec": _SPEC}),
        _object(trainer, "ClusterTrainingRuntime", {"mlPolicy": {"numNodes": 2}, **runtime}),
        _object(
            trainer,
            "TrainJob",
            {
                "runtimeRef": {"kind": "ClusterTrainingRuntime", "name": "torch-distributed"},
                "trainer": {"image": "train:1", "numNodes": 2},
                "runtimePatches": [{"manager": "me", "trainingRuntimeSpec": patch}],
            },
        ),
        _object("jobset.x-k8s.io/v1alpha2", "JobSet", {"replicatedJobs": [_JOB]}),
        _object(
            "keda.sh/v1alpha1",
            "ScaledJob",
            {"jobTargetRef": {"template": TEMPLATE}, "triggers": [{"type": "kafka"}]},
        ),
    ]
