"""Preflight: what would fail later is found now, all of it, before anything is sent or changed.

Each file here asks the cluster about one family of things; what the answers mean is judged by
`bundler.core.preflight`. `CHECKS` has them all, in the order in which they are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from bundler.cluster.client import Cluster
from bundler.cluster.preflight.asked import Asked, Clock, UnseenError
from bundler.cluster.preflight.classes import classes
from bundler.cluster.preflight.gpus import device_memory, driver, gpus
from bundler.cluster.preflight.kinds import kinds
from bundler.cluster.preflight.needs import Carried, Needs, needs_of
from bundler.cluster.preflight.nodes import nodes, room
from bundler.cluster.preflight.pods import admission, pod_security
from bundler.cluster.preflight.quotas import quotas
from bundler.cluster.preflight.registry import registry
from bundler.cluster.preflight.rights import rights
from bundler.cluster.preflight.secrets import secrets
from bundler.cluster.preflight.server import certificate, clock, server
from bundler.cluster.preflight.storage import storage
from bundler.cluster.preflight.support import architecture, disk, image_volumes
from bundler.core.destination import Destination
from bundler.core.errors import BundlerError
from bundler.core.preflight.checked import Checked, ignoring, require_passed

__all__ = ["CHECKS", "NAMES", "Carried", "Needs", "basics", "examine", "needs_of", "require_passed"]

Check = Callable[[Asked], Iterator[Checked]]

CHECKS: tuple[tuple[str, Check], ...] = (
    ("clock", clock),
    ("certificate", certificate),
    ("rights", rights),
    ("kinds", kinds),
    ("secrets", secrets),
    ("pod security", pod_security),
    ("admission", admission),
    ("classes", classes),
    ("storage", storage),
    ("quota", quotas),
    ("nodes", nodes),
    ("GPU", gpus),
    ("GPU driver", driver),
    ("GPU memory", device_memory),
    ("architecture", architecture),
    ("image volumes", image_volumes),
    ("node disk", disk),
    ("room for pods", room),
)
_SERVER = "API server"
# Those that may be ignored: without a server that answers there is nothing to go on with.
NAMES = (*(name for name, _ in CHECKS), "registry")
# What can be said of a cluster without a bundle.
_BASICS = ("clock", "certificate", "nodes", "GPU")


def examine(
    cluster: Cluster,
    needs: Needs,
    destination: Destination | None,
    clock: Clock,
    ignored: Collection[str] = (),
) -> tuple[Checked, ...]:
    """What each check finds about `needs`; nothing is changed. What `ignored` names fails nothing.

    `clock` gives the time of here, with its zone. A check that can't be made does not keep the
    others from being made. The registry is asked last, and for more than reading only when
    nothing failed before.
    """
    asked = Asked(cluster, needs, clock)
    found = ignoring(_all(asked, CHECKS), ignored)
    if destination is not None:
        alone = all(each.outcome != "failed" for each in found)
        found += ignoring(registry(asked, destination, alone=alone), ignored)
    return found


def basics(cluster: Cluster, namespace: str, clock: Clock) -> tuple[Checked, ...]:
    """What can be said of a cluster alone: its version, its clock, its nodes and devices."""
    asked = Asked(cluster, Needs("none", namespace), clock)
    return tuple(_all(asked, tuple(each for each in CHECKS if each[0] in _BASICS)))


def _all(asked: Asked, checks: tuple[tuple[str, Check], ...]) -> Iterator[Checked]:
    reached = tuple(_made(_SERVER, server, asked))
    yield from reached
    if any(each.outcome == "failed" for each in reached):
        return
    for name, check in checks:
        yield from _made(name, check, asked)


def _made(name: str, check: Check, asked: Asked) -> Iterator[Checked]:
    """The findings of `check`, or that it could not be made."""
    try:
        yield from tuple(check(asked))
    except UnseenError as error:
        yield Checked(name, "skipped", f"not judged: {error.message}", error.hint)
    except BundlerError as error:
        yield Checked(name, "failed", error.message, error.hint)
