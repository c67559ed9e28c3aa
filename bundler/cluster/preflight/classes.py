"""RuntimeClasses and PriorityClasses that pods name: a pod that names none of them is refused."""

from __future__ import annotations

from collections.abc import Iterator

from bundler.cluster.preflight.asked import Asked
from bundler.core.objects.manifests import ObjectId
from bundler.core.preflight.checked import Checked, or_fine

_NAME = "classes"
_BUILT_IN = ("system-cluster-critical", "system-node-critical")
_KINDS = (
    (
        "node.k8s.io/v1",
        "RuntimeClass",
        "runtimeClassName",
        "NVIDIA's GPU operator makes `nvidia`; without it, configure the nodes' container runtime "
        "and make the RuntimeClass, or set the bundle's parameter for it",
    ),
    (
        "scheduling.k8s.io/v1",
        "PriorityClass",
        "priorityClassName",
        "make it, or set the bundle's parameter for it to one that is there",
    ),
)


def classes(asked: Asked) -> Iterator[Checked]:
    """A failure for each class that pods name and nobody has."""
    yield from or_fine(_problems(asked), _NAME, "all classes that pods name are there")


def _problems(asked: Asked) -> Iterator[Checked]:
    for api_version, kind, field, remedy in _KINDS:
        users: dict[str, list[str]] = {}
        for workload in asked.workloads:
            name = workload.pod.spec.get(field)
            if isinstance(name, str) and name and name not in _BUILT_IN:
                users.setdefault(name, []).append(str(workload.id))
        for name, needed in users.items():
            if asked.brings(kind, name) or asked.get(ObjectId(api_version, kind, None, name)):
                continue
            yield Checked(
                _NAME,
                "failed",
                f"{kind} {name}: is not there, and {' and '.join(needed)} can't start without it",
                remedy,
            )
