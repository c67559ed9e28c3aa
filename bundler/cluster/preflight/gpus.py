"""GPUs and their like: offered under the names that pods ask for, driver and memory enough.

Judged from what NVIDIA's device plugin and GPU feature discovery write onto nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bundler.cluster.preflight.asked import Asked
from bundler.cluster.preflight.fitting import unfit
from bundler.core.preflight import cuda
from bundler.core.preflight.checked import Checked, or_fine
from bundler.core.preflight.devices import NVIDIA, memory_for, offered
from bundler.core.preflight.nodes import Node
from bundler.core.preflight.placing import eligible
from bundler.core.preflight.quantity import in_bytes
from bundler.core.preflight.workloads import Workload, devices

_DRIVER = "install a newer driver on these nodes, or ask for a bundle whose image has an older CUDA"
_SCALED = (
    "\na pool of nodes that is scaled to zero has no devices yet: scale it to one node, or let "
    "the autoscaler know what its nodes offer (labels or tags of the pool), and look again"
)
_MEMORY = (
    "use nodes with larger devices or MIG profiles, more devices for each pod, or a smaller model"
)


def gpus(asked: Asked) -> Iterator[Checked]:
    """A failure for each device that pods ask for and no node offers."""
    found = offered(asked.nodes)
    has = ", ".join(
        f"{amount} {name} on {count} nodes" for name, (amount, count) in sorted(found.items())
    )
    if not any(devices(each.requests) for each in asked.workloads):
        yield Checked("GPU", "ok", f"no pod asks for a device; the nodes have {has or 'none'}")
        return
    yield from or_fine(_missing(asked, has, set(found)), "GPU", f"the nodes have {has}")


def _missing(asked: Asked, has: str, found: set[str]) -> Iterator[Checked]:
    more = f" ({asked.grows} may make some)" if asked.grows else ""
    for each in asked.workloads:
        for name, amount in devices(each.requests).items():
            if name not in found:
                yield Checked(
                    "GPU",
                    "warning" if asked.grows else "failed",
                    f"{each.id}: asks for {amount} {name}, which no node offers; the nodes have "
                    f"{has or 'no devices at all'}{more}",
                    f"{_remedy(name)}{_SCALED if asked.grows else ''}",
                )


def _remedy(name: str) -> str:
    if name.startswith(f"{NVIDIA}mig-"):
        return (
            "partition the GPUs so (nvidia.com/mig.config on the nodes, MIG strategy `mixed`), or "
            "set the bundle's parameter for it to a profile that is there"
        )
    if name.startswith(NVIDIA):
        return (
            "install NVIDIA's GPU operator (driver, container toolkit, device plugin) on nodes "
            "with GPUs, or use a target that needs none"
        )
    return f"install the device plugin that offers {name}, or use a target that needs none"


def driver(asked: Asked) -> Iterator[Checked]:
    """The CUDA of images against the drivers of the nodes that their pods may be sent to."""
    fine = "no image has CUDA" if not _cudas(asked) else "the nodes' drivers are new enough"
    yield from or_fine(_drivers(asked), "GPU driver", fine)


def _cudas(asked: Asked) -> list[tuple[Workload, str, cuda.Cuda]]:
    """Who uses GPUs with an image that says something of CUDA."""
    return [
        (each, carried.name, carried.cuda)
        for each in asked.workloads
        if any(name.startswith(NVIDIA) for name in devices(each.requests))
        for digest in sorted(each.images)
        if (carried := asked.needs.images.get(digest)) is not None and carried.cuda is not None
    ]


def _drivers(asked: Asked) -> Iterator[Checked]:
    for workload, image, wanted in _cudas(asked):
        refused = partial(_refused, image, wanted)
        yield from unfit(asked, "GPU driver", workload, refused, _DRIVER)
        judged = ((node, *cuda.judge(wanted, node)) for node in eligible(workload, asked.nodes))
        unsure = [(node, words) for node, verdict, words in judged if verdict == "perhaps"]
        if unsure:
            node, words = unsure[0]
            yield Checked(
                "GPU driver",
                "warning",
                f"{workload.id}: {image} {wanted.words}; on {len(unsure)} nodes it may not run: "
                f"node {node.name}: {words}",
                "look at nvidia-smi there (GPU feature discovery writes it onto nodes); within one "
                "major version of CUDA most things run on an older driver",
            )


def _refused(image: str, wanted: cuda.Cuda, node: Node) -> str | None:
    verdict, words = cuda.judge(wanted, node)
    return f"{words}; {image} {wanted.words}" if verdict == "refused" else None


def device_memory(asked: Asked) -> Iterator[Checked]:
    """The models of each pod against the memory of the devices that it asks for."""
    wanted = {name for each in asked.workloads for name in devices(each.requests)}
    there = offered(asked.nodes).keys()
    if wanted and not wanted & there:
        yield Checked("GPU memory", "skipped", "no node has the devices that pods ask for")
        return
    fine = "the devices hold the models' weights" if wanted else "no pod asks for a device"
    yield from or_fine(_memories(asked), "GPU memory", fine)


def _memories(asked: Asked) -> Iterator[Checked]:
    carried = asked.needs.images
    for each in asked.workloads:
        found = [carried[digest] for digest in each.named if digest in carried]
        size = sum(model.size for model in found if model.kind == "model")
        yield from unfit(asked, "GPU memory", each, partial(_too_large, each, size), _MEMORY)


def _too_large(workload: Workload, size: int, node: Node) -> str | None:
    memory = memory_for(node, devices(workload.requests))
    if memory is None or size <= memory:
        return None
    return f"the devices of a pod have {in_bytes(memory)}, its models' weights {in_bytes(size)}"
