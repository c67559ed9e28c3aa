"""Every pod, in whatever kind it stands, is shown where a scanner of plain pods looks."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from bundler.core.objects import jsonpointer
from bundler.core.objects.manifests import JsonObject
from bundler.core.projection import project
from tests.pods import TEMPLATE, projections


def of(obj: JsonObject) -> dict[str, JsonObject]:
    """What is shown of `obj`, by JSON pointer; the object itself is not changed by it."""
    before = deepcopy(obj)
    shown = {jsonpointer.spell(each.path): each.manifest for each in project(obj)}
    assert obj == before
    return shown


PLACES = {
    "Pod": (),
    "Deployment": (),
    "StatefulSet": (),
    "Job": (),
    "CronJob": ("/spec/jobTemplate/spec/template/spec",),
    "PodTemplate": ("/template/spec",),
    "InferenceService": ("/spec/predictor", "/spec/transformer"),
    "ServingRuntime": ("/spec",),
    "ClusterServingRuntime": ("/spec", "/spec/workerSpec"),
    "ClusterTrainingRuntime": (
        "/spec/template/spec/replicatedJobs/0/template/spec/template/spec",
        "/spec/template/spec/replicatedJobs/1/template/spec/template/spec",
    ),
    "TrainJob": (
        "/spec/runtimePatches/0/trainingRuntimeSpec/template/spec/replicatedJobs/0/template"
        "/spec/template/spec",
    ),
    "JobSet": ("/spec/replicatedJobs/0/template/spec/template/spec",),
    "ScaledJob": ("/spec/jobTargetRef/template/spec",),
}


@pytest.mark.parametrize("obj", projections(), ids=lambda obj: str(obj["kind"]))
def test_every_pod_is_shown_with_its_place(obj: JsonObject) -> None:
    shown = of(obj)
    assert shown.pop("") == obj
    assert tuple(shown) == PLACES[obj["kind"]]
    for place, manifest in shown.items():
        spec = manifest["spec"]
        within = spec if manifest["kind"] == "Pod" else spec["template"]["spec"]
        assert within == jsonpointer.get(obj, place)


def test_the_table_has_every_kind() -> None:
    assert {obj["kind"] for obj in projections()} == set(PLACES)


@pytest.mark.parametrize("obj", projections(), ids=lambda obj: str(obj["kind"]))
def test_a_pod_that_comes_to_an_end_is_shown_as_a_job(obj: JsonObject) -> None:
    ends = {"CronJob", "ClusterTrainingRuntime", "TrainJob", "JobSet", "ScaledJob"}
    kinds = {manifest["kind"] for place, manifest in of(obj).items() if place}
    assert kinds <= ({"Job"} if obj["kind"] in ends else {"Pod"})


def custom(kind: str = "Thing", **metadata: Any) -> JsonObject:
    return {
        "apiVersion": "example.dev/v1",
        "kind": kind,
        "metadata": {"name": "x", "namespace": "serving", **metadata},
        "spec": {"inner": deepcopy(TEMPLATE)},
    }


def test_a_pod_by_its_own_word_is_a_job() -> None:
    obj = custom()
    obj["spec"]["inner"]["spec"]["restartPolicy"] = "OnFailure"
    assert of(obj)["/spec/inner/spec"]["kind"] == "Job"


def test_names_labels_and_annotations_come_along() -> None:
    obj = custom()
    obj["spec"]["inner"]["metadata"] = {"labels": {"a": "b"}, "annotations": {"c": "d"}}
    assert of(obj)["/spec/inner/spec"]["metadata"] == {
        "name": "x", "namespace": "serving", "labels": {"a": "b"}, "annotations": {"c": "d"},
    }  # fmt: skip


def test_a_pod_without_metadata_has_those_of_its_object() -> None:
    obj = custom(labels={"of": "the object"})
    del obj["spec"]["inner"]["metadata"]
    assert of(obj)["/spec/inner/spec"]["metadata"]["labels"] == {"of": "the object"}


def test_a_cluster_scoped_object_is_in_no_namespace_to_blame() -> None:
    cluster, plain = custom("ClusterThing"), custom()
    for obj in (cluster, plain):
        del obj["metadata"]["namespace"]
    assert "namespace" in of(cluster)["/spec/inner/spec"]["metadata"]
    assert "namespace" not in of(plain)["/spec/inner/spec"]["metadata"]


def test_a_template_without_labels_is_shown_by_itself() -> None:
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "x", "namespace": "serving"},
        "spec": {"template": {"spec": TEMPLATE["spec"]}},
    }
    template = of(job)["/spec/template/spec"]["spec"]["template"]
    assert template["metadata"] == {"annotations": {}, "labels": {}}


def test_another_group_s_job_is_looked_into_where_its_pods_are() -> None:
    job = {
        "apiVersion": "batch.volcano.sh/v1alpha1",
        "kind": "Job",
        "metadata": {"name": "x", "namespace": "serving"},
        "spec": {"tasks": [{"template": deepcopy(TEMPLATE)}]},
    }
    assert list(of(job)) == ["", "/spec/tasks/0/template/spec"]


@pytest.mark.parametrize("word", ["checkov.io/skip1", "bridgecrew.io/skip2", "x.cortex.io/skip"])
def test_an_object_can_t_ask_to_be_let_off(word: str) -> None:
    obj = custom(annotations={word: "CKV_K8S_16=no", "kept": "yes"})
    obj["spec"]["inner"]["metadata"]["annotations"] = {word: "CKV_K8S_16=no", "kept": "yes"}
    shown = of(obj)
    for place in ("", "/spec/inner/spec"):
        assert shown[place]["metadata"]["annotations"] == {"kept": "yes"}


def test_a_template_has_no_kind_of_its_own() -> None:
    deployment = custom("Deployment")
    deployment["spec"] = {"template": {**deepcopy(TEMPLATE), "kind": "Pot", "apiVersion": "x/v1"}}
    assert of(deployment)[""]["spec"] == {"template": TEMPLATE}


def test_annotations_may_be_empty() -> None:
    assert of(custom(annotations=None))[""]["metadata"]["annotations"] == {}


@pytest.mark.parametrize(
    ("name", "legible"),
    [("{{x}}", "__x__"), ("a#b", "a_b"), ("n" * 300, "n" * 253), (7, "7"), (None, "None")],
    ids=["braces", "hash", "long", "number", "none"],
)
def test_a_name_for_which_the_object_would_be_dropped_is_made_legible(
    name: object, legible: str
) -> None:
    obj = custom()
    obj["spec"]["list"] = [{"name": name, "value": name}]
    assert of(obj)[""]["spec"]["list"] == [{"name": legible, "value": name}]


def test_a_name_may_be_a_mapping() -> None:
    obj = custom()
    obj["spec"]["properties"] = {"name": {"type": "string"}}
    assert of(obj)[""]["spec"]["properties"] == {"name": {"type": "string"}}


def test_flux_s_kustomization_is_no_file_of_kustomize_s() -> None:
    assert of(custom("Kustomization"))[""]["kind"] != "Kustomization"
