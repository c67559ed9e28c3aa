"""The devices that pods ask for, and their memory, from what device plugins put onto nodes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction

from bundler.core.preflight.nodes import Node
from bundler.core.preflight.workloads import devices

NVIDIA = "nvidia.com/"
GPU = "nvidia.com/gpu"
_MIG = re.compile(r"nvidia\.com/mig-(?:[0-9]+c\.)?[0-9]+g\.([0-9]+)gb(?:\.[\w.]+)?")
_MIB = 1024**2
_GB = 1000**3


def offered(nodes: Sequence[Node]) -> dict[str, tuple[Fraction, int]]:
    """Every device that some node has: how many in all, and on how many nodes."""
    found: dict[str, tuple[Fraction, int]] = {}
    for node in nodes:
        for name, amount in devices(node.allocatable).items():
            total, count = found.get(name, (Fraction(0), 0))
            found[name] = total + amount, count + 1
    return found


def memory(node: Node, resource: str) -> int | None:
    """The bytes of memory that one `resource` of `node` has, or None where nobody says.

    Feature discovery says MiB: of a GPU in ``nvidia.com/gpu.memory``, of a MIG device under its
    own name; the name of a MIG profile says it roughly (``mig-1g.10gb``).
    """
    # One GPU that is shared by time has the memory of all who share it.
    label = node.labels.get(f"{resource.removesuffix('.shared')}.memory", "")
    if label.isdecimal():
        return int(label) * _MIB
    profile = _MIG.fullmatch(resource)
    return int(profile[1]) * _GB if profile else None


def memory_for(node: Node, asked: Mapping[str, Fraction]) -> int | None:
    """The bytes of all of NVIDIA's devices in `asked` together; None where one is not known."""
    sizes = [
        (memory(node, name), amount) for name, amount in asked.items() if name.startswith(NVIDIA)
    ]
    if not sizes or any(size is None for size, _ in sizes):
        return None
    return int(sum(size * amount for size, amount in sizes if size is not None))
