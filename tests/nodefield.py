"""Releases on the real node: a small server that answers, under names that nobody else uses."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pytest

from bundler.cluster.access import Access
from bundler.cluster.client import Cluster, open_cluster
from bundler.cluster.planning.inside import kinds
from bundler.cluster.release.lease import lease_id
from bundler.cluster.release.record import Record, record_id
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.reference import PLACEHOLDER_HOST
from tests.cluster.node import Node
from tests.making import KEY, Contents, image, tar_of
from tests.parts.images import _layer_tars
from tests.releases import (
    REPOSITORY,
    SPEC,
    TARGET,
    Release,
    config_map,
    deployment,
    namespace,
)

SERVES = """\
mkdir /tmp/www && echo '{"predictions": [1, 2]}' > /tmp/www/predict
exec busybox httpd -f -p 8080 -h /tmp/www
"""
CRASHES = "echo 'about to fail'; exit 3"
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
# Seconds: as long as what has to get ready may take, on a machine that is busy; and what a server
# says of itself that never does.
PATIENCE = 180
DEADLINE = 8
_SOON = 120.0
_PAUSE = 0.1
# Fields of a container; others are of its pod.
_OF_CONTAINER = frozenset({"resources", "volumeMounts"})
# What moves by itself.
_RESTLESS = frozenset({"Event", "Lease", "PodMetrics"})


@dataclass
class Field:
    """Where the releases of one test go; `cluster` is an administrator's view of it."""

    folder: Path
    node: Node
    cluster: Cluster
    mark: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:10]}")
    number: int = 0

    @property
    def name(self) -> str:
        return f"app-{self.mark}"

    @property
    def home(self) -> str:
        return f"{self.mark}-system"

    @property
    def access(self) -> Access:
        return Access(self.node.kubeconfig, None, self.home)

    @cached_property
    def key(self) -> Path:
        path = self.folder / "key.pub"
        path.write_bytes(KEY.public.pem())
        return path

    def release(
        self,
        *more: JsonObject,
        command: str = SERVES,
        length: int = 2,
        layers: Sequence[bytes] = (),
        deadline: int = PATIENCE,
        **pod: object,
    ) -> Release:
        """The next version: a server of which a list of this `length` is expected.

        `more` are other objects, `layers` more of its image, `pod` more fields of its pods; after
        `deadline` seconds without progress its Deployment says that it has failed.
        """
        self.number += 1
        files = (*_layer_tars("busybox"), *layers)
        web = deployment(self.mark, "web")
        web["spec"]["progressDeadlineSeconds"] = deadline
        spec = web["spec"]["template"]["spec"]
        spec["terminationGracePeriodSeconds"] = 1
        [container] = spec["containers"]
        container["image"] = f"{PLACEHOLDER_HOST}/{REPOSITORY}@{image(files)[0].digest}"
        container["command"] = ["/bin/busybox", "sh", "-c", command]
        container["env"] = [
            {"name": "PATH", "value": "/bin"},
            {"name": "NUMBER", "value": f"{self.number}"},
        ]
        container["readinessProbe"] = {
            "httpGet": {"path": "/predict", "port": 8080},
            "periodSeconds": 1,
        }
        for field_name, value in pod.items():
            (container if field_name in _OF_CONTAINER else spec)[field_name] = value
        return Release(
            self.name,
            [namespace(self.mark), web, self.service(), *more],
            f"1.{self.number}.0",
            spec=SPEC + SMOKE.replace("SPACE", self.mark).replace("LENGTH", str(length)),
            contents=Contents(images={REPOSITORY: files}),
        )

    def service(self) -> JsonObject:
        port = {"name": "http", "port": 80, "targetPort": 8080}
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": self.mark},
            "spec": {"selector": {"app": "web"}, "ports": [port]},
        }

    def settings(self, name: str, **data: str) -> JsonObject:
        return config_map(self.mark, name, **data)

    def command(self, release: Release, *more: str, kubeconfig: Path | None = None) -> list[str]:
        """The command that installs `release`, whose file it writes."""
        path = self.folder / f"{release.name}-{release.version}.tar"
        release.write(path)
        registry = f"{self.node.registry}/{self.mark}"
        flags = [f"--key={self.key}", f"--target={TARGET}", f"--registry={registry}"]
        return ["install", str(path), *flags, *self.flags(kubeconfig), *more]

    def flags(self, kubeconfig: Path | None = None, patience: int = PATIENCE) -> list[str]:
        """Which cluster, and how patiently."""
        place = [f"--kubeconfig={kubeconfig or self.node.kubeconfig}"]
        return [*place, f"--release-namespace={self.home}", f"--timeout={patience}s"]

    def id(self, kind: str, name: str) -> ObjectId:
        """Of an object in the release's namespace."""
        version = "apps/v1" if kind == "Deployment" else "v1"
        return ObjectId(version, kind, self.mark, name)

    def get(self, kind: str, name: str) -> JsonObject | None:
        return self.cluster.get(self.id(kind, name))

    def names(self) -> set[str]:
        """Of the ConfigMaps of the release and of others, but for the cluster's own."""
        found = self.cluster.list(self.id("ConfigMap", "any"))
        return {each["metadata"]["name"] for each in found} - {"kube-root-ca.crt"}

    def record(self) -> JsonObject | None:
        """The Secret as it is, but for what tells when it was written."""
        live = self.cluster.get(record_id(self.name, self.home))
        return None if live is None else {each: live[each] for each in ("type", "data")}

    def installed(self) -> Record:
        live = self.cluster.get(record_id(self.name, self.home))
        assert live is not None
        return Record.parse(live)

    def lease(self) -> JsonObject | None:
        return self.cluster.get(lease_id(self.name, self.home))

    def pods(self) -> list[JsonObject]:
        """The server's pods, but for those on their way out."""
        found = self.cluster.list(self.id("Pod", "any"), label_selector="app=web")
        return [each for each in found if "deletionTimestamp" not in each["metadata"]]

    def runs(self, release: Release) -> None:
        """`release` is all that is there: recorded, answering, nothing of others left."""
        record = self.installed()
        assert (record.version, record.journal, self.lease()) == (release.version, None, None)
        assert self.answers()
        [pod] = self.pods()
        [container] = pod["spec"]["containers"]
        number = release.version.split(".")[1]
        assert {"name": "NUMBER", "value": number} in container["env"]

    def answers(self) -> bool:
        """Whether the server's Service answers a request."""
        web = self.id("Service", "web")
        status, body = self.cluster.call(web, "http", "GET", "/predict")
        return status == 200 and json.loads(body) == {"predictions": [1, 2]}

    def versions(self) -> dict[str, str]:
        """The resourceVersion of every object in the release's namespaces."""
        return {
            f"{kind} {space}/{each['metadata']['name']}": each["metadata"]["resourceVersion"]
            for api_version, kind in kinds(self.cluster)
            if kind not in _RESTLESS
            for space in (self.mark, self.home)
            for each in self.cluster.list(ObjectId(api_version, kind, space, "any"))
        }

    def stored(self) -> list[str]:
        """All that the registry keeps of this field: links, named by tag or digest, and to what."""
        repositories = self.node.storage / "docker/registry/v2/repositories" / self.mark
        found = (each for each in repositories.rglob("link") if "_uploads" not in each.parts)
        return sorted(f"{each.relative_to(repositories)}: {each.read_text()}" for each in found)


def new_layer(size: int) -> bytes:
    """A layer of an image that no registry and no node has; about `size` bytes."""
    return tar_of({"new": os.urandom(size)})


def until(done: Callable[[], object]) -> None:
    """Returns when it is `done`, which has to be soon."""
    deadline = time.monotonic() + _SOON
    while not done():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(_PAUSE)


@contextmanager
def node_field(folder: Path, node: Node) -> Iterator[Field]:
    """A field for the calling thread, which is in the node's network until the end."""
    with (
        pytest.MonkeyPatch.context() as patched,
        node.entered(),
        closing(open_cluster(node.kubeconfig, None, "airbundle-tests")) as cluster,
    ):
        patched.setenv("SSL_CERT_FILE", str(node.ca))
        on = Field(folder, node, cluster)
        yield on
        for name in (on.mark, on.home):
            space = ObjectId("v1", "Namespace", None, name)
            if live := cluster.get(space):
                cluster.delete(space, live["metadata"]["uid"])
