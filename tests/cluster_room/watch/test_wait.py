"""Waiting, on a real API server without controllers and by a clock that a test moves."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bundler.cluster.client import Cluster, UnreachableError
from bundler.cluster.watch.wait import NotReadyError, wait_ready
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import ObjectId
from tests.cluster_room.statuses import Clock, Stage, Watched, on_stage, waiting
from tests.releases import config_map

pytestmark = pytest.mark.needs("apiserver")

JOB_FAILED = {
    "startTime": "2026-01-01T00:00:00Z",
    "failed": 1,
    "conditions": [
        {"type": kind, "status": "True", "reason": "BackoffLimitExceeded", "message": "too often"}
        for kind in ("FailureTarget", "Failed")
    ],
}


PROGRESS = {"type": "Progressing"}


@pytest.fixture(scope="module", name="stage")
def staged(kubeconfig: Path) -> Iterator[Stage]:
    with on_stage(kubeconfig) as stage:
        yield stage


@pytest.fixture
def clock() -> Clock:
    return Clock()


def wait(
    stage: Stage, ids: Sequence[ObjectId], clock: Clock, timeout: float = 60, **more: Any
) -> list[str]:
    """What was told on the way."""
    watched = Watched()
    cluster = more.get("cluster", stage.cluster)
    wait_ready(cluster, ids, timeout, watched, clock.sleep, clock)
    return watched.labels


def refused(
    stage: Stage, ids: Sequence[ObjectId], clock: Clock, timeout: float = 60
) -> NotReadyError:
    with pytest.raises(NotReadyError) as caught:
        wait(stage, ids, clock, timeout)
    return caught.value


def job(stage: Stage, name: str) -> ObjectId:
    container = {"name": "server", "image": "registry.example/team/job:1"}
    spec = {"template": {"spec": {"restartPolicy": "OnFailure", "containers": [container]}}}
    metadata = {"name": name, "namespace": stage.space}
    return stage.make({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec})


def crashed(times: int, code: int = 1) -> dict[str, Any]:
    last = {"lastState": {"terminated": {"exitCode": code, "reason": "Error"}}}
    return waiting("CrashLoopBackOff", "back-off", times, **last)


def test_what_is_ready_is_not_waited_for(stage: Stage, clock: Clock) -> None:
    settings = stage.make(config_map(stage.space, "there"))
    assert wait(stage, [settings], clock) == []
    assert clock.slept == []


def test_nothing_is_asked_without_a_timeout(stage: Stage, clock: Clock) -> None:
    nowhere = ObjectId("v1", "Nothing", "nowhere", "x")
    assert wait(stage, [nowhere], clock, 0) == []


def test_it_comes_and_the_way_is_told(stage: Stage, clock: Clock) -> None:
    one, two = stage.deployment("one"), stage.deployment("two", 2)
    settings = stage.make(config_map(stage.space, "beside"))
    clock.at(4, lambda: stage.available(one))
    clock.at(8, lambda: stage.status(two, {"replicas": 2, "updatedReplicas": 2}))
    clock.at(12, lambda: stage.available(two, 2))
    told = wait(stage, [settings, one, two], clock)
    assert told == [
        f"1 of 3 ready; {one}: 0 of 1 replicas there",
        f"2 of 3 ready; {two}: 0 of 2 replicas there",
        f"2 of 3 ready; {two}: 0 of 2 replicas available",
    ]
    assert sum(clock.slept) == 12 + 2


def test_one_that_falls_back_is_waited_for_again(stage: Stage, clock: Clock) -> None:
    one, two = stage.deployment("falls"), stage.deployment("late")
    stage.available(one)

    def other() -> None:
        stage.status(one, {"availableReplicas": 0})
        stage.available(two)

    clock.at(4, other)
    clock.at(10, lambda: stage.available(one))
    told = wait(stage, [one, two], clock)
    assert told[-1] == f"1 of 2 ready; {one}: 0 of 1 replicas available"
    assert sum(clock.slept) == 10 + 2


def late(stage: Stage, object_id: ObjectId, version: str) -> None:
    """Its controller gives `version` up."""
    words = f'ReplicaSet "{version}" has timed out progressing.'
    reason = {"reason": "ProgressDeadlineExceeded", "message": words}
    seen = {"observedGeneration": stage.get(object_id)["metadata"]["generation"]}
    stage.status(object_id, seen | {"conditions": [PROGRESS | {"status": "False"} | reason]})


def test_a_version_that_was_too_late_before_is_no_failure_of_this_one(
    stage: Stage, clock: Clock
) -> None:
    back = stage.deployment("back")
    late(stage, back, "broken")
    clock.at(10, lambda: stage.available(back))
    told = wait(stage, [back], clock)
    assert told == [f'0 of 1 ready; {back}: ReplicaSet "broken" has timed out progressing.']
    assert sum(clock.slept) == 10 + 2


def test_a_version_that_is_too_late_has_failed(stage: Stage, clock: Clock) -> None:
    one = stage.deployment("too-late")
    late(stage, one, "before")
    clock.at(10, lambda: late(stage, one, "this"))
    error = refused(stage, [one], clock)
    assert "waiting longer does not help" in error.message
    assert 'ReplicaSet "this" has timed out progressing.' in error.message
    assert sum(clock.slept) == 10


def test_what_is_ready_for_a_moment_is_not_ready(stage: Stage, clock: Clock) -> None:
    crash = stage.deployment("moment")
    clock.at(4, lambda: stage.available(crash))
    clock.at(6, lambda: stage.status(crash, {"availableReplicas": 0}))
    assert "0 of 1 replicas available" in refused(stage, [crash], clock, 8).message
    clock.at(2, lambda: stage.available(crash))
    clock.at(4, lambda: stage.status(crash, {"availableReplicas": 0}))
    never = stage.deployment("beside-moment")
    error = refused(stage, [crash, never], clock, 8)
    assert [each for each, _ in error.states] == [crash, never]


def test_what_is_ready_at_the_last_moment_is_ready(stage: Stage, clock: Clock) -> None:
    web = stage.deployment("last-moment")
    clock.at(8, lambda: stage.available(web))
    wait(stage, [web], clock, 8)
    assert clock.now == 1008


def test_the_time_is_kept(stage: Stage, clock: Clock) -> None:
    never = stage.deployment("never")
    error = refused(stage, [never], clock, 31)
    assert clock.now == 1031
    assert error.exit_code == 8
    assert error.message.startswith("not ready (waited 31 s): 1 of 1 objects\n")
    assert [each for each, _ in error.states] == [never]


def test_what_is_gone_is_named(stage: Stage, clock: Clock) -> None:
    gone = ObjectId("apps/v1", "Deployment", stage.space, "gone")
    assert f"{gone}: is not there" in refused(stage, [gone], clock, 4).message


def test_what_failed_ends_the_wait(stage: Stage, clock: Clock) -> None:
    failed, never = job(stage, "failed"), stage.deployment("patient")
    stage.status(failed, JOB_FAILED)
    error = refused(stage, [never, failed], clock)
    assert clock.slept == []
    first, second = error.message.splitlines()[:2]
    assert first == "not ready (waiting longer does not help): 2 of 2 objects"
    assert second == f"  {failed}: failed: too often"


@pytest.mark.parametrize(
    ("status", "ends"),
    [
        (waiting("InvalidImageName", "UPPER"), 10),
        (waiting("ErrImageNeverPull"), 10),
        (waiting("ImagePullBackOff", "not found"), 60),
        (waiting("CreateContainerConfigError", 'secret "x" not found'), 60),
        (crashed(5), 10),
        (crashed(4), 60),
    ],
)
def test_only_what_waiting_does_not_mend_ends_it(
    stage: Stage, clock: Clock, status: dict[str, Any], ends: int
) -> None:
    name = f"ends-{uuid.uuid4().hex[:8]}"
    web = stage.deployment(name)
    stage.pod(name, {"app": name}, containerStatuses=[status])
    refused(stage, [web], clock)
    assert clock.now == 1000 + ends


def test_how_often_a_job_may_crash_is_its_own_business(stage: Stage, clock: Clock) -> None:
    load = job(stage, "load")
    labels = stage.get(load)["spec"]["selector"]["matchLabels"]
    stage.pod("load", labels, containerStatuses=[crashed(9)])
    refused(stage, [load], clock)
    assert clock.now == 1060


def test_the_pods_of_an_earlier_version_do_not_count(stage: Stage, clock: Clock) -> None:
    web = stage.deployment("upgraded")
    for revision in (9, 10):
        stage.replica_set(web, revision)
    old = {"app": "upgraded", "pod-template-hash": "v9"}
    stage.pod("upgraded-old", old, containerStatuses=[crashed(7)])
    new = {"app": "upgraded", "pod-template-hash": "v10"}
    stage.pod("upgraded-new", new, containerStatuses=[waiting("ErrImagePull", "not found")])
    error = refused(stage, [web], clock)
    assert clock.now == 1060
    assert "Pod upgraded-new: container server: ErrImagePull: not found" in error.message
    assert "upgraded-old" not in error.message


def test_pods_events_and_remedies_are_said(stage: Stage, clock: Clock) -> None:
    web = stage.deployment("explained")
    labels = {"app": "explained"}
    pod = stage.pod("explained", labels, containerStatuses=[crashed(2, 3)])
    stage.event(pod, "Unhealthy", "Readiness probe failed: \x1b[2Jgone\nwhy")
    stage.event(web, "Odd", "of the Deployment")
    error = refused(stage, [web], clock, 4)
    assert error.message.splitlines()[1:] == [
        f"  {web}: container server crashed 2 times: exit code 3; 0 of 1 replicas there",
        "    Odd (2 times): of the Deployment",
        "    Pod explained: container server crashed 2 times: exit code 3",
        "      | (no log)",  # there is no kubelet to ask
        r"      Unhealthy (2 times): Readiness probe failed: \x1b[2Jgone why",
    ]
    assert error.hint == "its last log lines are what it said before it ended"


def test_a_log_is_found_when_its_container_began_anew_in_between(
    stage: Stage, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = stage.deployment("anew")
    ended = waiting("", state={"terminated": {"exitCode": 3, "reason": "Error"}})
    pod = stage.pod("anew", {"app": "anew"}, containerStatuses=[ended])
    said = {False: "\n", True: "why it ended\n"}

    def logs(asked: ObjectId, container: str, lines: int, *, previous: bool = False) -> str:
        assert (asked, container) == (pod, "server")
        return said[previous]

    monkeypatch.setattr(stage.cluster, "logs", logs)
    assert "      | why it ended" in refused(stage, [web], clock, 4).message.splitlines()


def test_a_refused_pod_is_told_by_its_replica_set(stage: Stage, clock: Clock) -> None:
    web = stage.deployment("quota")
    stage.replica_set(web, 1)
    made = ObjectId("apps/v1", "ReplicaSet", stage.space, "quota-v1")
    stage.event(made, "FailedCreate", "Error creating: pods is forbidden: exceeded quota: q")
    error = refused(stage, [web], clock, 4)
    assert "exceeded quota: q" in error.message
    assert "a quota, Pod Security, a webhook" in str(error.hint)


def test_an_error_has_bounds(stage: Stage, clock: Clock) -> None:
    many = [stage.deployment(f"many{number}") for number in range(7)]
    for number in range(5):
        stage.pod(f"crowd{number}", {"app": "many0"}, containerStatuses=[crashed(1)])
    stage.event(many[1], "Long", "x" * 1000)
    stage.event(many[6], "Late", "not asked for any more")
    message = refused(stage, many, clock, 4).message
    told = [line for line in message.splitlines() if "0 of 1 replicas there" in line]
    assert [str(each) in line for each, line in zip(many, told, strict=True)] == [True] * 7
    assert message.count("Pod crowd") == 3
    assert "… and 2 more pods" in message
    assert "Late" not in message
    assert max(map(len, message.splitlines())) < 650


def test_a_volume_for_the_first_pod_is_not_waited_for(stage: Stage, clock: Clock) -> None:
    for mode in ("WaitForFirstConsumer", "Immediate"):
        stage.make(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": f"{stage.space}-{mode.lower()}"},
                "provisioner": "example.org/none",
                "volumeBindingMode": mode,
            }
        )

    def claim(name: str, mode: str, **annotations: str) -> ObjectId:
        spec = {
            "storageClassName": f"{stage.space}-{mode}",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        }
        metadata = {"name": name, "namespace": stage.space, "annotations": annotations}
        kind = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
        return stage.make(kind | {"metadata": metadata, "spec": spec})

    assert wait(stage, [claim("lazy", "waitforfirstconsumer")], clock) == []
    at_once = claim("eager", "immediate")
    assert f"{at_once}: not bound" in refused(stage, [at_once], clock, 4).message
    selected = {"volume.kubernetes.io/selected-node": "node"}
    placed = claim("placed", "waitforfirstconsumer", **selected)
    assert f"{placed}: not bound" in refused(stage, [placed], clock, 4).message


class Narrow(Cluster):
    """An API server that lets us look at no pods and events."""

    def list(self, *_: Any, **__: Any) -> list[dict[str, Any]]:
        raise ClusterError("Pod: list: the API server answered 403 Forbidden: \x1bno")


def test_who_may_not_look_at_pods_waits_for_them(stage: Stage, clock: Clock) -> None:
    web = stage.deployment("unseen")
    cluster = Narrow(stage.cluster._session, stage.cluster.manager)
    clock.at(300, lambda: stage.available(web))
    wait(stage, [web], clock, 600, cluster=cluster)
    assert clock.now == 1302


def test_who_may_not_look_at_pods_is_told_so(stage: Stage, clock: Clock) -> None:
    web = stage.deployment("unseen-never")
    cluster = Narrow(stage.cluster._session, stage.cluster.manager)
    with pytest.raises(NotReadyError, match=r"why can't be asked: Pod: .* 403 .*: \\x1bno"):
        wait(stage, [web], clock, 30, cluster=cluster)
    assert clock.now == 1030


class Away(Cluster):
    """The API server, which is away while the clock says so."""

    clock: Clock
    until: float

    def get(self, object_id: ObjectId) -> dict[str, Any] | None:
        if 1004 <= self.clock.now < self.until:
            raise UnreachableError("API server: refused")
        return super().get(object_id)


def away(stage: Stage, clock: Clock, until: float) -> Away:
    cluster = Away(stage.cluster._session, stage.cluster.manager)
    cluster.clock, cluster.until = clock, until
    return cluster


def test_the_api_server_may_be_away_for_a_while(stage: Stage, clock: Clock) -> None:
    web = stage.deployment("absent")
    clock.at(80, lambda: stage.available(web))
    wait(stage, [web], clock, 600, cluster=away(stage, clock, 1100))
    assert clock.now == 1100 + 2


def test_the_api_server_may_not_be_away_for_ever(stage: Stage, clock: Clock) -> None:
    web = stage.deployment("absent-long")
    with pytest.raises(ClusterError, match="refused"):
        wait(stage, [web], clock, 600, cluster=away(stage, clock, 9999))
    assert 1120 <= clock.now <= 1124


def test_the_time_is_kept_while_the_api_server_is_away(stage: Stage, clock: Clock) -> None:
    web = stage.deployment("absent-short")
    with pytest.raises(ClusterError, match="refused"):
        wait(stage, [web], clock, 30, cluster=away(stage, clock, 9999))
    assert clock.now == 1030
