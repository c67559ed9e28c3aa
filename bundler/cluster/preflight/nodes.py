"""Nodes: which there are, and whether the release's pods find room on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bundler.cluster.preflight.asked import Asked
from bundler.core.preflight.checked import Checked, Outcome, or_fine
from bundler.core.preflight.nodes import Node
from bundler.core.preflight.placing import Shortage, shortages
from bundler.core.preflight.workloads import Workload, devices

_MOST = 5


def nodes(asked: Asked) -> Iterator[Checked]:
    """What nodes there are, and a warning for those to which no pod is sent now."""
    found = asked.nodes
    ailing = [node for node in found if node.trouble]
    if not found or len(ailing) == len(found):
        yield Checked(
            "nodes",
            "warning" if asked.grows or not asked.workloads else "failed",
            f"none of {_count(found)} takes pods{_ailing(ailing)}{_grown(asked)}",
            "join a node to the cluster, or mend those that are there: kubectl describe node",
        )
    elif ailing:
        yield Checked(
            "nodes",
            "warning",
            f"{len(found) - len(ailing)} of {_count(found)} take pods{_ailing(ailing)}",
            "kubectl describe node says why; kubectl uncordon NODE lets pods in again",
        )
    else:
        yield Checked(
            "nodes",
            "ok",
            f"{_count(found)}, all of them ready" if len(found) > 1 else "1 node, which is ready",
        )


def room(asked: Asked) -> Iterator[Checked]:
    """A failure for each workload that does not find room for all of its pods."""
    # Devices that no node has are the finding of `gpus`, under their name.
    there = {name for node in asked.nodes for name in devices(node.allocatable)}
    mine = [each for each in asked.workloads if not devices(each.requests).keys() - there]
    total = sum(each.replicas for each in mine)
    if mine or not asked.workloads:
        found = _shortages(asked, mine)
        yield from or_fine(found, "room for pods", f"{total} pods find room")
    for each in asked.workloads:
        if each not in mine:
            yield Checked(
                "room for pods",
                "skipped",
                f"{each.id}: not judged before a node offers the devices that it asks for",
                "look again with `airbundle doctor` when they are there",
            )


def _shortages(asked: Asked, mine: Sequence[Workload]) -> Iterator[Checked]:
    for short in shortages(mine, asked.nodes, asked.needs.platforms):
        workload = short.workload
        outcome: Outcome = "failed"
        if short.shared or asked.grows or workload.everywhere:
            outcome = "warning"
        wanted = "one on each node" if workload.everywhere else f"{workload.replicas}"
        yield Checked(
            "room for pods",
            outcome,
            f"{workload.id}: {short.placed} of {wanted} pods find room"
            f"{' beside the others of this release' if short.shared else ''}: "
            f"{_reasons(short)}{_grown(asked)}",
            "free or add nodes, mend their labels and taints, or set fewer replicas (a parameter "
            "of the bundle, if it has one)",
        )


def _count(found: Sequence[Node]) -> str:
    return "1 node" if len(found) == 1 else f"{len(found)} nodes"


def _ailing(found: Iterable[Node]) -> str:
    words = [f"{node.name} is {' and '.join(node.trouble)}" for node in found]
    return f": {'; '.join(words[:_MOST])}{'; …' if len(words) > _MOST else ''}" if words else ""


def _reasons(short: Shortage) -> str:
    if not short.reasons:
        return "there are no nodes"
    words = [
        f"{count} nodes: {reason}" if count > 1 else f"1 node {reason}"
        for reason, count in short.reasons.items()
    ]
    return "; ".join(words[:_MOST]) + ("; …" if len(words) > _MOST else "")


def _grown(asked: Asked) -> str:
    return f" ({asked.grows} may make more)" if asked.grows else ""
