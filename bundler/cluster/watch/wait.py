"""Waiting until what was applied is ready, and saying why it is not.

What is ready is `kstatus`; what is in the way is `diagnosis`. The wait ends early where waiting
doesn't help: what has failed, and a pod that can never start or has crashed again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bundler.cluster.client import Cluster
from bundler.cluster.watch.diagnosis import Explained, explain, hopeless
from bundler.core.errors import ClusterError
from bundler.core.objects import kstatus
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.objects.observed import State, part, progressing, text
from bundler.core.objects.workloads import overdue
from bundler.core.oneline import one_line
from bundler.core.progress import Progress
from bundler.tools.http import Sleep

# Between two looks, in seconds; and how many objects are looked at in a second, at most.
_PAUSE = 2.0
_PER_SECOND = 10
# How long the API server may be away or refuse, and how long between two looks at pods.
_PATIENCE = 120.0
_PODS_EVERY = 10.0
_EXPLAINED = 5
_WORDS = 200

_CLAIM = ("", "PersistentVolumeClaim")
_CLASS = "storage.k8s.io/v1"
_PLACED = "volume.kubernetes.io/selected-node"


class NotReadyError(ClusterError):
    """Objects did not become ready; `states` are those, in the order of applying."""

    def __init__(self, message: str, hint: str, states: Sequence[tuple[ObjectId, State]]) -> None:
        super().__init__(message, hint)
        self.states = tuple(states)


def wait_ready(
    cluster: Cluster,
    ids: Sequence[ObjectId],
    timeout: float,
    progress: Progress,
    sleep: Sleep,
    clock: Callable[[], float],
) -> None:
    """Return when all objects `ids` are ready, or at once when `timeout`, in seconds, is 0.

    NotReadyError when they are not by then, or can't be any more, with what their pods, events
    and logs say; ClusterError when the API server is away for two minutes.
    """
    if timeout > 0:
        _Wait(cluster, ids, timeout, progress, sleep, clock).run()


def readiness(cluster: Cluster, object_id: ObjectId) -> State:
    """How far `object_id` is, as the cluster has it now.

    A volume that is made for the first pod that asks for it is waited for by that pod alone.
    """
    return _readiness(cluster, object_id, cluster.get(object_id))


def _readiness(cluster: Cluster, object_id: ObjectId, live: JsonObject | None) -> State:
    if live is None:
        return State("in progress", "is not there")
    found = kstatus.state(live)
    if found.verdict == "in progress" and _waits_for_a_pod(cluster, object_id, live):
        return State("current", "waits for the first pod that mounts it")
    return found


@dataclass
class _Wait:
    cluster: Cluster
    ids: Sequence[ObjectId]
    timeout: float
    progress: Progress
    sleep: Sleep
    clock: Callable[[], float]
    states: dict[ObjectId, State] = field(default_factory=dict)
    said: str = ""
    # What each Deployment said of its deadline at the first look.
    overdue: dict[ObjectId, str] = field(default_factory=dict)
    # Whether all were ready at the last look: they must be at the next one, too. What has no
    # readiness probe counts as ready for the moment before it crashes.
    steady: bool = False
    # By the clock: the beginning, the last answer, and the last look at pods.
    began: float = field(init=False)
    seen: float = field(init=False)
    looked: float = field(init=False)

    def run(self) -> None:
        self.began = self.seen = self.looked = self.clock()
        while not self._all_ready():
            pause = max(_PAUSE, len(self._pending()) / _PER_SECOND)
            self.sleep(max(0.0, min(pause, self._rest())))

    def _all_ready(self) -> bool:
        """One look; NotReadyError when it was the last one that can help."""
        try:
            first = not self.states
            pending = self._look(self.ids if self.steady else self._pending())
            ready = not pending and (first or self.steady)
            self.steady = not pending
            if self._rest() <= 0 and not ready:
                ready = not self._look(self.ids)
            hopeless = not ready and self._hopeless()
        except ClusterError:
            if self.clock() - self.seen >= _PATIENCE or self._rest() <= 0:
                raise
            return False
        self.seen = self.clock()
        if hopeless or any(each.verdict == "failed" for each in self.states.values()):
            raise self._error("waiting longer does not help")
        if not ready and self._rest() <= 0:
            raise self._error(f"waited {self.clock() - self.began:.0f} s")
        return ready

    def _rest(self) -> float:
        return self.began + self.timeout - self.clock()

    def _pending(self) -> list[ObjectId]:
        return [each for each in self.ids if not self._is_ready(each)]

    def _is_ready(self, object_id: ObjectId) -> bool:
        found = self.states.get(object_id)
        return found is not None and found.verdict == "current"

    def _look(self, ids: Sequence[ObjectId]) -> bool:
        """Whether something is not ready, after a look at `ids`."""
        for each in ids:
            self.states[each] = self._judged(each)
        pending = self._pending()
        if pending:
            first = f"{pending[0]}: {self.states[pending[0]].words}"
            self._say(f"{len(self.ids) - len(pending)} of {len(self.ids)} ready; {first}")
        return bool(pending)

    def _judged(self, object_id: ObjectId) -> State:
        """How far it is; what it said before this wait may be of the version before.

        A Deployment that goes back goes on saying that the other version was too late, until
        something of it moves (deployment controller: DeploymentTimedOut).
        """
        live = self.cluster.get(object_id)
        found, said = _readiness(self.cluster, object_id, live), overdue(live or {})
        if self.overdue.setdefault(object_id, said) == said != "" and found.verdict == "failed":
            return progressing(found.words)
        return found

    def _say(self, words: str) -> None:
        if words != self.said:
            self.said = words
            self.progress.phase(one_line(words, _WORDS), None)

    def _hopeless(self) -> bool:
        """Whether a pod can't start at all; asked less often, since it is many requests."""
        if self.clock() - self.looked < _PODS_EVERY:
            return False
        self.looked = self.clock()
        return any(hopeless(self.cluster, each) for each in self._pending())

    def _error(self, ends: str) -> NotReadyError:
        pending = self._pending()
        pending.sort(key=lambda each: self.states[each].verdict != "failed")
        states = [(each, self.states[each]) for each in pending]
        lines = [f"not ready ({ends}): {len(pending)} of {len(self.ids)} objects"]
        remedies: dict[str, None] = {}
        for number, (object_id, found) in enumerate(states):
            explained = explain(self.cluster, object_id) if number < _EXPLAINED else Explained()
            words = f"{explained.cause}; {found.words}" if explained.cause else found.words
            lines.append(f"  {object_id}: {one_line(words, _WORDS)}")
            lines += (f"    {line}" for line in explained.lines)
            remedies |= dict.fromkeys(explained.remedies)
        hint = "\n".join(remedies) or "`airbundle status` shows how far they are now"
        return NotReadyError("\n".join(lines), hint, states)


def _waits_for_a_pod(cluster: Cluster, object_id: ObjectId, live: JsonObject) -> bool:
    """Whether this is a claim whose volume is made when a pod has a node, and none has one yet."""
    name = text(part(live, "spec"), "storageClassName")
    annotations = part(part(live, "metadata"), "annotations")
    if (object_id.group, object_id.kind) != _CLAIM or not name or _PLACED in annotations:
        return False
    try:
        found = cluster.get(ObjectId(_CLASS, "StorageClass", None, name))
    except ClusterError:  # not everybody may look at it
        return False
    return text(found or {}, "volumeBindingMode") == "WaitForFirstConsumer"
