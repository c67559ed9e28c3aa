"""What runs on a real node is what was signed, and it reaches for nothing else.

Behaviours 23 to 25 of the design.
"""

from __future__ import annotations

import json
import math
import time

import httpx

from bundler.cluster.watch.wait import wait_ready
from bundler.core.objects.manifests import ObjectId
from bundler.core.progress import SILENT
from tests.cluster.kubernetes import NAME_SERVER
from tests.cluster.wires import ADDRESS, Packet
from tests.node.conftest import Served
from tests.releases import pod_spec
from tests.serving import MODEL, NAMESPACE

SEA = "a film about the sea"
OCEAN = "a movie of the ocean"
TAXES = "how to file a tax return"
# A documentation address (RFC 5737): nobody's.
ELSEWHERE = "203.0.113.9"
FILES = "/mnt/models"
DIGESTS = "find . -type f -exec sha256sum {} +"
TRIES = f"""
import socket
for attempt in (lambda: socket.create_connection(("{ELSEWHERE}", 443), timeout=1),
                lambda: socket.getaddrinfo("hub.example", 443)):
    try:
        attempt()
    except OSError as error:
        print(error)
"""


def test_the_image_behind_the_pod_is_the_bundles_from_the_sites_registry(served: Served) -> None:
    [image] = served.lock.images
    [pod] = served.pods()
    [status] = pod["status"]["containerStatuses"]
    place, _, digest = status["imageID"].partition("@")
    assert digest == str(image.digest)
    assert place == f"{served.registry}/serving.local/server"
    assert pod["spec"]["containers"][0]["image"] == f"{place}@{digest}"


def test_the_model_answers_a_prediction(served: Served) -> None:
    service = ObjectId("v1", "Service", NAMESPACE, "server")
    body = json.dumps({"instances": [SEA, OCEAN, TAXES]}).encode()
    with served.node.entered():
        status, answer = served.cluster.call(
            service, "http", "POST", f"/v1/models/{MODEL}:predict", body, {}
        )
    assert status == 200
    sea, ocean, taxes = json.loads(answer)["predictions"]
    assert len(sea) == 384
    assert math.isclose(math.hypot(*sea), 1, abs_tol=1e-5)
    assert _likeness(sea, ocean) > 0.6 > 0.2 > _likeness(sea, taxes)


def test_the_service_answers_at_its_address_in_the_cluster(served: Served) -> None:
    with served.node.entered():
        service = served.cluster.get(ObjectId("v1", "Service", NAMESPACE, "server"))
        assert service is not None
        url = f"http://{service['spec']['clusterIP']}/v2/health/ready"
        assert httpx.get(url, trust_env=False).json() == {"ready": True}


def test_the_files_in_the_pod_have_the_signed_digests(served: Served) -> None:
    [model] = served.lock.models
    wanted = {each.path: each.digest.hex for each in model.files}
    assert "model.safetensors" in wanted
    [pod] = served.pods()
    listed = served.node.exec_in(pod, ["sh", "-c", f"cd {FILES} && {DIGESTS}"])
    assert listed.returncode == 0, listed.stderr
    lines = (line.partition("  ./") for line in listed.stdout.splitlines())
    assert {name: digest for digest, _, name in lines} == wanted


def test_the_files_in_the_pod_are_read_only(served: Served) -> None:
    [pod] = served.pods()
    for command in (f"echo x >> {FILES}/config.json", f"touch {FILES}/new", "touch /new"):
        # Not even for root, to whom no file's mode says no.
        done = served.node.exec_in(pod, ["sh", "-c", command], user="0:0")
        assert done.returncode != 0
        assert "Read-only file system" in done.stderr


def test_nothing_of_the_bundle_tries_to_reach_anything_outside(served: Served) -> None:
    test_the_model_answers_a_prediction(served)
    ours = {ADDRESS, *(pod["status"]["podIP"] for pod in served.pods())}
    assert len(ours) == 2
    assert [each for each in served.capture.packets() if each.source in ours] == []


def test_a_pod_that_tries_is_seen(served: Served, own_namespace: str) -> None:
    [pod] = served.pods()
    spec = {
        **pod_spec(),
        "restartPolicy": "Never",
    }
    [container] = spec["containers"]
    container["image"] = pod["spec"]["containers"][0]["image"]
    container["command"] = ["python3", "-c", TRIES]
    control = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "control", "namespace": own_namespace},
        "spec": spec,
    }
    with served.node.capture() as capture, served.node.entered():
        made = ObjectId.of(served.cluster.create(control))
        wait_ready(served.cluster, [made], 60, SILENT, time.sleep, time.monotonic)
        live = served.cluster.get(made)
        assert live is not None
        address = live["status"]["podIP"]
        seen = {each for each in capture.packets() if each.source == address}
    assert Packet(address, ELSEWHERE, "tcp", 443) in seen
    assert Packet(address, NAME_SERVER, "udp", 53) in seen


def _likeness(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
