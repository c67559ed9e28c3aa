"""What a cluster needs of registries: by the records of its releases, and by its pods."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace

from bundler.cluster.client import Cluster
from bundler.cluster.release.lease import holder_of, lease_id
from bundler.cluster.release.record import SECRET_TYPE, Record, secret_name
from bundler.core.digest import Digest
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import ObjectId

_BY_DIGEST = re.compile(r"@sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Needed:
    """Records of all namespaces, and the digests that pods name, whoever made them."""

    records: tuple[Record, ...]
    in_pods: frozenset[Digest]

    @property
    def indexes(self) -> frozenset[str]:
        """The identities of all bundles that are installed, or could be gone back to."""
        return frozenset(
            each.index for record in self.records for each in (record.installed, *record.history)
        )


def needed(cluster: Cluster) -> Needed:
    """All that `cluster` needs now; ClusterError when not all of it can be known.

    Also when something is being installed at this moment, or was cut off.
    """
    _require_idle(cluster)
    secrets = cluster.list(ObjectId("v1", "Secret", None, "records"), f"type={SECRET_TYPE}")
    records = tuple(Record.parse(secret) for secret in secrets)
    for record in records:
        if record.journal is not None:
            raise ClusterError(
                f"release {record.name}: its {record.journal.doing} goes on, or was cut off: what "
                "it needs is not certain yet",
                f"run that {record.journal.doing} to its end first, or uninstall it",
            )
    pods = cluster.list(ObjectId("v1", "Pod", None, "pods"))
    specs = json.dumps([pod.get("spec") for pod in pods])
    return Needed(records, frozenset(Digest(found) for found in _BY_DIGEST.findall(specs)))


def _require_idle(cluster: Cluster) -> None:
    """ClusterError when anybody holds the lease of a release: what it pushed, no record has yet."""
    for lease in cluster.list(replace(lease_id("any", "any"), namespace=None)):
        where = ObjectId.of(lease)
        holder = holder_of(lease)
        if holder and where.name.startswith(secret_name("")):
            raise ClusterError(
                f"{where}: {holder} installs something now, or was cut off: what it needs is not "
                "certain yet",
                "wait until it is done, or run that again to its end; where nothing is to be "
                f"continued: kubectl -n {where.namespace} delete lease {where.name}",
            )
