"""How nodes that a pod may be sent to, and where it can't run, become one finding.

The scheduler knows labels, taints and amounts. It knows nothing of platforms, drivers and disks:
a pod that it sends to a node that lacks them hangs there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bundler.cluster.preflight.asked import Asked
from bundler.core.preflight.checked import Checked
from bundler.core.preflight.nodes import Node
from bundler.core.preflight.placing import eligible
from bundler.core.preflight.workloads import Workload

Problem = Callable[[Node], str | None]
"""Why a node is none for a pod, in words."""


def unfit(
    asked: Asked, name: str, workload: Workload, problem: Problem, remedy: str
) -> Iterator[Checked]:
    """One finding of the check `name` when `problem` says something of nodes for `workload`.

    It fails when there is no other node, and nothing that makes some.
    """
    candidates = eligible(workload, asked.nodes)
    bad = [(node, words) for node in candidates if (words := problem(node)) is not None]
    if not bad:
        return
    node, words = bad[0]
    every = len(bad) == len(candidates)
    count = f"{len(bad)} of {len(candidates)} nodes that its pods may be sent to"
    yield Checked(
        name,
        "failed" if every and asked.grows is None else "warning",
        f"{workload.id}: on {count} it can't run: node {node.name}: {words}",
        remedy if every else f"{remedy}; or keep these pods from these nodes, by label or taint",
    )
