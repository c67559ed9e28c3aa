"""Waiting for real pods: those that come, those that never do, and why they don't."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bundler.cluster.client import Cluster, open_cluster
from bundler.cluster.watch.smoke import smoke
from bundler.cluster.watch.wait import NotReadyError, wait_ready
from bundler.core.documents.smoke import Expected, Smoke
from bundler.core.errors import ClusterError
from bundler.core.objects.kstatus import state
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.objects.observed import part
from bundler.core.progress import SILENT
from tests.cluster.node import Node
from tests.core.objects.test_kstatus import VERDICTS, judged
from tests.parts.images import make_oci_layout
from tests.releases import deployment, namespace

IMAGE = "wait/busybox:1"
# Of this the whole test takes its time: long enough for a second crash.
PATIENCE = 20.0
SERVES = """\
mkdir /tmp/www && echo '{"predictions": [1, 2]}' > /tmp/www/predict
exec busybox httpd -f -p 8080 -h /tmp/www
"""
CRASHES = "echo 'about to fail'; printf '\\033[2Jred\\n'; exit 3"


@pytest.fixture(scope="module", name="image")
def pushed(node: Node, tmp_path_factory: pytest.TempPathFactory, tool: Callable[..., Path]) -> str:
    folder = tmp_path_factory.mktemp("image") / "layout"
    make_oci_layout(folder)
    reference = f"{node.registry}/{IMAGE}"
    copy: list[str | Path] = [tool("skopeo"), "copy", f"oci:{folder}", f"docker://{reference}"]
    done = node.exec(copy, {**os.environ, "SSL_CERT_FILE": str(node.ca)})
    assert done.returncode == 0, done.stderr
    return reference


@pytest.fixture(scope="module")
def cluster(node: Node) -> Iterator[Cluster]:
    """The cluster, spoken to from within its network for as long as this module runs."""
    with node.entered(), closing(open_cluster(node.kubeconfig, None, "airbundle-tests")) as found:
        yield found


@pytest.fixture(scope="module")
def space(cluster: Cluster) -> Iterator[str]:
    name = f"wait-{uuid.uuid4().hex[:8]}"
    made = cluster.apply(namespace(name))
    yield name
    cluster.delete(ObjectId.of(made), made["metadata"]["uid"])


def web(space: str, name: str, image: str, command: str, **container: Any) -> JsonObject:
    """A Deployment of one pod that runs `command` in a shell."""
    made = deployment(space, name)
    spec = made["spec"]["template"]["spec"]
    spec["containers"][0] |= {"image": image, "command": ["sh", "-c", command]} | container
    spec["terminationGracePeriodSeconds"] = 0
    return made


def probe(path: str, delay: int = 0) -> JsonObject:
    return {
        "httpGet": {"path": path, "port": 8080},
        "periodSeconds": 1,
        "initialDelaySeconds": delay,
    }


def claim(space: str, storage_class: str) -> JsonObject:
    spec = {
        "storageClassName": storage_class,
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Mi"}},
    }
    metadata = {"name": "cache", "namespace": space}
    kind = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    return kind | {"metadata": metadata, "spec": spec}


def wait(cluster: Cluster, *ids: ObjectId, timeout: float = 60) -> None:
    wait_ready(cluster, ids, timeout, SILENT, time.sleep, time.monotonic)


def make(cluster: Cluster, *objects: JsonObject) -> list[ObjectId]:
    return [ObjectId.of(cluster.apply(each)) for each in objects]


@pytest.fixture(scope="module")
def served(cluster: Cluster, space: str, image: str, node: Node) -> str:
    """The name of a Service that answers, ready by the time this returns."""
    serves = web(space, "web", image, SERVES, readinessProbe=probe("/predict"))
    mount = {"name": "cache", "mountPath": "/cache"}
    serves["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = [mount]
    volume = {"name": "cache", "persistentVolumeClaim": {"claimName": "cache"}}
    serves["spec"]["template"]["spec"]["volumes"] = [volume]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": space},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]},
    }
    service["spec"]["ports"][0]["targetPort"] = 8080  # type: ignore[index]
    wait(cluster, *make(cluster, claim(space, node.storage_class), serves, service))
    return "web"


def test_what_comes_is_waited_for_and_answers(cluster: Cluster, space: str, served: str) -> None:
    live = cluster.get(ObjectId("apps/v1", "Deployment", space, served))
    assert live is not None
    assert live["status"]["availableReplicas"] == 1
    bound = cluster.get(ObjectId("v1", "PersistentVolumeClaim", space, "cache"))
    assert bound is not None
    assert bound["status"]["phase"] == "Bound"
    expected = (Expected(pointer="/predictions", type="array", length=2),)
    call = Smoke(service=served, namespace=space, port="http", path="/predict", expect=expected)
    smoke(cluster, [call], time.sleep, time.monotonic, SILENT)


def test_another_answer_is_told(cluster: Cluster, space: str, served: str) -> None:
    expected = (Expected(pointer="/predictions", length=3),)
    call = Smoke(service=served, namespace=space, port=80, path="/predict", expect=expected)
    with pytest.raises(ClusterError, match=r'found one of 2; .*: \{"predictions": \[1, 2\]\}'):
        smoke(cluster, [call], time.sleep, time.monotonic, SILENT)


def test_a_service_that_comes_late_is_asked_again(cluster: Cluster, space: str, image: str) -> None:
    late = web(space, "late", image, f"busybox sleep 3\n{SERVES}")
    service: JsonObject = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "late", "namespace": space},
        "spec": {"selector": {"app": "late"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    make(cluster, late, service)
    call = Smoke(service="late", namespace=space, port=80, path="/predict")
    smoke(cluster, [call], time.sleep, time.monotonic, SILENT)


def test_an_api_server_that_restarts_is_waited_for(
    cluster: Cluster, space: str, image: str, node: Node
) -> None:
    slow = web(space, "slow", image, SERVES, readinessProbe=probe("/predict", 6))
    made = make(cluster, slow)
    restarting = threading.Thread(target=node.restart_apiserver)

    def sleep(seconds: float) -> None:
        if restarting.ident is None:
            restarting.start()
        time.sleep(seconds)

    wait_ready(cluster, made, 90, SILENT, sleep, time.monotonic)
    restarting.join()


@pytest.fixture(scope="module")
def told(cluster: Cluster, space: str, image: str) -> str:
    """What is said of Deployments of which none ever gets ready."""
    serves_not = "busybox sleep 3600"
    quota_space = f"{space}-quota"
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": quota_space},
        "spec": {"hard": {"pods": "0"}},
    }
    room = cluster.apply(namespace(quota_space))
    # The quota's controller counts first.
    cluster.apply(quota)
    ids = make(
        cluster,
        web(space, "lost", f"{image}-lost", serves_not),
        web(space, "crash", image, CRASHES),
        web(space, "huge", image, serves_not, resources={"requests": {"cpu": "1000"}}),
        web(space, "deaf", image, serves_not, readinessProbe=probe("/x")),
        web(quota_space, "quota", image, serves_not),
    )
    with pytest.raises(NotReadyError) as caught:
        wait(cluster, *ids, timeout=PATIENCE)
    for each in ids:
        live = cluster.get(each)
        assert live is not None
        cluster.delete(each, live["metadata"]["uid"])
    cluster.delete(ObjectId.of(room), room["metadata"]["uid"])
    assert caught.value.message.startswith("not ready (waited 2")
    return f"{caught.value.message}\n{caught.value.hint}"


def test_an_image_that_is_not_there_is_told_in_the_registrys_words(told: str, image: str) -> None:
    assert "container server: " in told
    assert f'"{image}-lost"' in told
    assert "not found" in told
    assert "nodes must reach the registry" in told


def test_a_crash_is_told_with_its_last_words(told: str) -> None:
    assert "exit code 3" in told
    assert "| about to fail\n" in told
    assert "| \\x1b[2Jred\n" in told


def test_what_no_node_takes_is_told_in_the_schedulers_words(told: str) -> None:
    assert "no node takes it (Unschedulable): 0/1 nodes are available: 1 Insufficient cpu" in told
    assert "ask for less" in told


def test_a_probe_that_fails_is_told(told: str) -> None:
    assert "container server runs, but is not ready" in told
    assert "Readiness probe failed: Get " in told


def test_a_quota_is_told(told: str) -> None:
    assert "exceeded quota: none" in told


def test_every_object_of_a_real_cluster_is_what_kstatus_says(
    cluster: Cluster, served: str, told: str, tool: Callable[[str], Path]
) -> None:
    kinds = (
        *(("v1", each) for each in ("Pod", "Service", "Node", "PersistentVolumeClaim")),
        *(("apps/v1", each) for each in ("Deployment", "ReplicaSet")),
        ("apiregistration.k8s.io/v1", "APIService"),
    )
    found = [obj for kind in kinds for obj in cluster.list(ObjectId(*kind, None, "any"))]
    objects = [each for each in found if not _differs(each)]
    assert len(objects) > 20
    verdicts = [VERDICTS[each] for each in judged(tool("kstatus"), objects)]
    assert [state(each).verdict for each in objects] == verdicts


def _differs(obj: JsonObject) -> bool:
    """Whether we mean to judge it otherwise: no place for a pod, and a pod that failed."""
    said = json.dumps(part(obj, "status"))
    return obj["kind"] == "Pod" and ("Unschedulable" in said or '"Failed"' in said)
