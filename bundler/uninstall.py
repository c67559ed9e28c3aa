"""`airbundle uninstall`: a release taken from the cluster; what others own, and data, stays."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass

from bundler.cluster.access import Access
from bundler.cluster.release.lease import held
from bundler.cluster.release.record import find_record
from bundler.cluster.transaction.removal import Kept, plan_removal, remove
from bundler.core.objects.manifests import ObjectId
from bundler.core.progress import Progress


@dataclass(frozen=True)
class Uninstalled:
    """What went, or with `dry_run` would go, in order; and what stays, with the reason."""

    name: str
    version: str
    dry_run: bool
    removed: tuple[ObjectId, ...]
    kept: tuple[Kept, ...]


def uninstall(
    name: str,
    access: Access,
    progress: Progress,
    *,
    delete_data: bool = False,
    dry_run: bool = False,
    timeout: float = 600.0,
) -> Uninstalled:
    """Take the release `name` away; with `delete_data` its volumes, too.

    UsageError when there is no such release; ClusterError when the server refuses, or something
    is still there after `timeout` seconds: run again, it goes on. The registry keeps what it has.
    """
    namespace = access.release_namespace
    with closing(access.open(name)) as cluster:
        record = find_record(cluster, name, namespace)
        if dry_run:
            removal = plan_removal(cluster, record, namespace, data=delete_data)
        else:
            with held(cluster, name, namespace, time.sleep) as lease:
                ours = cluster.guarded(lease.require)
                # Once more: an install may have ended since, which brought other objects.
                record = find_record(ours, name, namespace)
                plan = plan_removal(ours, record, namespace, data=delete_data)
                removal = remove(ours, record, namespace, plan, timeout, progress, time.sleep)
    return Uninstalled(name, record.version, dry_run, removal.removed, removal.kept)
