"""Objects of manifests: read, written, told apart, put in order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bundler.core.errors import DocumentError, IntegrityError, PolicyError
from bundler.core.objects.manifests import (
    STAGE_LABEL,
    ObjectId,
    apply_order,
    before_workloads,
    dump,
    load,
    loads,
    parse_manifests,
)


def config_map(name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **more}


def test_documents_and_lists_become_objects() -> None:
    text = """
apiVersion: v1
kind: Service
metadata: {name: a, namespace: serving}
---
# nothing here
---
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: Secret, metadata: {name: b}}
  - apiVersion: v1
    kind: ConfigMapList
    items: [{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}]
"""
    ids = [str(ObjectId.of(obj)) for obj in parse_manifests(text, "x.yaml")]
    assert ids == ["Service serving/a", "Secret b", "ConfigMap c"]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("just text", ""),
        ("[1]", ""),
        ("{kind: A, metadata: {name: x}}", "apiVersion"),
        ("{apiVersion: v1, metadata: {name: x}}", "kind"),
        ("{apiVersion: v1, kind: A}", "metadata"),
        ("{apiVersion: v1, kind: A, metadata: {}}", "metadata.name"),
        ("{apiVersion: v1, kind: A, metadata: {name: 5}}", "metadata.name"),
        ("{apiVersion: v1, kind: A, metadata: {name: ''}}", "metadata.name"),
        ("{apiVersion: v1, kind: A, metadata: {name: x, namespace: 1}}", "metadata.namespace"),
        ("{apiVersion: v1, kind: A, metadata: {generateName: x-}}", "metadata.generateName"),
        ("{apiVersion: v1, kind: A, metadata: {name: x, generateName: x-}}", "generateName"),
        ("{apiVersion: v1, kind: A, metadata: {name: x}, spec: {a: [.inf]}}", "spec.a[0]"),
        ("{apiVersion: v1, kind: A, metadata: {name: x}, spec: .nan}", "spec"),
        ("{apiVersion: v1, kind: List, items: [{kind: A}]}", "apiVersion"),
    ],
)
def test_what_is_no_object_is_refused(text: str, field: str) -> None:
    with pytest.raises(DocumentError) as raised:
        parse_manifests(text, "x.yaml")
    assert raised.value.where.startswith("x.yaml")
    assert raised.value.field.endswith(field)


@pytest.mark.parametrize(
    "second",
    [
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, namespace: serving}}",
        "{apiVersion: apps/v1beta1, kind: Deployment, metadata: {name: a, namespace: serving}}",
    ],
)
def test_two_objects_with_one_id_are_both_named(second: str) -> None:
    first = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, namespace: serving}}"
    other = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, namespace: other}}"
    with pytest.raises(PolicyError, match=r"object 1 .*serving/a.* and object 3 .*serving/a"):
        parse_manifests(f"{first}\n---\n{other}\n---\n{second}", "x.yaml")


def test_same_names_in_other_groups_are_other_objects() -> None:
    text = "{apiVersion: a.b/v1, kind: K, metadata: {name: x}}\n---\n"
    assert len(parse_manifests(text + text.replace("a.b", "c.d"), "x")) == 2


def test_dump_is_one_object_a_line_and_load_its_inverse() -> None:
    objects = (config_map("a", data={"Key": "ü\n", "key": "x"}), config_map("b", n=[1.5, 1e-9, -3]))
    data = dump(objects)
    assert load(data) == objects
    assert data.count(b"\n") == 4
    assert json.loads(data) == list(objects)
    assert dump(()) == b"[\n\n]\n"
    assert load(dump(())) == ()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[1]",
        b"[",
        b"\xff",
        b"[" * 100_000,
        b'[\n{"apiVersion":"v1","kind":"A","metadata":{"name":"x"},"spec":NaN}\n]\n',
        b'[\n{"apiVersion":"v1","kind":"A","metadata":{"name":"x"},"spec":1e999}\n]\n',
        b'[\n{"apiVersion":"v1","kind":"A","kind":"A","metadata":{"name":"x"}}\n]\n',
        b'[\n{"kind":"A","apiVersion":"v1","metadata":{"name":"x"}}\n]\n',
        b'[{"apiVersion":"v1","kind":"A","metadata":{"name":"x"}}]',
        b'[\n{"apiVersion":"v1","kind":"A","metadata":{"name":"\\ud800"}}\n]\n',
    ],
)
def test_load_refuses_what_dump_does_not_write(data: bytes) -> None:
    with pytest.raises(IntegrityError, match="target dev"):
        load(data, "target dev")


def test_load_refuses_two_objects_with_one_id() -> None:
    with pytest.raises(PolicyError, match="same id"):
        load(dump([config_map("a"), config_map("a", data={})]))


def test_the_order_of_applying() -> None:
    kinds = [
        "ValidatingWebhookConfiguration",
        "HorizontalPodAutoscaler",
        "InferenceService",
        "Deployment",
        "Service",
        "PersistentVolumeClaim",
        "Secret",
        "NetworkPolicy",
        "RoleBinding",
        "ClusterRole",
        "ServiceAccount",
        "StorageClass",
        "ResourceQuota",
        "PriorityClass",
        "CustomResourceDefinition",
        "Namespace",
    ]
    objects = [{"apiVersion": "v1", "kind": k, "metadata": {"name": "x"}} for k in kinds]
    ordered = [obj["kind"] for obj in apply_order(objects)]
    # Quotas and priority classes are of one rank, and stay as they were.
    assert ordered == [
        "Namespace",
        "CustomResourceDefinition",
        "ResourceQuota",
        "PriorityClass",
        *[
            "StorageClass",
            "ServiceAccount",
            "ClusterRole",
            "RoleBinding",
            "NetworkPolicy",
            "Secret",
            "PersistentVolumeClaim",
            "Service",
            "Deployment",
            "InferenceService",
            "HorizontalPodAutoscaler",
            "ValidatingWebhookConfiguration",
        ],
    ]


def test_what_loads_comes_before_what_starts() -> None:
    def job(name: str, stage: object) -> dict[str, Any]:
        labels = {"labels": {STAGE_LABEL: stage}}
        return config_map(name, kind="Job", metadata={"name": name} | labels)

    web = config_map("web", kind="Deployment")
    load_job, other = job("load", "load"), job("other", "later")
    assert [each["metadata"]["name"] for each in apply_order((web, other, load_job))] == [
        "load",
        "web",
        "other",
    ]
    assert [loads(each) for each in (load_job, other, web)] == [True, False, False]
    early = (load_job, config_map("settings"), config_map("data", kind="PersistentVolumeClaim"))
    late = (web, other, config_map("scale", kind="HorizontalPodAutoscaler"))
    assert [before_workloads(each) for each in (*early, *late)] == [True] * 3 + [False] * 3


def test_the_order_is_stable_within_a_rank() -> None:
    objects = [config_map(name) for name in "cab"]
    assert apply_order(objects) == tuple(objects)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ".."),
        ("name", "."),
        ("name", "a/b"),
        ("name", "a%2fb"),
        ("name", "a?b"),
        ("namespace", ".."),
        ("namespace", "a/b"),
        ("apiVersion", "../v1"),
        ("apiVersion", "a/b/c"),
        ("kind", "Config/Map"),
    ],
)
def test_a_name_that_is_a_path_is_refused(field: str, value: str) -> None:
    """`..` in a path of the API is the folder above: the namespace, which would be deleted."""
    metadata = {"name": "a", "namespace": "b"}
    obj: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    (metadata if field in metadata else obj)[field] = value
    with pytest.raises(DocumentError, match="what the API server takes"):
        parse_manifests(json.dumps(obj), "manifests")
    with pytest.raises(ValueError, match="part of an object's id"):
        ObjectId.of(obj)


@pytest.mark.parametrize("name", ["system:node-reader", "a.b-c", "Any_Thing", "..a"])
def test_names_that_are_odd_but_no_path_are_taken(name: str) -> None:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    assert ObjectId.of(parse_manifests(json.dumps(obj), "manifests")[0]).name == name
