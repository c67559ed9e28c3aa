"""Nodes that are objects alone: nothing runs on them, but all is said that a kubelet says.

What device plugins and feature discovery add is written as these write it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from bundler.cluster.client import Cluster, open_cluster
from bundler.core.objects.manifests import JsonObject, ObjectId

ROOMY = {"cpu": "16", "memory": "64Gi", "ephemeral-storage": "200Gi", "pods": "110"}


def node(
    name: str,
    *,
    labels: Mapping[str, str] | None = None,
    offers: Mapping[str, str] | None = None,
    taints: Sequence[Mapping[str, str]] = (),
    architecture: str = "amd64",
    kubelet: str = "v1.36.3",
    runtime: str = "containerd://2.1.4",
    conditions: Mapping[str, str] | None = None,
    cordoned: bool = False,
    images: Sequence[JsonObject] = (),
) -> JsonObject:
    """A node as `kubectl get node -o json` shows it; `offers` goes over what is `ROOMY`."""
    told = {"Ready": "True"} | dict(conditions or {})
    amounts = ROOMY | dict(offers or {})
    own = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/arch": architecture,
        "kubernetes.io/os": "linux",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": own | dict(labels or {})},
        "spec": {"taints": [dict(each) for each in taints], "unschedulable": cordoned},
        "status": {
            "capacity": amounts,
            "allocatable": amounts,
            "conditions": [{"type": kind, "status": said} for kind, said in told.items()],
            "images": list(images),
            "nodeInfo": {
                "architecture": architecture,
                "operatingSystem": "linux",
                "kubeletVersion": kubelet,
                "containerRuntimeVersion": runtime,
            },
        },
    }


def add_node(cluster: Cluster, obj: JsonObject) -> None:
    """Makes the node, with its status, and without the taint that every new one gets."""
    created = {key: value for key, value in obj.items() if key != "status"}
    cluster.create(created)
    name = obj["metadata"]["name"]
    for path, change in (
        (f"/api/v1/nodes/{name}", {"spec": obj["spec"]}),
        (f"/api/v1/nodes/{name}/status", {"status": obj["status"]}),
    ):
        answer = cluster._session.send(
            "PATCH",
            path,
            headers={"Content-Type": "application/merge-patch+json"},
            content=json.dumps(change).encode(),
        )
        assert answer.status < 300, answer.body


def remove_node(cluster: Cluster, name: str) -> None:
    """Takes the node away again."""
    live = cluster.get(ObjectId("v1", "Node", None, name))
    assert live is not None
    cluster.delete(ObjectId.of(live), live["metadata"]["uid"])


@contextmanager
def nodes_there(cluster: Cluster, *objects: JsonObject) -> Iterator[None]:
    """These nodes are there, besides those that are, until the block is left."""
    made: list[str] = []
    try:
        for obj in objects:
            add_node(cluster, obj)
            made.append(obj["metadata"]["name"])
        yield
    finally:
        for name in made:
            remove_node(cluster, name)


def add_roomy_node(kubeconfig: Path) -> None:
    """One ready node with room for every test, on a cluster that has none."""
    with closing(open_cluster(kubeconfig, None, "airbundle-tests")) as cluster:
        add_node(cluster, node("roomy"))


if __name__ == "__main__":
    add_roomy_node(Path(sys.argv[1]))
