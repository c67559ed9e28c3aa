"""Objects on an API server that has no controllers: a test plays them, and the clock."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bundler.cluster.client import Cluster, open_cluster
from bundler.core.objects.manifests import JsonObject, ObjectId
from tests.releases import deployment, namespace

MERGE = {"Content-Type": "application/merge-patch+json"}
PLACEHOLDER = "registry.example/team/server:1"


@dataclass
class Clock:
    """A clock that sleeping alone moves; what is due in `plans` is done when its time comes."""

    now: float = 1000.0
    plans: list[tuple[float, Callable[[], object]]] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def at(self, seconds: float, plan: Callable[[], object]) -> None:
        """Do `plan` so many seconds from now."""
        self.plans.append((self.now + seconds, plan))

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        assert len(self.slept) < 1000, "waits for ever"
        self.slept.append(seconds)
        self.now += seconds
        due = [each for each in self.plans if each[0] <= self.now]
        self.plans = [each for each in self.plans if each[0] > self.now]
        for _, plan in due:
            plan()


@dataclass
class Watched:
    """Progress that remembers what it was told."""

    labels: list[str] = field(default_factory=list)

    def phase(self, label: str, total: int | None) -> None:
        self.labels.append(label)

    def advance(self, count: int) -> None:
        raise AssertionError("nothing is counted")


@dataclass
class Stage:
    """A namespace of a test on a real API server, and hands to write statuses with."""

    cluster: Cluster
    space: str = field(default_factory=lambda: f"wait-{uuid.uuid4().hex[:10]}")

    def make(self, obj: JsonObject) -> ObjectId:
        """Apply `obj`."""
        self.cluster.apply(obj)
        return ObjectId.of(obj)

    def deployment(self, name: str, replicas: int = 1) -> ObjectId:
        """A Deployment that no controller has seen."""
        made = deployment(self.space, name, replicas)
        made["spec"]["template"]["spec"]["containers"][0]["image"] = PLACEHOLDER
        return self.make(made)

    def available(self, object_id: ObjectId, count: int = 1) -> None:
        """What the controller of a Deployment says when all is well."""
        names = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        conditions = [
            {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
            {"type": "Available", "status": "True"},
        ]
        generation = self.get(object_id)["metadata"]["generation"]
        status = dict.fromkeys(names, count) | {"conditions": conditions}
        self.status(object_id, status | {"observedGeneration": generation})

    def replica_set(self, of: ObjectId, revision: int) -> None:
        """The ReplicaSet of a version of a Deployment."""
        live = self.get(of)
        labels = {"app": of.name, "pod-template-hash": f"v{revision}"}
        template = live["spec"]["template"] | {"metadata": {"labels": labels}}
        metadata = {
            "name": f"{of.name}-v{revision}",
            "namespace": self.space,
            "labels": labels,
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
        }
        spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
        self.make(
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": spec}
        )

    def pod(self, name: str, labels: dict[str, str], **status: Any) -> ObjectId:
        """A pod with the spec of a Deployment's, in this state."""
        spec = deployment(self.space, name)["spec"]["template"]["spec"]
        spec["containers"][0]["image"] = PLACEHOLDER
        metadata = {"name": name, "namespace": self.space, "labels": labels}
        made = self.make({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        self.status(made, {"phase": "Pending"} | status)
        return made

    def event(self, about: ObjectId, reason: str, message: str, kind: str = "Warning") -> None:
        """An event as kubelet and the controllers write it."""
        involved = {
            "apiVersion": about.api_version,
            "kind": about.kind,
            "namespace": about.namespace,
            "name": about.name,
            "uid": self.get(about)["metadata"]["uid"],
        }
        self.make(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": f"e{uuid.uuid4().hex}", "namespace": self.space},
                "involvedObject": involved,
                "reason": reason,
                "message": message,
                "type": kind,
                "count": 2,
            }
        )

    def get(self, object_id: ObjectId) -> JsonObject:
        """The object, which is there."""
        found = self.cluster.get(object_id)
        assert found is not None
        return found

    def status(self, object_id: ObjectId, status: dict[str, Any]) -> None:
        """Write the status of an object, as its controller would."""
        answer = self.cluster._session.send(
            "PATCH",
            f"{self.cluster._path(object_id)}/status",
            headers=MERGE,
            content=json.dumps({"status": status}).encode(),
        )
        assert answer.status < 300, answer.body


def waiting(reason: str, message: str = "", restarts: int = 0, **more: Any) -> dict[str, Any]:
    """The status of the container `server`, which does not run."""
    return {
        "name": "server",
        "image": PLACEHOLDER,
        "imageID": "",
        "ready": False,
        "restartCount": restarts,
        "state": {"waiting": {"reason": reason, "message": message}},
    } | more


@contextmanager
def on_stage(kubeconfig: Path) -> Iterator[Stage]:
    """A namespace of its own, gone at the end."""
    with closing(open_cluster(kubeconfig, None, "airbundle-tests")) as cluster:
        stage = Stage(cluster)
        stage.make(namespace(stage.space))
        account = {"name": "default", "namespace": stage.space}
        stage.make({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
        yield stage
        space = stage.get(ObjectId("v1", "Namespace", None, stage.space))
        cluster.delete(ObjectId.of(space), space["metadata"]["uid"])
