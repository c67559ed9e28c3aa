"""One install at a time: a Lease beside the record, renewed while it is held.

coordination.k8s.io/v1, as leader election uses it. No clock is compared with another one's: a
lease that is not renewed while we watch it for as long as it lasts is nobody's any more. Its holder
gives it up earlier than that, by a clock that goes on while the machine sleeps.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from bundler.cluster.client import Cluster, ConflictError
from bundler.cluster.release.record import secret_name
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.tools.http import Sleep

# Seconds. Renewed four times as often as it ends, so that a slow answer loses nothing.
LASTS = 20
_RENEWED = 5
_LOOKS = 1.0
# Goes on in a machine that is suspended (clock_gettime(2)); elsewhere the monotonic one does.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PROCESSES = Path("/proc/self/ns/pid")
_UNKNOWN = "unknown"


@dataclass
class Held:
    """A lease that is ours until `lost` is set, or it is too long since it was `renewed`.

    That is when the last renewal that succeeded was begun, in seconds by the clock since boot.
    """

    cluster: Cluster
    lease: JsonObject
    renewed: float
    lost: threading.Event = field(default_factory=threading.Event)
    renewing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> str:
        """What the lease is called."""
        return str(ObjectId.of(self.lease))

    @property
    def ended(self) -> bool:
        """Whether others may think so soon: a write that is under way then still comes before."""
        return _now() - self.renewed >= LASTS - _RENEWED

    def renew(self) -> None:
        """Hold it on; sets `lost` when somebody else has it, ClusterError when nobody can say."""
        with self.renewing:
            since = _now()
            try:
                self._write()
            except ConflictError:
                # It may be our own renewal, of which the answer was lost.
                found = self.cluster.get(ObjectId.of(self.lease))
                if found is None or _holding(found) != _holding(self.lease):
                    self.lost.set()
                    return
                self.lease = found
                self._write()
            self.renewed = since

    def _write(self) -> None:
        holder = _spec(self.lease)["holderIdentity"]
        self.lease = self.cluster.replace(_lease(ObjectId.of(self.lease), holder, self.lease))

    def require(self) -> None:
        """ClusterError when somebody else has it by now, or it can't be renewed.

        One that ended, while the machine slept say, is still ours if nobody took it. Where nobody
        can say, it is the API server's error that counts.
        """
        if self.ended and not self.lost.is_set():
            self.renew()
        if self.lost.is_set() or self.ended:
            raise ClusterError(
                f"{self.name}: the lease was lost: it was not renewed for {LASTS - _RENEWED} "
                "seconds (was this machine suspended?), or somebody took it",
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
    lease, since = _acquire(cluster, object_id, me, sleep)
    mine = Held(cluster, lease, since)
    done = threading.Event()
    renewing = threading.Thread(target=_renew, args=(mine, done), daemon=True)
    renewing.start()
    try:
        yield mine
    finally:
        done.set()
        renewing.join()
        # Left behind it does no harm: it ends, and the next one takes it over. Whoever did that
        # already has the same Lease, in a later version.
        last = mine.lease["metadata"]
        with suppress(ClusterError):
            cluster.delete(object_id, str(last["uid"]), version=str(last["resourceVersion"]))


def _acquire(
    cluster: Cluster, object_id: ObjectId, me: str, sleep: Sleep
) -> tuple[JsonObject, float]:
    """The lease, and when it was asked for."""
    watched: JsonObject | None = None
    waited = 0.0
    while True:
        found = cluster.get(object_id)
        with suppress(ConflictError):
            since = _now()
            if found is None:
                return cluster.create(_lease(object_id, me)), since
            if watched is not None and _seen(found) != _seen(watched):
                raise _taken(object_id, found)
            if _is_free(found) or waited >= LASTS:
                return cluster.replace(_lease(object_id, me, found)), since
        watched = found
        sleep(_LOOKS)
        waited += _LOOKS


def _taken(object_id: ObjectId, found: JsonObject) -> ClusterError:
    return ClusterError(
        f"{object_id}: another install of this release is going on: {holder_of(found)} holds the "
        "lease, and renews it",
        "wait until it is done; `airbundle status` says how far it is",
    )


def _renew(mine: Held, done: threading.Event) -> None:
    """Renews until `done`, or it is lost."""
    while not (done.wait(_RENEWED) or mine.lost.is_set()):
        # What goes wrong for too long is told by `require`.
        with suppress(ClusterError):
            mine.renew()


def _now() -> float:
    return time.clock_gettime(_CLOCK)


def _lease(object_id: ObjectId, holder: str, there: JsonObject | None = None) -> JsonObject:
    """A Lease for `holder`, in the place of the very one that is `there`.

    Without its uid the API server makes one that was deleted anew: a Lease may be made by PUT.
    """
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    metadata: JsonObject = {"name": object_id.name, "namespace": object_id.namespace}
    if there is not None:
        metadata |= {key: there["metadata"][key] for key in ("uid", "resourceVersion")}
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


def _holding(lease: JsonObject) -> tuple[object, object]:
    """Who holds which lease: no two holders have one name, nor two leases one uid."""
    return lease["metadata"].get("uid"), _spec(lease).get("holderIdentity")


def _is_free(lease: JsonObject) -> bool:
    """Whether nobody holds it, or a process of this machine that has ended."""
    holder = str(_spec(lease).get("holderIdentity") or "")
    host, _, rest = holder.partition("/")
    process, _, mark = rest.partition("/")
    if not holder:
        return True
    boot = mark.rpartition("/")[0]
    here = host == platform.node() and boot == _boot() != _UNKNOWN
    return here and process.isdigit() and _has_ended(int(process))


def _has_ended(process: int) -> bool:
    """Whether a process is certainly gone; another user's may be hidden, and is there."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        pass
    return False


def _identity() -> str:
    return f"{platform.node()}/{os.getpid()}/{_boot()}/{uuid4().hex[:8]}"


def _boot() -> str:
    """In which world process ids mean something: one start of a kernel, one namespace of ids."""
    try:
        return f"{_BOOT.read_text().strip()}:{_PROCESSES.readlink()}"
    except OSError:
        return _UNKNOWN
