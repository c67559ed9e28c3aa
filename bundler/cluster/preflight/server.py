"""The API server itself: its version, and whether its clock and ours agree."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from bundler.cluster.preflight.asked import Asked
from bundler.core.preflight.checked import Checked

# Pod Security and server-side apply are what they are here since then.
OLDEST = (1, 25)
# The oldest that has all that is used here: image volumes.
TRIED = (1, 33)
_SKEW = timedelta(minutes=5)
_SOON = timedelta(days=14)


def server(asked: Asked) -> Iterator[Checked]:
    """Reachable, and of a version that will do. ClusterError when it can't be asked."""
    found = f"Kubernetes {asked.version}"
    if asked.minor < OLDEST:
        yield Checked(
            "API server",
            "failed",
            f"{found}, expected 1.{OLDEST[1]} or later",
            "upgrade the cluster, or write files with --export and apply them by other means",
        )
    elif asked.minor < TRIED:
        yield Checked(
            "API server",
            "warning",
            f"{found}: nobody tried airbundle with a version before 1.{TRIED[1]}",
            "models must arrive by other ways than image volumes there (`weights` in bundle.yaml)",
        )
    else:
        yield Checked("API server", "ok", f"{found}, as {asked.user}")


def clock(asked: Asked) -> Iterator[Checked]:
    """The two clocks, by the date of the server's last answer."""
    theirs, ours = asked.cluster.server_time(), asked.clock()
    if theirs is None:
        yield Checked("clock", "skipped", "the API server says no date")
        return
    skew = theirs - ours
    words = f"the API server's clock is {abs(skew).total_seconds():.0f} s "
    words += "ahead of ours" if skew > timedelta(0) else "behind ours"
    if abs(skew) > _SKEW:
        yield Checked(
            "clock",
            "warning",
            f"{words}, more than {_SKEW.total_seconds():.0f}",
            "set the clock that is wrong (chronyc tracking); certificates and tokens that are "
            "new or about to end are refused while it is",
        )
    else:
        yield Checked("clock", "ok", words)


def certificate(asked: Asked) -> Iterator[Checked]:
    """How long the server's certificate lasts; one that has ended lets nobody come so far."""
    ends = asked.cluster.certificate_ends()
    if ends is None:
        yield Checked("certificate", "skipped", "the API server is spoken to without TLS")
    yield from lasting(asked, "certificate", ends)


def lasting(asked: Asked, name: str, ends: datetime | None) -> Iterator[Checked]:
    """Whether a certificate that `ends` then lasts; nothing where there is none."""
    if ends is None:
        return
    left, day = ends - asked.clock(), f"{ends:%Y-%m-%d}"
    if left < _SOON:
        yield Checked(
            name,
            "warning",
            f"it ends on {day}, in {max(0, left.days)} days",
            "have it renewed now: from that day on, neither installs nor nodes get in",
        )
    else:
        yield Checked(name, "ok", f"it is trusted, and lasts until {day}")
