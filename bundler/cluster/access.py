"""Which cluster, as whom, and where on it the records of releases lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bundler.cluster.client import Cluster, open_cluster
from bundler.cluster.release.record import DEFAULT_NAMESPACE, field_manager


@dataclass(frozen=True)
class Access:
    """A way into a cluster; without `kubeconfig` and `context` the user's own count.

    The records of releases live in `release_namespace`.
    """

    kubeconfig: Path | None = None
    context: str | None = None
    release_namespace: str = DEFAULT_NAMESPACE

    def open(self, release: str) -> Cluster:
        """The cluster, spoken to as the field manager of `release`; errors as `open_cluster`."""
        manager = field_manager(release, self.release_namespace)
        return open_cluster(self.kubeconfig, self.context, manager)
