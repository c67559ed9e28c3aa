"""Weights on volumes and out of a bucket, in real pods: what is in them was signed, read-only."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from bundler.archive.bundle import AuthenticatedBundle
from bundler.cluster.access import Access
from bundler.cluster.client import Cluster, open_cluster
from bundler.cluster.objectstore import upload
from bundler.cluster.transaction.transact import Manner
from bundler.core import lock as locks
from bundler.core.objects.manifests import JsonObject, ObjectId, loads
from bundler.core.objects.observed import conditions
from bundler.core.progress import SILENT
from bundler.install import Site, install
from bundler.push import push
from bundler.render import render
from bundler.sign.open import open_bundle
from bundler.uninstall import uninstall
from tests.cluster.node import Node
from tests.parts.images import make_oci_layout
from tests.parts.needs import require
from tests.parts.objectstore import KEYS, running_objects
from tests.project import Project, make_project, safetensors

SECTIONS = """\
  policy: policies/default.yaml
  loader: {image: "loader.local/python:3", installer: airbundle.pyz}
  weights:
    dev: {pvc: {}}
    site: {s3: {endpoint: "ENDPOINT", bucket: models, secretName: keys}}
  site:
    ca: {name: site-ca, namespaces: [NAMESPACE]}
"""
READER = """\
          command: [sh, -c, "cd /mnt/models && find . -type f | xargs sha256sum && touch new; trap exit TERM; sleep 3600 & wait"]
          securityContext:
            allow"""  # noqa: E501
OBJECTS_PORT = 7443
PATIENCE = 120


@dataclass(frozen=True)
class Place:
    """A namespace of its own on the node, and a bundle for it."""

    node: Node
    cluster: Cluster
    namespace: str
    bundle: AuthenticatedBundle

    def objects(self, target: str) -> tuple[JsonObject, ...]:
        registry = f"{self.node.registry}/{self.namespace}"
        return render(self.bundle, target, {}, registry).objects

    def apply(self, objects: Sequence[JsonObject]) -> None:
        for obj in objects:
            self.cluster.apply(obj)

    def pods(self, label: str) -> list[JsonObject]:
        kind = ObjectId("v1", "Pod", self.namespace, "any")
        return self.cluster.list(kind, label_selector=label)

    def said_by_the_reader(self) -> str:
        """What the server says of its files, once it runs."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            for pod in self.pods("app=server"):
                if pod["status"]["phase"] == "Running":
                    said = self.cluster.logs(ObjectId.of(pod), "server", 50)
                    if "new" in said:
                        return said
            time.sleep(0.2)
        raise AssertionError(f"no reader in time: {self.pods('app=server')}")

    def finished(self, job: JsonObject) -> JsonObject:
        """The status of a Job that is complete or failed; it says before that it will be."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            found = self.cluster.get(ObjectId.of(job))
            assert found is not None
            if {each.type for each in conditions(found)} & {"Complete", "Failed"}:
                status: JsonObject = found["status"]
                return status
            time.sleep(0.2)
        raise AssertionError("the loader did not end in time")

    def said_by_loaders(self) -> list[str]:
        pods = [ObjectId.of(pod) for pod in self.pods("airbundle.dev/stage=load")]
        return [self.cluster.logs(pod, "load", 20) for pod in pods]

    def assert_signed(self, said: str) -> None:
        lock = locks.parse(self.bundle.layer("lock.json"), "lock.json")
        expected = {f"./{file.path}": file.digest.hex for file in lock.models[0].files}
        lines = [line.split() for line in said.splitlines() if line.count("  ./") == 1]
        assert {path: digest for digest, path in lines} == expected
        assert "Read-only file system" in said


def project_for(folder: Path, namespace: str, installer: Path, address: str) -> Project:
    project = make_project(folder)
    project.write("weights/large.safetensors", safetensors(os.urandom(40_000_000)))
    shutil.copy(installer, folder / "airbundle.pyz")
    shutil.rmtree(folder / "image")
    for name, kind in (("image", "busybox"), ("python", "python")):
        (folder / name).mkdir()
        make_oci_layout(folder / name, "busybox" if kind == "busybox" else "python")
    sections = SECTIONS.replace("ENDPOINT", f"https://{address}").replace("NAMESPACE", namespace)
    project.edit("bundle.yaml", "  policy: policies/default.yaml\n", sections)
    loader = '    - {name: "loader.local/python:3", source: "oci:python"}\n'
    project.edit("bundle.yaml", '"oci:image"}\n', f'"oci:image"}}\n{loader}')
    host = address.partition(":")[0]
    policy = f'kind: Policy\nallowHosts: ["{host}", models]\n'
    project.edit("policies/default.yaml", "kind: Policy\n", policy)
    project.edit("base/server.yaml", "          securityContext:\n            allow", READER)
    for name in ("namespace", "config", "server"):
        text = (folder / f"base/{name}.yaml").read_text()
        project.write(f"base/{name}.yaml", text.replace("search", namespace))
    return project


@pytest.fixture
def bundled(
    node: Node, tmp_path: Path, installer_file: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """Only the bundle is there; the calling thread is in the node's network."""
    namespace = f"t{uuid.uuid4().hex[:10]}"
    address = f"{node.registry.partition(':')[0]}:{OBJECTS_PORT}"
    monkeypatch.setenv("SSL_CERT_FILE", str(node.ca))
    project_for(tmp_path / "project", namespace, installer_file, address).build(tmp_path / "a.tar")
    with (
        node.entered(),
        open_bundle(tmp_path / "a.tar", None) as bundle,
        closing(open_cluster(node.kubeconfig, None, "tester")) as cluster,
    ):
        yield Place(node, cluster, namespace, bundle)


