"""Pods are judged as a namespace that enforces `restricted` judges them, wherever they stand."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lightkube import ApiError, Client, KubeConfig
from lightkube.generic_resource import create_global_resource, create_namespaced_resource

from bundler.core.objects.manifests import JsonObject, parse_manifests
from tests.core.rules.objects import container, custom, found, messages, pod_spec
from tests.core.rules.pod_table import ADMITTED, INSEPARABLE, REFUSED, Case

RULE = "pod-security"
ROOT = Path(__file__).parents[3]


def parameters(cases: tuple[Case, ...]) -> list[Any]:
    return [pytest.param(obj, id=name) for name, obj in cases]


@pytest.mark.parametrize("obj", parameters(ADMITTED))
def test_a_restricted_pod_is_let_be(obj: JsonObject) -> None:
    assert messages(RULE, obj) == []


@pytest.mark.parametrize("obj", parameters(REFUSED))
def test_a_violation_is_found(obj: JsonObject) -> None:
    assert len(messages(RULE, obj)) == 1


@pytest.mark.parametrize(
    ("obj", "fields"), [case[1:] for case in INSEPARABLE], ids=[case[0] for case in INSEPARABLE]
)
def test_violations_that_come_together_are_found(obj: JsonObject, fields: set[str]) -> None:
    places = [message.split(": ")[0] for message in messages(RULE, obj)]
    assert {place.rpartition("/")[2] for place in places} == fields


PLACES: dict[str, tuple[JsonObject, str]] = {
    "a Deployment": (
        custom("apps/v1", "Deployment", template={"spec": pod_spec(hostPID=True)}),
        "/spec/template/spec/hostPID",
    ),
    "a CronJob": (
        custom(
            "batch/v1",
            "CronJob",
            jobTemplate={"spec": {"template": {"spec": pod_spec(hostPID=True)}}},
        ),
        "/spec/jobTemplate/spec/template/spec/hostPID",
    ),
    "an InferenceService": (
        custom("serving.kserve.io/v1beta1", "InferenceService", predictor=pod_spec(hostPID=True)),
        "/spec/predictor/hostPID",
    ),
    "an InferenceService without containers": (
        custom(
            "serving.kserve.io/v1beta1",
            "InferenceService",
            predictor={"hostPID": True, "model": {"storageUri": "pvc://models/nli"}},
        ),
        "/spec/predictor/hostPID",
    ),
    "a ClusterTrainingRuntime": (
        custom(
            "trainer.kubeflow.org/v1alpha1",
            "ClusterTrainingRuntime",
            template={
                "spec": {
                    "replicatedJobs": [
                        {"template": {"spec": {"template": {"spec": pod_spec(hostPID=True)}}}}
                    ]
                }
            },
        ),
        "/spec/template/spec/replicatedJobs/0/template/spec/template/spec/hostPID",
    ),
}


@pytest.mark.parametrize(("obj", "place"), PLACES.values(), ids=PLACES.keys())
def test_pods_are_found_in_every_kind(obj: JsonObject, place: str) -> None:
    [finding] = found(RULE, obj)
    assert finding.message.startswith(f"{place}: ")
    assert finding.severity == "error"


@pytest.mark.parametrize("name", ["containers", "initContainers", "ephemeralContainers"])
def test_containers_of_all_lists_are_judged(name: str) -> None:
    bad = container(securityContext={"capabilities": {"drop": ["ALL"]}})
    [message] = messages(
        RULE, custom("v1", "PodTemplate", template={"spec": pod_spec(**{name: [bad]})})
    )
    assert f"/{name}/0/securityContext/allowPrivilegeEscalation" in message


def test_annotations_of_the_template_count() -> None:
    annotations = {"container.apparmor.security.beta.kubernetes.io/web": "unconfined"}
    template = {"metadata": {"annotations": annotations}, "spec": pod_spec()}
    assert len(messages(RULE, custom("apps/v1", "Deployment", template=template))) == 1


WRONG_TYPES: dict[str, dict[str, Any]] = {
    "a list for a mapping": {"securityContext": []},
    "a list for a word": {"securityContext": {"seLinuxOptions": {"type": ["container_t"]}}},
    "a mapping in a list of words": {
        "containers": [container(securityContext={"capabilities": {"add": [{}], "drop": 1}})]
    },
    "a list for a profile": {"securityContext": {"seccompProfile": {"type": ["Localhost"]}}},
    "a word for a truth": {"hostNetwork": "true"},
}


@pytest.mark.parametrize("spec", WRONG_TYPES.values(), ids=WRONG_TYPES.keys())
def test_what_has_the_wrong_type_is_found(spec: dict[str, Any]) -> None:
    assert messages(RULE, custom("v1", "PodTemplate", template={"spec": pod_spec(**spec)}))


# --- the same table, judged by the API server itself ---------------------------------------------

Namespace = create_global_resource("", "v1", "Namespace", "namespaces")
ServiceAccount = create_namespaced_resource("", "v1", "ServiceAccount", "serviceaccounts")
Pod = create_namespaced_resource("", "v1", "Pod", "pods")


@pytest.fixture(scope="module")
def restricted(kubeconfig: Path) -> Iterator[tuple[Client, str]]:
    """A client, and a namespace that enforces `restricted` at its latest version."""
    client = Client(KubeConfig.from_file(kubeconfig).get(), trust_env=False)
    name = "airbundle-test-pod-security"
    labels = {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "latest",
    }
    client.create(Namespace.from_dict({"metadata": {"name": name, "labels": labels}}))
    try:
        # What a controller would do, where there is one.
        account = ServiceAccount.from_dict({"metadata": {"name": "default", "namespace": name}})
        client.apply(account, field_manager="airbundle-test", force=True)
        yield client, name
    finally:
        client.delete(Namespace, name)
        client.close()


def verdict(client: Client, namespace: str, obj: JsonObject) -> str:
    """What the API server says to the pod, without keeping it: empty when it admits it."""
    identity = {**obj["metadata"], "namespace": namespace}
    try:
        client.create(Pod.from_dict({**obj, "metadata": identity}), dry_run=True)
    except ApiError as error:
        return str(error)
    return ""


@pytest.mark.needs("apiserver")
def test_the_api_server_admits_the_same_pods(restricted: tuple[Client, str]) -> None:
    verdicts = {name: verdict(*restricted, obj) for name, obj in ADMITTED}
    assert {name: said for name, said in verdicts.items() if said} == {}


@pytest.mark.needs("apiserver")
def test_the_api_server_refuses_the_same_pods(restricted: tuple[Client, str]) -> None:
    cases = (*REFUSED, *((name, obj) for name, obj, _ in INSEPARABLE))
    verdicts = {name: verdict(*restricted, obj) for name, obj in cases}
    others = {name: said for name, said in verdicts.items() if "violates PodSecurity" not in said}
    assert others == {}


@pytest.mark.needs("go", "kube-apiserver")
def test_the_admission_module_s_own_pods_are_judged_alike() -> None:
    """The fixtures of k8s.io/pod-security-admission; its Windows pod is let off there alone."""
    module = "k8s.io/pod-security-admission"
    said = subprocess.run(
        ["go", "mod", "download", "-json", module],
        cwd=ROOT / "tests" / "cluster",
        capture_output=True,
        check=True,
        text=True,
    )
    folder = Path(json.loads(said.stdout)["Dir"]) / "test" / "testdata" / "restricted"
    latest = max(folder.iterdir(), key=lambda version: int(version.name.rpartition(".")[2]))
    pods = [path for path in latest.glob("*/*.yaml") if path.name != "base_windows.yaml"]
    judged = {path: messages(RULE, *parse_manifests(path.read_text(), path.name)) for path in pods}
    wrong = {path.name for path in pods if bool(judged[path]) is (path.parent.name == "pass")}
    assert wrong == set()
    assert {path.parent.name for path in pods} == {"pass", "fail"}
