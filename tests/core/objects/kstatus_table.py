"""Objects in every state that kstatus tells apart, and combinations that nobody thought of."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from bundler.core.objects.manifests import JsonObject

TRUE = "True"


def live(
    kind: str,
    status: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    **metadata: Any,
) -> JsonObject:
    """An object of `kind` (``apps/v1 Deployment``) as the API server would give it."""
    version, name = kind.split(" ")
    made: JsonObject = {"apiVersion": version, "kind": name, "metadata": {"name": "x"} | metadata}
    return made | {"spec": spec or {}} | ({} if status is None else {"status": status})


def condition(kind: str, status: str = TRUE, reason: str = "", message: str = "") -> JsonObject:
    """One condition."""
    return {"type": kind, "status": status, "reason": reason, "message": message}


def conditions(*each: JsonObject) -> dict[str, Any]:
    """A status that is only conditions."""
    return {"conditions": list(each)}


_PROGRESS = (
    None,
    condition("Progressing", TRUE, "NewReplicaSetAvailable"),
    condition("Progressing", TRUE, "ReplicaSetUpdated"),
    condition("Progressing", "False", "ProgressDeadlineExceeded", "took too long"),
)
_AVAILABLE = (None, condition("Available"), condition("Available", "False", "MinimumReplicas"))


def deployments() -> Iterator[JsonObject]:
    """Counts from 0 to 2 in every field, with and without conditions and a deadline."""
    for wanted, counts in itertools.product((0, 2, None), itertools.product((0, 1, 2), repeat=4)):
        yield from (
            _deployment(wanted, counts, (progress, available), deadline)
            for progress, available in itertools.product(_PROGRESS, _AVAILABLE)
            for deadline in (600, None)
        )


def _deployment(
    wanted: int | None,
    counts: tuple[int, ...],
    said: tuple[JsonObject | None, ...],
    deadline: int | None,
) -> JsonObject:
    names = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    status = dict(zip(names, counts, strict=True)) | conditions(*filter(None, said))
    spec = {"replicas": wanted, "progressDeadlineSeconds": deadline}
    return live("apps/v1 Deployment", status, {key: n for key, n in spec.items() if n is not None})


def replica_sets() -> Iterator[JsonObject]:
    """Counts from 0 to 2 in every field, with and without a failure."""
    names = ("replicas", "readyReplicas", "availableReplicas", "fullyLabeledReplicas")
    for wanted, *counts in itertools.product((0, 1, 2), repeat=5):
        status = dict(zip(names, counts, strict=True))
        for failure in ((), (condition("ReplicaFailure", TRUE, "FailedCreate", "quota"),)):
            yield live("apps/v1 ReplicaSet", status | conditions(*failure), {"replicas": wanted})


def stateful_sets() -> Iterator[JsonObject]:
    """Counts from 0 to 2 in every field, with all strategies and two revisions."""
    names = ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas")
    strategies: tuple[dict[str, Any], ...] = (
        {},
        {"type": "OnDelete"},
        {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}},
        {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
    )
    for wanted, *counts in itertools.product((0, 1, 2), repeat=5):
        for strategy, revision in itertools.product(strategies, ("a", "b")):
            status = dict(zip(names, counts, strict=True))
            status |= {"currentRevision": "a", "updateRevision": revision}  # type: ignore[dict-item]
            spec = {"replicas": wanted, "updateStrategy": strategy}
            yield live("apps/v1 StatefulSet", status, spec)


def daemon_sets() -> Iterator[JsonObject]:
    """Counts from 0 to 1 in every field, seen and not seen by their controller."""
    names = ("desired", "current", "updated")
    for counts in itertools.product((0, 1), repeat=5):
        status = {f"{name}NumberScheduled": n for name, n in zip(names, counts, strict=False)}
        status |= {"numberAvailable": counts[3], "numberReady": counts[4]}
        yield live("apps/v1 DaemonSet", status | {"observedGeneration": 1}, generation=1)
        yield live("apps/v1 DaemonSet", status)
        del status["desiredNumberScheduled"]
        yield live("apps/v1 DaemonSet", status | {"observedGeneration": 1}, generation=1)


def pods() -> Iterator[JsonObject]:
    """Every phase but those where we differ, ready or not, crashing or not."""
    crash = {"name": "web", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    waits = {"name": "web", "state": {"waiting": {"reason": "ContainerCreating"}}}
    runs = {"name": "web", "state": {"running": {}}}
    for phase, ready in itertools.product(
        ("Pending", "Running", "Succeeded", None), (TRUE, "False")
    ):
        for statuses in ([], [crash], [waits, crash], [waits], [runs]):
            status = conditions(condition("Ready", ready)) | {"containerStatuses": statuses}
            yield live("v1 Pod", status | ({} if phase is None else {"phase": phase}))


def others() -> Iterator[JsonObject]:
    """What is the same for all kinds, and the kinds with a rule in a line."""
    crd = "apiextensions.k8s.io/v1 CustomResourceDefinition"
    for names, established in itertools.product((TRUE, "False"), (TRUE, "False", "Unknown")):
        for reason in ("Installing", "Other"):
            parts = condition("NamesAccepted", names), condition("Established", established, reason)
            yield live(crd, conditions(*parts))
            yield live(crd, conditions(*reversed(parts)))
    for kind in ("v1 ConfigMap", "example.org/v1 Thing", "apps/v1 Deployment", "v1 Node"):
        yield live(kind)
        yield live(kind, deletionTimestamp="2026-01-01T00:00:00Z")
        yield live(kind, {"observedGeneration": 1}, generation=2)
        yield live(kind, {"observedGeneration": 2}, generation=2)
        for name in ("Ready", "Reconciling", "Stalled", "Available"):
            for status in (TRUE, "False", "Unknown", "Odd"):
                yield live(kind, conditions(condition(name, status)))
    yield live("example.org/v1 Thing", conditions(condition("Stalled"), condition("Reconciling")))
    yield live("example.org/v1 Thing", conditions(condition("Reconciling"), condition("Stalled")))
    for phase in ("Bound", "Pending", "Lost"):
        yield live("v1 PersistentVolumeClaim", {"phase": phase})
    yield live("v1 PersistentVolumeClaim")
    for kind, address in itertools.product(("ClusterIP", "LoadBalancer"), ("", "10.0.0.1")):
        yield live("v1 Service", {}, {"type": kind, "clusterIP": address})
    yield live("batch/v1 CronJob", {}, {"suspend": True})
    yield live("policy/v1 PodDisruptionBudget")
    yield live("batch/v1 Job")
    yield live("batch/v1 Job", conditions(condition("Complete")))
    yield live("batch/v1 Job", conditions(condition("Failed")))
    yield live("batch/v1 Job", conditions(condition("Failed", "False"), condition("Complete")))
    yield live("autoscaling/v2 HorizontalPodAutoscaler", conditions(condition("ScalingActive", "")))


# (object, our words, kstatus' verdict): what the module's first page says is different.
DIFFERENT = (
    (
        live("batch/v1 Job", {"startTime": "now", "active": 1, "failed": 2}, {"completions": 3}),
        ("in progress", "0 of 3 completions, 2 failed"),
        "Current",
    ),
    (
        live("batch/v1 Job", {"startTime": "now"}, {"parallelism": 2}),
        ("in progress", "0 of 2 completions"),
        "Current",
    ),
    (
        live("batch/v1 Job", conditions(condition("Suspended")), {"suspend": True}),
        ("current", "suspended, as its spec says"),
        "InProgress",
    ),
    (
        live("jobset.x-k8s.io/v1alpha2 JobSet", conditions(condition("StartupPolicyInProgress"))),
        ("in progress", "not complete yet"),
        "Current",
    ),
    (
        live("jobset.x-k8s.io/v1alpha2 JobSet", conditions(condition("Failed", message="gone"))),
        ("failed", "failed: gone"),
        "Current",
    ),
    (
        live("trainer.kubeflow.org/v1alpha1 TrainJob"),
        ("in progress", "not complete yet"),
        "Current",
    ),
    (
        live("trainer.kubeflow.org/v1alpha1 TrainJob", conditions(condition("Failed", reason="X"))),
        ("failed", "failed: X"),
        "Current",
    ),
    (
        live("v1 Pod", {"phase": "Failed", "reason": "Evicted"}),
        ("failed", "ended in failure: Evicted"),
        "Current",
    ),
    (live("v1 Pod", {"phase": "Failed"}), ("failed", "ended in failure"), "Current"),
    (
        live(
            "v1 Pod",
            {"phase": "Pending"}
            | conditions(condition("PodScheduled", "False", "Unschedulable", "0/1 nodes")),
            creationTimestamp="2026-01-01T00:00:00Z",
        ),
        ("in progress", "no node takes it: 0/1 nodes"),
        "Failed",
    ),
    (
        live("serving.kserve.io/v1beta1 InferenceService"),
        ("in progress", "its controller has said nothing yet"),
        "Current",
    ),
    (
        live("keda.sh/v1alpha1 ScaledObject", conditions(condition("Active", "False"))),
        ("in progress", "its controller has said nothing yet"),
        "Current",
    ),
    (
        live(
            "apiregistration.k8s.io/v1 APIService",
            conditions(condition("Available", "False", "MissingEndpoints", "no endpoints")),
        ),
        ("in progress", "no endpoints"),
        "Current",
    ),
)

# (object, verdict, words): how the rest is told.
SAID = (
    (
        live(
            "apps/v1 Deployment",
            {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 1},
            {"replicas": 2},
        ),
        ("in progress", "1 of 2 replicas available"),
    ),
    (live("apps/v1 Deployment", {}, {"replicas": 2}), ("in progress", "0 of 2 replicas there")),
    (
        live("apps/v1 Deployment", {}, {"replicas": 2, "paused": True}),
        ("in progress", "0 of 2 replicas there; the rollout is paused"),
    ),
    (
        live(
            "apps/v1 Deployment",
            {"replicas": 3, "updatedReplicas": 2, "availableReplicas": 2, "readyReplicas": 2},
            {"replicas": 2},
        ),
        ("in progress", "1 replica of the earlier version is still to end"),
    ),
    (
        live(
            "apps/v1 Deployment",
            {"replicas": 4, "updatedReplicas": 4, "availableReplicas": 4, "readyReplicas": 4},
            {"replicas": 2},
        ),
        ("in progress", "2 replicas too many are still to end"),
    ),
    (
        live("apps/v1 Deployment", conditions(condition("Progressing", "False", *("",) * 2))),
        ("in progress", "0 of 1 replicas there"),
    ),
    (
        live(
            "apps/v1 Deployment",
            conditions(
                condition("Progressing", "False", "ProgressDeadlineExceeded", "took too long")
            ),
        ),
        ("failed", "took too long"),
    ),
    (
        live("batch/v1 Job", conditions(condition("Failed", TRUE, "BackoffLimitExceeded", "5x"))),
        ("failed", "failed: 5x"),
    ),
    (
        live("v1 ConfigMap", deletionTimestamp="2026-01-01T00:00:00Z"),
        ("terminating", "is being deleted since 2026-01-01T00:00:00Z"),
    ),
    (
        live("example.org/v1 Thing", conditions(condition("Ready", "False", "Waits"))),
        ("in progress", "Waits"),
    ),
    (
        live("example.org/v1 Thing", conditions(condition("Ready", "Unknown"))),
        ("in progress", "Ready is Unknown"),
    ),
    (
        live("serving.kserve.io/v1beta1 InferenceService", conditions(condition("Ready"))),
        ("current", "ready"),
    ),
    (
        live("jobset.x-k8s.io/v1 JobSet", conditions(condition("Completed"))),
        ("current", "complete"),
    ),
    (
        live("trainer.kubeflow.org/v1alpha1 TrainJob", {}, {"suspend": True}),
        ("current", "suspended, as its spec says"),
    ),
)

# What no API server sends: it counts as absent, and nothing breaks.
ODD: tuple[JsonObject, ...] = (
    live("apps/v1 Deployment") | {"status": 5, "spec": []},
    live("apps/v1 Deployment", {"conditions": {"type": "Available"}, "replicas": "2"}),
    live("apps/v1 Deployment", {"conditions": [5, {"type": 5, "status": []}], "replicas": True}),
    live("v1 Pod", {"phase": "Running", "containerStatuses": [5, {"state": 5}, {"name": 5}]}),
    live("v1 Pod", {"phase": "Odd"}),
    live("batch/v1 Job", {"startTime": 5}, {"completions": "1"}),
    live("apps/v1 DaemonSet", {"desiredNumberScheduled": "1", "observedGeneration": "1"}),
)
