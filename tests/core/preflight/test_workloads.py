"""What will run, from the objects of a release."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from bundler.core.preflight.workloads import (
    devices,
    pod_requests,
    with_runtime_classes,
    workloads,
)
from tests.core.preflight.things import DIGEST, IMAGE, OTHER, a_workload, requesting

POD: dict[str, Any] = {"containers": [{"name": "c", "image": IMAGE}]}
TEMPLATE = {"metadata": {"labels": {"app": "x"}}, "spec": POD}


def obj(kind: str, spec: dict[str, Any], api_version: str = "apps/v1") -> dict[str, Any]:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "x", "namespace": "serving"},
        "spec": spec,
    }


@pytest.mark.parametrize(
    ("object_", "replicas"),
    [
        (obj("Pod", POD, "v1"), 1),
        (obj("Deployment", {"replicas": 3, "template": TEMPLATE}), 3),
        (obj("Deployment", {"template": TEMPLATE}), 1),
        (obj("Deployment", {"replicas": 0, "template": TEMPLATE}), 0),
        (obj("StatefulSet", {"replicas": 2, "template": TEMPLATE}), 2),
        (obj("Job", {"parallelism": 4, "completions": 2, "template": TEMPLATE}, "batch/v1"), 2),
        (obj("Job", {"parallelism": 4, "template": TEMPLATE}, "batch/v1"), 4),
        (
            obj("CronJob", {"jobTemplate": {"spec": {"parallelism": 5, "template": TEMPLATE}}}),
            5,
        ),
        (obj("InferenceService", {"predictor": POD}, "serving.kserve.io/v1beta1"), 1),
        (obj("DaemonSet", {"template": TEMPLATE}), 0),
    ],
    ids=lambda each: each["kind"] if isinstance(each, dict) else str(each),
)
def test_pods_are_counted_by_kind(object_: dict[str, Any], replicas: int) -> None:
    [found] = workloads([object_])
    assert (found.replicas, found.everywhere) == (replicas, object_["kind"] == "DaemonSet")
    assert found.namespace == "serving"
    assert found.images == {DIGEST}


def test_what_has_no_pods_is_no_workload() -> None:
    assert workloads([obj("ConfigMap", {}, "v1")]) == ()


def test_a_pod_takes_its_containers_together_and_itself() -> None:
    spec = {"containers": [requesting(cpu="1", memory="1Gi"), requesting(cpu="500m")]}
    assert pod_requests(spec) == {
        "cpu": Fraction(3, 2),
        "memory": Fraction(2**30),
        "pods": Fraction(1),
    }


def test_what_runs_first_counts_where_it_is_larger_and_sidecars_always() -> None:
    sidecar = requesting(cpu="1") | {"restartPolicy": "Always"}
    spec = {
        "initContainers": [sidecar, requesting(cpu="4")],
        "containers": [requesting(cpu="2", memory="1Gi")],
    }
    assert pod_requests(spec)["cpu"] == 5
    spec["initContainers"] = [requesting(cpu="1"), sidecar]
    assert pod_requests(spec)["cpu"] == 3


def test_a_limit_stands_for_a_request_and_overhead_counts() -> None:
    limited = {"name": "c", "resources": {"limits": {"nvidia.com/gpu": 1}}}
    found = pod_requests({"containers": [limited], "overhead": {"memory": "64Mi"}})
    assert [found["nvidia.com/gpu"], found["memory"]] == [1, 64 * 2**20]


def test_what_a_pod_asks_for_as_a_whole_counts_instead() -> None:
    spec = {"containers": [requesting(cpu="4")], "resources": {"requests": {"cpu": "2"}}}
    assert pod_requests(spec)["cpu"] == 2


def test_devices_have_a_domain_of_their_own() -> None:
    asked = {"cpu": Fraction(1), "nvidia.com/mig-1g.10gb": Fraction(1), "amd.com/gpu": Fraction(0)}
    named = asked | {"scheduling.kubernetes.io/x": Fraction(1)}
    assert devices(named) == {"nvidia.com/mig-1g.10gb": Fraction(1)}


def test_models_are_found_as_volumes_and_by_name() -> None:
    volume = {"name": "m", "image": {"reference": f"registry.site/models/m@sha256:{OTHER}"}}
    mount = {"name": "server", "image": IMAGE, "volumeMounts": [{"subPath": OTHER}]}
    mounting = a_workload(volumes=[volume])
    assert mounting.volumes == {OTHER}
    assert mounting.has_image_volumes
    claiming = a_workload(containers=[mount])
    assert claiming.volumes == frozenset()
    assert not claiming.has_image_volumes
    assert OTHER in claiming.named


def test_a_runtime_class_adds_what_it_says() -> None:
    plain = a_workload(runtimeClassName="nvidia", nodeSelector={"a": "1"})
    runtime = {
        "overhead": {"podFixed": {"cpu": "1"}},
        "scheduling": {"nodeSelector": {"b": "2"}, "tolerations": [{"operator": "Exists"}]},
    }
    [found] = with_runtime_classes([plain], {"nvidia": runtime})
    assert found.pod.spec["nodeSelector"] == {"a": "1", "b": "2"}
    assert found.pod.spec["tolerations"] == [{"operator": "Exists"}]
    assert found.requests["cpu"] == plain.requests["cpu"] + 1
    assert with_runtime_classes([plain], {"other": runtime}) == (plain,)


@pytest.mark.parametrize(
    ("metadata", "owned"),
    [
        ({"namespace": "serving", "labels": {"app": "web", "hash": "1"}}, True),
        ({"namespace": "serving", "labels": {"app": "other"}}, False),
        ({"namespace": "elsewhere", "labels": {"app": "web"}}, False),
        ({"namespace": "serving"}, False),
    ],
)
def test_pods_of_the_same_selector_make_way(metadata: dict[str, Any], owned: bool) -> None:
    assert a_workload().owns({"metadata": {"name": "web-1"} | metadata}) is owned