@pytest.fixture
def place(bundled: Place) -> Iterator[Place]:
    """What an install does before it applies the first object is done by hand."""
    push(bundled.bundle, f"{bundled.node.registry}/{bundled.namespace}", SILENT)
    (home,) = (obj for obj in bundled.objects("dev") if obj["kind"] == "Namespace")
    ca = {"ca.crt": bundled.node.ca.read_text()}
    metadata = {"name": "site-ca", "namespace": bundled.namespace}
    given = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": ca}
    bundled.apply([home, given])
    yield bundled
    found = bundled.cluster.get(ObjectId.of(home))
    assert found is not None
    bundled.cluster.delete(ObjectId.of(home), found["metadata"]["uid"])


def test_an_install_fills_its_volume_once_and_leaves_nothing(bundled: Place) -> None:
    """Behaviours 18 and 25 with a claim that is bound, and a loader that reads the registry."""
    node, release = bundled.node, bundled.bundle.release.name
    access = Access(node.kubeconfig, None, f"{bundled.namespace}-system")
    registry = f"{node.registry}/{bundled.namespace}"
    site = Site("dev", registry, {}, access, registry_ca=node.ca)
    patient = Manner(timeout=PATIENCE)
    with node.capture() as capture:
        install(bundled.bundle, site, SILENT, manner=patient)
        pods = bundled.pods("airbundle.dev/stage=load") + bundled.pods("app=server")
        bundled.assert_signed(bundled.said_by_the_reader())
        ours = {pod["status"]["podIP"] for pod in pods}
        left = [packet for packet in capture.packets() if packet.source in ours]
    assert len(ours) == 2
    assert left == []
    assert install(bundled.bundle, site, SILENT, manner=patient).plan.empty
    done = uninstall(release, access, SILENT, delete_data=True, timeout=PATIENCE)
    assert done.kept == ()
    volumes = bundled.cluster.list(ObjectId("v1", "PersistentVolume", None, "any"))
    places = {volume["spec"]["claimRef"]["namespace"] for volume in volumes}
    for name in (bundled.namespace, access.release_namespace):
        assert bundled.cluster.get(ObjectId("v1", "Namespace", None, name)) is None
        assert name not in places


def test_a_volume_holds_what_was_signed(place: Place) -> None:
    objects = place.objects("dev")
    (job,) = (obj for obj in objects if obj["kind"] == "Job")
    place.apply([obj for obj in objects if loads(obj)])
    assert place.finished(job)["succeeded"] == 1
    place.apply([obj for obj in objects if not loads(obj)])
    place.assert_signed(place.said_by_the_reader())


def test_a_loader_that_is_killed_is_run_again(place: Place) -> None:
    objects = place.objects("dev")
    (job,) = (obj for obj in objects if obj["kind"] == "Job")
    place.apply([obj for obj in objects if loads(obj)])
    until = time.monotonic() + PATIENCE
    killed = False
    while not killed and time.monotonic() < until:
        for pod in place.pods("airbundle.dev/stage=load"):
            if pod["status"]["phase"] == "Running":
                place.node.exec_in(pod, ["python3", "-c", "import os; os.kill(1, 9)"])
                place.cluster.delete(ObjectId.of(pod), pod["metadata"]["uid"])
                killed = True
        time.sleep(0.05)
    assert killed
    status = place.finished(job)
    assert status.get("succeeded") == 1, (status, place.said_by_loaders())
    place.apply([obj for obj in objects if not loads(obj)])
    place.assert_signed(place.said_by_the_reader())


@pytest.mark.parametrize("there", [True, False])
def test_pods_fetch_from_a_bucket_what_was_signed_or_do_not_start(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    require("versitygw")
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    address = f"{place.node.registry.partition(':')[0]}:{OBJECTS_PORT}"
    network = place.node.sandbox.network
    with running_objects(tmp_path, address, network, place.node.ca.parent) as server:
        objects = place.objects("site")
        upload(place.bundle, objects, SILENT)
        if not there:
            (file,) = server.bucket.rglob("config.json")
            file.write_text('{"hidden_size": 5}\n')
        metadata = {"name": "keys", "namespace": place.namespace}
        keys = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "stringData": dict(KEYS),
        }
        place.apply([keys, *objects])
        if there:
            place.assert_signed(place.said_by_the_reader())
        else:
            assert "config.json: expected sha256:" in said_by_a_loader(place)
            assert {pod["status"]["phase"] for pod in place.pods("app=server")} == {"Pending"}


def said_by_a_loader(place: Place) -> str:
    """The log of the first one that ended; asked again while it begins anew and is silent."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for pod in place.pods("app=server"):
            for status in pod["status"].get("initContainerStatuses", []):
                if "terminated" in {**status["state"], **status.get("lastState", {})}:
                    said = place.cluster.logs(ObjectId.of(pod), "load-weights", 20)
                    if said:
                        return said
        time.sleep(0.2)
    raise AssertionError("no loader ended in time")
