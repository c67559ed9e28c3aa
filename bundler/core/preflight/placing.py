"""Whether the pods of a release find room: a careful guess at what the scheduler will do.

A workload fails when it finds no room with the nodes all to itself; when only the workloads
together don't find any, that is a warning, since the scheduler may be cleverer than we are.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from bundler.core.preflight.matching import is_alone, unwanted
from bundler.core.preflight.nodes import Node, mounts_images
from bundler.core.preflight.quantity import spelled
from bundler.core.preflight.workloads import Amounts, Workload

Platforms = Mapping[str, frozenset[str]]
"""The platforms (``linux/amd64``) that an image has, by digest."""


@dataclass(frozen=True)
class Shortage:
    """A workload of which only `placed` pods find room; `reasons` counts nodes by why not.

    `shared` when it would find room without the other workloads of the release.
    """

    workload: Workload
    placed: int
    reasons: Mapping[str, int]
    shared: bool


def eligible(workload: Workload, nodes: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes that pods of `workload` may be sent to, whether or not there is room now."""
    return tuple(node for node in nodes if not node.trouble and unwanted(workload, node) is None)


def runs_on(workload: Workload, node: Node, platforms: Platforms) -> bool:
    """Whether all of its images are for the platform of `node`; unknown ones are taken to be."""
    return all(
        node.platform in _without_variants(platforms[image])
        for image in workload.images
        if image in platforms
    )


def _without_variants(platforms: frozenset[str]) -> frozenset[str]:
    return frozenset("/".join(each.split("/")[:2]) for each in platforms)


def shortages(
    found: Sequence[Workload], nodes: Sequence[Node], platforms: Platforms
) -> tuple[Shortage, ...]:
    """The workloads of `found` that don't all find room on `nodes`, in their order."""
    alone = {id(each): _alone(each, nodes, platforms) for each in found}
    together = _together(found, nodes, platforms)
    result = []
    for each in found:
        if alone[id(each)] < _wanted(each):
            placed, shared = alone[id(each)], False
        elif together[id(each)] < _wanted(each):
            placed, shared = together[id(each)], True
        else:
            continue
        reasons = Counter(
            reason for node in nodes if (reason := _reason(each, node, platforms)) is not None
        )
        result.append(Shortage(each, placed, reasons, shared))
    return tuple(result)


def _wanted(workload: Workload) -> int:
    return 1 if workload.everywhere else workload.replicas


def _alone(workload: Workload, nodes: Sequence[Node], platforms: Platforms) -> int:
    room = {node.name: node.free for node in nodes}
    return sum(_fits(workload, node, room[node.name], platforms) for node in nodes)


def _together(
    found: Sequence[Workload], nodes: Sequence[Node], platforms: Platforms
) -> dict[int, int]:
    """How many pods of each workload find room, the choosiest first, on the plainest node."""
    room = {node.name: dict(node.free) for node in nodes}
    placed: dict[int, int] = {}
    candidates = {
        id(each): [node for node in nodes if _barred(each, node, platforms) is None]
        for each in found
    }
    for each in sorted(found, key=lambda each: (len(candidates[id(each)]), -_size(each))):
        left = _wanted(each)
        for node in sorted(candidates[id(each)], key=lambda node: len(node.allocatable)):
            count = min(left, _fits(each, node, room[node.name], platforms))
            for name, amount in each.requests.items():
                room[node.name][name] = room[node.name].get(name, Fraction(0)) - amount * count
            left -= count
        placed[id(each)] = _wanted(each) - left
    return placed


def _size(workload: Workload) -> float:
    requests = workload.requests
    return float(requests.get("cpu", 0)) + float(requests.get("memory", 0)) / 2**32


def _fits(workload: Workload, node: Node, free: Amounts, platforms: Platforms) -> int:
    """How many pods of `workload` there is room for in what is `free` of `node`."""
    if _barred(workload, node, platforms) is not None:
        return 0
    room = [
        math.floor(free.get(name, Fraction(0)) / amount)
        for name, amount in workload.requests.items()
        if amount > 0
    ]
    return max(0, min([*room, 1] if is_alone(workload) or workload.everywhere else room))


def _barred(workload: Workload, node: Node, platforms: Platforms) -> str | None:
    if node.trouble:
        return f"is {' and '.join(node.trouble)}"
    if (reason := unwanted(workload, node)) is not None:
        return reason
    if not runs_on(workload, node, platforms):
        return f"is {node.platform}, for which an image has no platform"
    if workload.has_image_volumes and not mounts_images(node)[0]:
        return "can't mount image volumes"
    return None


def _reason(workload: Workload, node: Node, platforms: Platforms) -> str | None:
    """Why `node` takes no pod of `workload` more, however empty the others are."""
    if (barred := _barred(workload, node, platforms)) is not None:
        return barred
    for name, amount in sorted(workload.requests.items()):
        if (free := node.free.get(name, Fraction(0))) < amount:
            whole = node.allocatable.get(name, Fraction(0))
            return (
                f"has {spelled(name, free)} of {spelled(name, whole)} {name} free, "
                f"a pod asks for {spelled(name, amount)}"
            )
    return "has room for some of its pods"
