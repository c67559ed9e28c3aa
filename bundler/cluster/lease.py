"""One install at a time: a Lease beside the record, renewed while it is held.

coordination.k8s.io/v1, as leader election uses it. No clock is compared with another one's: a
lease that is not renewed while we watch it for as long as it lasts is nobody's any more.
"""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from bundler.cluster.client import Cluster, ConflictError
from bundler.cluster.release import secret_name
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.tools.http import Sleep

# Seconds. Renewed four times as often as it ends, so that a slow answer loses nothing.
LASTS = 20
_RENEWED = 5
_LOOKS = 1.0
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PROCESSES = Path("/proc/self/ns/pid")


@dataclass
class Held:
    """A lease that is ours until `lost` is set."""

    name: str
    lost: threading.Event = field(default_factory=threading.Event)

    def require(self) -> None:
        """ClusterError when somebody else has it by now, or it could not be renewed."""
        if self.lost.is_set():
            raise ClusterError(
                f"{self.name}: the lease was lost: it could not be renewed for {LASTS} seconds, or "
                "somebody took it",
                "run the same command again: it goes on where this one stopped",
            )


def lease_id(release: str, namespace: str) -> ObjectId:
    """The id of the Lease of `release`, which lies beside its record."""
    return ObjectId("coordination.k8s.io/v1", "Lease", namespace, secret_name(release))


def holder_of(lease: JsonObject) -> str:
    """Who holds it, in words: ``HOST, process N``; empty when nobody does."""
    host, _, rest = str(_spec(lease).get("holderIdentity") or "").partition("/")
    return f"{host}, process {rest.split('/')[0]}" if host and rest else host


@contextmanager
def held(cluster: Cluster, release: str, namespace: str, sleep: Sleep) -> Iterator[Held]:
    """The lease of `release`, for as long as the block runs; gone after it.

    ClusterError when somebody else holds it. One whose holder was killed is taken over: at once
    when that was a process of this machine, else when it wasn't renewed while we watched.
    """
    object_id = lease_id(release, namespace)
    me = _identity()
    lease = _acquire(cluster, object_id, me, sleep)
    mine = Held(str(object_id))
    done = threading.Event()
    renewing = threading.Thread(target=_renew, args=(cluster, lease, mine, done), daemon=True)
    renewing.start()
    try:
        yield mine
    finally:
        done.set()
        renewing.join()
        # Left behind it does no harm: it ends, and the next one takes it over.
        with suppress(ClusterError):
            cluster.delete(object_id, str(lease["metadata"]["uid"]))


def _acquire(cluster: Cluster, object_id: ObjectId, me: str, sleep: Sleep) -> JsonObject:
    watched: JsonObject | None = None
    waited = 0.0
    while True:
        found = cluster.get(object_id)
        with suppress(ConflictError):
            if found is None:
                return cluster.create(_lease(object_id, me))
            if watched is not None and _seen(found) != _seen(watched):
                raise _taken(object_id, found)
            if _is_free(found) or waited >= LASTS:
                version = found["metadata"]["resourceVersion"]
                return cluster.replace(_lease(object_id, me, version))
        watched = found
        sleep(_LOOKS)
        waited += _LOOKS


def _taken(object_id: ObjectId, found: JsonObject) -> ClusterError:
    return ClusterError(
        f"{object_id}: another install of this release is going on: {holder_of(found)} holds the "
        "lease, and renews it",
        "wait until it is done; `airbundle status` says how far it is",
    )


def _renew(cluster: Cluster, lease: JsonObject, mine: Held, done: threading.Event) -> None:
    """Renews until `done`; sets `lost` when somebody else has it, or it would have ended."""
    failed = 0
    while not done.wait(_RENEWED):
        version = lease["metadata"]["resourceVersion"]
        object_id = ObjectId.of(lease)
        try:
            lease = cluster.replace(_lease(object_id, _spec(lease)["holderIdentity"], version))
            failed = 0
        except ConflictError:
            mine.lost.set()
            return
        except ClusterError:
            failed += 1
            if failed * _RENEWED >= LASTS:
                mine.lost.set()
                return


def _lease(object_id: ObjectId, holder: str, version: str | None = None) -> JsonObject:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    metadata: JsonObject = {"name": object_id.name, "namespace": object_id.namespace}
    if version is not None:
        metadata["resourceVersion"] = version
    return {
        "apiVersion": object_id.api_version,
        "kind": object_id.kind,
        "metadata": metadata,
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": LASTS,
            # For people; nothing here compares it with a clock.
            "renewTime": now,
        },
    }


def _spec(lease: JsonObject) -> JsonObject:
    spec = lease.get("spec")
    return spec if isinstance(spec, dict) else {}


def _seen(lease: JsonObject) -> tuple[object, object]:
    return lease["metadata"].get("uid"), lease["metadata"].get("resourceVersion")


def _is_free(lease: JsonObject) -> bool:
    """Whether nobody holds it, or a process of this machine that has ended."""
    holder = str(_spec(lease).get("holderIdentity") or "")
    host, _, rest = holder.partition("/")
    process, _, mark = rest.partition("/")
    if not holder:
        return True
    here = host == platform.node() and mark.rpartition("/")[0] == _boot()
    return here and process.isdigit() and not Path("/proc", process).exists()


def _identity() -> str:
    return f"{platform.node()}/{os.getpid()}/{_boot()}/{uuid4().hex[:8]}"


def _boot() -> str:
    """In which world process ids mean something: one start of a kernel, one namespace of ids."""
    try:
        return f"{_BOOT.read_text().strip()}:{_PROCESSES.readlink()}"
    except OSError:
        return "unknown"
