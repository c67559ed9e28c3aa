"""Claims of a release, and the storage behind their classes."""

from __future__ import annotations

from typing import Any

import pytest

from bundler.core.objects.manifests import JsonObject
from bundler.core.preflight.storage import claimed, claims_of, default_classes, shortage
from bundler.core.preflight.workloads import workloads
from tests.core.preflight.things import a_workload

GIB = 2**30


def claim_spec(size: str, name: str | None = "fast") -> dict[str, Any]:
    named = {} if name is None else {"storageClassName": name}
    return {"resources": {"requests": {"storage": size}}} | named


def claim(spec: dict[str, Any], **metadata: Any) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "cache", "namespace": "serving"} | metadata,
        "spec": spec,
    }


def stateful(replicas: int) -> JsonObject:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "serving"},
        "spec": {
            "replicas": replicas,
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim_spec("2Gi")}],
            "template": {"spec": {"containers": [{"name": "c"}]}},
        },
    }


def capacity(size: str, largest: str | None = None, name: str = "fast") -> JsonObject:
    found = {"storageClassName": name, "capacity": size, "metadata": {"name": "x"}}
    return found | ({} if largest is None else {"maximumVolumeSize": largest})


@pytest.mark.parametrize(
    ("spec", "metadata", "expected"),
    [
        (claim_spec("1Gi"), {}, "fast"),
        (claim_spec("1Gi", None), {}, None),
        (claim_spec("1Gi", ""), {}, ""),
        (
            claim_spec("1Gi", None),
            {"annotations": {"volume.beta.kubernetes.io/storage-class": "old"}},
            "old",
        ),
    ],
)
def test_a_claim_has_a_class_the_default_or_none(
    spec: dict[str, Any], metadata: dict[str, Any], expected: str | None
) -> None:
    [found] = claims_of([claim(spec, **metadata)], ())
    assert (found.storage_class, int(found.size), found.count) == (expected, GIB, 1)


def test_claims_that_will_be_made_count() -> None:
    objects = [stateful(3)]
    [found] = claims_of(objects, workloads(objects))
    assert (str(found.id), found.count) == ("PersistentVolumeClaim serving/data-db-0", 3)
    volume = {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": claim_spec("1Gi")}}}
    [found] = claims_of([], [a_workload(2, volumes=[volume])])
    assert (str(found.id), found.count) == ("PersistentVolumeClaim serving/web-scratch", 2)


def test_claims_that_pods_name_are_found() -> None:
    volumes = [{"name": "a", "persistentVolumeClaim": {"claimName": "cache"}}, {"name": "b"}]
    [(_, found)] = claimed([a_workload(volumes=volumes)])
    assert str(found) == "PersistentVolumeClaim serving/cache"


def test_the_newest_default_class_counts() -> None:
    def storage_class(name: str, default: str, made: str) -> JsonObject:
        annotations = {"storageclass.kubernetes.io/is-default-class": default}
        return {"metadata": {"name": name, "creationTimestamp": made, "annotations": annotations}}

    found = [
        storage_class("older", "true", "2025-01-01T00:00:00Z"),
        storage_class("newer", "true", "2026-01-01T00:00:00Z"),
        storage_class("other", "false", "2026-02-01T00:00:00Z"),
        {"metadata": {"name": "plain"}},
    ]
    assert default_classes(found) == ("newer", "older")


@pytest.mark.parametrize(
    ("capacities", "problem"),
    [
        ([], None),
        ([capacity("1Gi", name="other")], None),
        ([capacity("20Gi")], None),
        ([capacity("12Gi"), capacity("8Gi")], None),
        ([capacity("8Gi")], "asks for 10 GiB, the largest volume has 8 GiB"),
        ([capacity("100Gi", "5Gi")], "the largest volume has 5 GiB"),
        ([capacity("8Gi", "16Gi"), capacity("4Gi", "16Gi")], "20 GiB are asked for in all, 12 GiB"),
    ],
)
def test_a_class_has_room_as_far_as_its_driver_says(
    capacities: list[JsonObject], problem: str | None
) -> None:
    [found] = claims_of([claim(claim_spec("10Gi"))], ())
    other = claims_of([stateful(5)], ())
    words = shortage("fast", [found, *other], capacities)
    assert words is None if problem is None else problem in str(words)
