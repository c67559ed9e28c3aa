"""The Kubernetes API over plain objects, and the ways into it.

`api` has the requests, `answers` reads what comes back. This is the one place that speaks to an
API server; what objects mean is for others.
"""

from __future__ import annotations

from bundler.cluster.client.access import open_cluster
from bundler.cluster.client.answers import (
    ConflictError,
    ForbiddenError,
    OwnershipError,
    UnreachableError,
    nowhere,
)
from bundler.cluster.client.api import ApiResource, Cluster

__all__ = [
    "ApiResource",
    "Cluster",
    "ConflictError",
    "ForbiddenError",
    "OwnershipError",
    "UnreachableError",
    "nowhere",
    "open_cluster",
]
