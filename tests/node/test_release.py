"""A small release on a real node: it is asked when it is ready, and its status is told."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from bundler.cli.main import run
from bundler.cluster.access import Access
from bundler.cluster.transaction import Manner
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.progress import SILENT
from bundler.core.reference import PLACEHOLDER_HOST
from bundler.install import Site, install
from bundler.status import status
from tests.cluster.node import Node
from tests.making import Contents, image
from tests.parts.images import _layer_tars
from tests.releases import REPOSITORY, SPEC, TARGET, Release, deployment, namespace

SERVES = """\
mkdir /tmp/www && echo '{"predictions": [1, 2]}' > /tmp/www/predict
exec busybox httpd -f -p 8080 -h /tmp/www
"""
SMOKE = """\
  smoke:
    - service: web
      namespace: SPACE
      port: http
      path: /predict
      expect:
        - pointer: /predictions
          length: LENGTH
"""


@dataclass(frozen=True)
class Field:
    """Where the releases of one test go."""

    folder: Path
    node: Node
    mark: str

    @property
    def access(self) -> Access:
        return Access(self.node.kubeconfig, None, f"{self.mark}-system")

    def install(self, version: str, length: int = 2, command: str = SERVES) -> None:
        """A server, of which a list of this `length` is expected."""
        layers = tuple(_layer_tars("busybox"))
        web = deployment(self.mark, "web")
        container = web["spec"]["template"]["spec"]["containers"][0]
        container["image"] = f"{PLACEHOLDER_HOST}/{REPOSITORY}@{image(layers)[0].digest}"
        container["command"] = ["/bin/busybox", "sh", "-c", command]
        container["env"] = [{"name": "PATH", "value": "/bin"}]
        container["readinessProbe"] = {
            "httpGet": {"path": "/predict", "port": 8080},
            "periodSeconds": 1,
        }
        release = Release(
            f"app-{self.mark}",
            [namespace(self.mark), web, self.service()],
            version,
            spec=SPEC + SMOKE.replace("SPACE", self.mark).replace("LENGTH", str(length)),
            contents=Contents(images={REPOSITORY: layers}),
        )
        site = Site(TARGET, f"{self.node.registry}/{self.mark}", {}, self.access)
        with release.opened(self.folder) as bundle:
            install(bundle, site, SILENT, manner=Manner(timeout=60))

    def service(self) -> JsonObject:
        port = {"name": "http", "port": 80, "targetPort": 8080}
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": self.mark},
            "spec": {"selector": {"app": "web"}, "ports": [port]},
        }


@pytest.fixture(scope="module")
def on(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    field = Field(tmp_path_factory.mktemp("release"), node, f"t{uuid.uuid4().hex[:10]}")
    with pytest.MonkeyPatch.context() as patched, node.entered():
        patched.setenv("SSL_CERT_FILE", str(node.ca))
        field.install("1.0.0")
        yield field
        with closing(field.access.open("x")) as cluster:
            for name in (field.mark, f"{field.mark}-system"):
                space = ObjectId("v1", "Namespace", None, name)
                live = cluster.get(space)
                assert live is not None
                cluster.delete(space, live["metadata"]["uid"])


def test_a_release_that_answered_is_well(on: Field, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--kubeconfig", str(on.node.kubeconfig), "--release-namespace", f"{on.mark}-system"]
    assert run(["status", *flags, "--inventory"]) == 0
    text = capsys.readouterr().out
    assert f"= Deployment {on.mark}/web: 1 of 1 replicas available\n" in text
    assert text.endswith("objects      3 of 3 objects ready\n")
    assert run(["status", *flags, "--json"]) == 0
    (release,) = json.loads(capsys.readouterr().out)["releases"]
    assert [each["state"] for each in release["objects"]] == ["current"] * 3


def test_an_upgrade_that_answers_otherwise_goes_back(on: Field) -> None:
    with pytest.raises(ClusterError) as caught:
        on.install("1.1.0", length=3)
    message = caught.value.message
    where = f"smoke 1 of 1: GET {on.mark}/web:http/predict: /predictions"
    assert f"{where}: expected a length of 3, found one of 2" in message
    (found,) = status(None, on.access).releases
    assert (found.version, found.well) == ("1.0.0", True)


def test_what_somebody_changes_is_drift(on: Field) -> None:
    web = ObjectId("apps/v1", "Deployment", on.mark, "web")
    with closing(on.access.open("x")) as cluster:
        live = cluster.get(web)
        assert live is not None
        live["spec"]["replicas"] = 0
        cluster.replace(live)
    (found,) = status(None, on.access).releases
    drift = {each.id: each.drift for each in found.objects if each.drift}
    assert [(each.pointer, each.before, each.after) for each in drift[web]] == [
        ("/spec/replicas", 1, 0)
    ]
    assert not found.well
