"""Nodes and workloads to judge, in few words."""

from __future__ import annotations

from typing import Any

from bundler.core.objects.manifests import JsonObject
from bundler.core.preflight.nodes import Node, nodes_of
from bundler.core.preflight.workloads import Workload, workloads
from tests.cluster.nodes import node

DIGEST = "a" * 64
OTHER = "b" * 64
IMAGE = f"registry.site/team/server@sha256:{DIGEST}"


def a_node(name: str = "one", **said: Any) -> Node:
    """What becomes of a node's object; see `tests.cluster.nodes.node`."""
    [found] = nodes_of([node(name, **said)], [], lambda pod: False)
    return found


def requesting(**amounts: str) -> dict[str, Any]:
    """A container that asks for `amounts`; ``gpu`` is NVIDIA's."""
    named = {("nvidia.com/gpu" if key == "gpu" else key): text for key, text in amounts.items()}
    return {"name": "server", "image": IMAGE, "resources": {"requests": named}}


def deployment_of(
    spec: dict[str, Any], replicas: int = 1, labels: dict[str, str] | None = None
) -> JsonObject:
    """A Deployment ``serving/web`` of pods of `spec`, which gets a container if it has none."""
    own = labels or {"app": "web"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "serving"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": own},
            "template": {
                "metadata": {"labels": own},
                "spec": {"containers": [requesting(cpu="1")]} | spec,
            },
        },
    }


def a_workload(replicas: int = 1, **spec: Any) -> Workload:
    """The one workload of such a Deployment."""
    [found] = workloads([deployment_of(spec, replicas)])
    return found
