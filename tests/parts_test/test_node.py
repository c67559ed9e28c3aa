"""The one-node cluster itself: what tests with pods stand on."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cluster.node import PROGRAMS, Node
from tests.cluster.storage import open_api
from tests.parts.components import ROOT
from tests.parts.images import make_oci_layout

IMAGE = "tests/busybox:1"
ELSEWHERE = "203.0.113.7"
NAMESPACE = "/api/v1/namespaces/default"
_PATIENCE = 60.0


@pytest.fixture(scope="module")
def api(node: Node) -> Iterator[httpx.Client]:
    with node.entered(), open_api(node.kubeconfig) as client:
        yield client


@pytest.fixture(scope="module")
def image(node: Node, tmp_path_factory: pytest.TempPathFactory, tool: Callable[[str], Path]) -> str:
    """A busybox in the node's registry."""
    folder = tmp_path_factory.mktemp("image") / "layout"
    make_oci_layout(folder)
    reference = f"{node.registry}/{IMAGE}"
    copy = ["copy", f"oci:{folder}", f"docker://{reference}"]
    done = node.exec([tool("skopeo"), *copy], {**os.environ, "SSL_CERT_FILE": str(node.ca)})
    assert done.returncode == 0, done.stderr
    return reference


def _until(ask: Callable[[], Any]) -> Any:
    """What `ask` gives as soon as it gives something."""
    deadline = time.monotonic() + _PATIENCE
    while not (found := ask()):
        assert time.monotonic() < deadline, f"not within {_PATIENCE:.0f} s"
        time.sleep(0.05)
    return found


def _pod(image: str, command: str, volumes: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    mounts = [{"name": each["name"], "mountPath": f"/{each['name']}"} for each in volumes]
    container = {
        "name": "try",
        "image": image,
        "command": ["/bin/sh", "-c", command],
        "volumeMounts": mounts,
    }
    spec = {"restartPolicy": "Never", "containers": [container], "volumes": [*volumes]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "try"}, "spec": spec}


def _run(api: httpx.Client, pod: dict[str, Any]) -> dict[str, Any]:
    """The pod once it has ended, and is deleted; with its output as "log"."""
    api.post(f"{NAMESPACE}/pods", json=pod).raise_for_status()
    path = f"{NAMESPACE}/pods/{pod['metadata']['name']}"

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = api.get(path).raise_for_status().json()
        return found if found["status"]["phase"] in ("Succeeded", "Failed") else None

    found: dict[str, Any] = _until(ended)
    found["log"] = api.get(f"{path}/log").raise_for_status().text
    api.delete(path, params={"gracePeriodSeconds": "0"}).raise_for_status()
    return found


def test_a_claim_is_bound_by_itself_and_its_files_go_with_it(
    node: Node, api: httpx.Client, image: str
) -> None:
    claims = f"{NAMESPACE}/persistentvolumeclaims"
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    api.post(claims, json=claim).raise_for_status()
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    command = "echo kept > /data/file && cat /data/file"
    assert _run(api, _pod(image, command, volumes=[volume]))["log"] == "kept\n"
    bound = api.get(f"{claims}/data").json()
    assert bound["spec"]["storageClassName"] == node.storage_class
    place = api.get(f"/api/v1/persistentvolumes/{bound['spec']['volumeName']}").json()
    folder = Path(place["spec"]["local"]["path"])
    assert (folder / "file").read_text() == "kept\n"
    api.delete(f"{claims}/data").raise_for_status()
    _until(lambda: not folder.exists())


def test_an_image_is_a_volume(api: httpx.Client, image: str) -> None:
    volume = {"name": "files", "image": {"reference": image}}
    ended = _run(api, _pod(image, "cat /files/srv/index.html", volumes=[volume]))
    assert "It runs." in ended["log"]


def test_a_pod_that_goes_elsewhere_is_seen(node: Node, api: httpx.Client, image: str) -> None:
    with node.capture() as capture:
        ended = _run(api, _pod(image, f"busybox nc -w 1 {ELSEWHERE} 8000"))
        packets = capture.packets()
    assert ended["status"]["phase"] == "Failed"
    address = ended["status"]["podIP"]
    assert {(each.destination, each.protocol, each.port) for each in packets} == {
        (ELSEWHERE, "tcp", 8000)
    }
    assert {each.source for each in packets} == {address}


def test_one_thread_is_inside_and_comes_back(node: Node) -> None:
    def links() -> list[str]:
        return sorted(name for _, name in socket.if_nameindex())

    before = links()
    with node.entered():
        assert "out0" in links()
    assert links() == before


def test_the_api_server_comes_back_with_what_it_knew(node: Node, api: httpx.Client) -> None:
    version = api.get(f"{NAMESPACE}/serviceaccounts/default").json()["metadata"]["uid"]
    node.restart_apiserver()
    with node.entered(), open_api(node.kubeconfig) as again:
        found = again.get(f"{NAMESPACE}/serviceaccounts/default").json()
    assert found["metadata"]["uid"] == version


def test_the_registry_comes_back_with_what_it_held(node: Node, image: str) -> None:
    node.restart_registry()
    url = f"https://{node.registry}/v2/{IMAGE.partition(':')[0]}/tags/list"
    with node.entered():
        reply = httpx.get(url, verify=ssl.create_default_context(cafile=node.ca), trust_env=False)
    assert reply.json()["tags"] == ["1"]


@pytest.mark.needs("root", *PROGRAMS)
def test_a_killed_one_leaves_nothing(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "tests.cluster", "node"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        argv,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        inside = Path(lines[-1].rpartition("=")[2].strip("'\n")).parents[1]
        assert (inside / "stat").is_file()
        assert str(tmp_path) in _commands()
        process.send_signal(signal.SIGKILL)
    _until(lambda: not inside.exists())
    _until(lambda: str(tmp_path) not in _commands())


def _commands() -> str:
    """Every command line of the machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # it ended
            continue
    return "\n".join(found)
