"""What keeps a pod from being ready, as kubelet's own words have it."""

from __future__ import annotations

from typing import Any

import pytest

from bundler.core.objects.manifests import JsonObject
from bundler.core.objects.podtrouble import CRASHES, Trouble, troubles
from tests.core.objects.kstatus_table import condition, live

RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}


def pod(phase: str = "Pending", *containers: JsonObject, **more: Any) -> JsonObject:
    """A pod whose one container is called web; it may have 64Mi."""
    spec = {"containers": [{"name": "web", "resources": {"limits": {"memory": "64Mi"}}}]}
    return live("v1 Pod", {"phase": phase, "containerStatuses": list(containers)} | more, spec)


def web(state: dict[str, Any], restarts: int = 0, **more: Any) -> JsonObject:
    return {"name": "web", "ready": False, "restartCount": restarts, "state": state} | more


def waits(reason: str, message: str = "", restarts: int = 0, **more: Any) -> JsonObject:
    return web({"waiting": {"reason": reason, "message": message}}, restarts, **more)


def ended(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


NO_NODE = condition("PodScheduled", "False", "Unschedulable", "0/3 nodes: no GPU")
NOT_READY = condition("Ready", "False", "ReadinessGatesNotReady", "gate x is not true")
BEFORE = condition("Initialized", "False", "ContainersNotInitialized")
OOM = {"lastState": ended(137, "OOMKilled")}

# (pod, words, container whose log tells more, of before its restart, hopeless)
TABLE: dict[str, tuple[JsonObject, str, str, bool, bool]] = {
    "no node": (
        pod(conditions=[NO_NODE]),
        "no node takes it (Unschedulable): 0/3 nodes: no GPU",
        "",
        False,
        False,
    ),
    "pull": (
        pod("Pending", waits("ImagePullBackOff", "not found")),
        "container web: ImagePullBackOff: not found",
        "",
        False,
        False,
    ),
    "name": (
        pod("Pending", waits("InvalidImageName", "UPPER")),
        "container web: InvalidImageName: UPPER",
        "",
        False,
        True,
    ),
    "never pulled": (
        pod("Pending", waits("ErrImageNeverPull")),
        "container web: ErrImageNeverPull: ",
        "",
        False,
        True,
    ),
    "young": (
        pod("Pending", waits("ContainerCreating")),
        "container web is being started (ContainerCreating)",
        "",
        False,
        False,
    ),
    "younger": (pod(), "is being started", "", False, False),
    "crashes": (
        pod("Running", waits("CrashLoopBackOff", "", 4, lastState=ended(3))),
        "container web crashed 4 times: exit code 3",
        "web",
        True,
        False,
    ),
    "crashes for ever": (
        pod("Running", waits("CrashLoopBackOff", "", CRASHES, lastState=ended(1, "Error", "why"))),
        "container web crashed 5 times: exit code 1: why",
        "web",
        True,
        True,
    ),
    "crashes at another place": (
        pod("Running", waits("CrashLoopBackOff", "", 1, lastState=ended(128, "ContainerDied"))),
        "container web crashed 1 times: ContainerDied, exit code 128",
        "web",
        True,
        False,
    ),
    "memory": (
        pod("Running", waits("CrashLoopBackOff", "", 1, **OOM)),
        "container web crashed 1 times: OOMKilled (memory limit 64Mi)",
        "web",
        True,
        False,
    ),
    "just ended": (
        pod("Running", web(ended(3), 2)),
        "container web ended: exit code 3 (restarted 2 times)",
        "web",
        False,
        False,
    ),
    "just out of memory": (
        pod("Running", web(ended(137, "OOMKilled"))),
        "container web ended: OOMKilled (memory limit 64Mi)",
        "web",
        False,
        False,
    ),
    "not ready": (
        pod("Running", web(RUNNING)),
        "container web runs, but is not ready",
        "web",
        False,
        False,
    ),
    "not ready again": (
        pod("Running", web(RUNNING, 1, lastState=ended(1))),
        "container web runs, but is not ready (restarted 1 times)",
        "web",
        True,
        False,
    ),
    "not started": (
        pod("Running", web(RUNNING, started=False)),
        "container web runs, but has not passed its startup probe",
        "web",
        False,
        False,
    ),
    "gates": (
        pod("Running", web(RUNNING, ready=True), conditions=[NOT_READY]),
        "is not ready: gate x is not true",
        "",
        False,
        False,
    ),
    "deleted": (
        live("v1 Pod", {"phase": "Running"}, deletionTimestamp="2026-01-01T00:00:00Z"),
        "is being deleted",
        "",
        False,
        False,
    ),
    "evicted": (
        pod("Failed", reason="Evicted", message="The node was low on memory"),
        "ended in failure: Evicted: The node was low on memory",
        "",
        False,
        False,
    ),
    "failed": (pod("Failed"), "ended in failure", "", False, False),
    "init runs": (
        pod(
            "Pending",
            waits("PodInitializing"),
            initContainerStatuses=[web(RUNNING, name="load")],
            conditions=[BEFORE],
        ),
        "init container load is still running",
        "load",
        False,
        False,
    ),
    "init crashes": (
        pod(
            "Pending",
            waits("PodInitializing"),
            initContainerStatuses=[
                waits("CrashLoopBackOff", "", 1, name="load", lastState=ended(2))
            ],
            conditions=[BEFORE],
        ),
        "init container load crashed 1 times: exit code 2",
        "load",
        True,
        False,
    ),
}


@pytest.mark.parametrize(
    ("obj", "words", "container", "previous", "hopeless"), TABLE.values(), ids=list(TABLE)
)
def test_a_trouble_is_told(
    obj: JsonObject, words: str, container: str, previous: bool, hopeless: bool
) -> None:
    (found,) = troubles(obj)
    assert found == Trouble(words, found.remedy, container, previous, hopeless)


@pytest.mark.parametrize(
    "obj",
    [
        pod("Succeeded", web(ended(0, "Completed"))),
        pod("Running", web(RUNNING, ready=True), conditions=[condition("Ready")]),
    ],
)
def test_a_pod_that_is_well_has_none(obj: JsonObject) -> None:
    assert troubles(obj) == ()


def test_each_container_has_its_own() -> None:
    side = waits("CreateContainerConfigError", 'secret "x" not found', name="side")
    found = troubles(pod("Pending", waits("ErrImagePull", "no"), side))
    assert [each.words for each in found] == [
        "container web: ErrImagePull: no",
        'container side: CreateContainerConfigError: secret "x" not found',
    ]
    assert [each.remedy for each in found] == [
        "nodes must reach the registry, trust its certificate and have a login where it wants one",
        "make the Secret or ConfigMap that it names",
    ]


def test_too_little_memory_has_its_remedy() -> None:
    for found in (
        web(ended(137, "OOMKilled")),
        waits("CrashLoopBackOff", lastState=ended(137, "OOMKilled")),
    ):
        assert "memory limit" in troubles(pod("Running", found))[0].remedy


@pytest.mark.parametrize(
    "obj",
    [
        live("v1 Pod"),
        live("v1 Pod", {"phase": 5, "containerStatuses": [5, {"state": 5}]}),
        live("v1 Pod", {"containerStatuses": [{"state": {"waiting": 5}}], "conditions": 5}),
    ],
)
def test_what_no_server_sends_breaks_nothing(obj: JsonObject) -> None:
    assert [each.words for each in troubles(obj)] == ["is being started"]
