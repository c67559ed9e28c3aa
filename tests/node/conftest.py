"""One installation for all tests that look at it: a real model, answered for by a real pod."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from bundler.cluster.access import Access
from bundler.cluster.client import Cluster
from bundler.cluster.transaction.transact import Manner
from bundler.core import lock as locks
from bundler.core.lock import Lock
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.progress import SILENT
from bundler.install import Site, install
from bundler.sign.open import open_bundle
from tests.cluster.node import Node
from tests.cluster.wires import Capture
from tests.parts.needs import require
from tests.serving import NAMESPACE, TARGET, ServingBundle, make_serving

# Seconds; the pod asks for a tenth of a core, and has no more on a machine that is busy.
_PATIENCE = 400.0
_LABEL = "app.kubernetes.io/name=server"


@dataclass(frozen=True)
class Served:
    """An installed bundle; `capture` has watched the node since before it was installed.

    `cluster` works within `node.entered()`.
    """

    node: Node
    bundle: ServingBundle
    lock: Lock
    registry: str
    cluster: Cluster
    capture: Capture

    def pods(self) -> list[JsonObject]:
        """The server's pods."""
        kind = ObjectId("v1", "Pod", NAMESPACE, "any")
        with self.node.entered():
            return self.cluster.list(kind, label_selector=_LABEL)


@pytest.fixture(scope="session")
def serving(
    tmp_path_factory: pytest.TempPathFactory, minilm: Path, kustomize: Path
) -> Iterator[ServingBundle]:
    """A signed bundle of half a gigabyte that serves all-MiniLM-L6-v2."""
    require("demoimage")
    bundle = make_serving(tmp_path_factory.mktemp("serving"), minilm)
    yield bundle
    bundle.path.unlink()


@pytest.fixture
def own_namespace(served: Served) -> Iterator[str]:
    """A namespace for one test, deleted at the end."""
    name = f"t{uuid.uuid4().hex[:10]}"
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    with served.node.entered():
        made = served.cluster.create(space)
    yield name
    with served.node.entered():
        served.cluster.delete(ObjectId.of(made), made["metadata"]["uid"])


@pytest.fixture(scope="session")
def served(node: Node, serving: ServingBundle) -> Iterator[Served]:
    """The bundle, installed on the node, its pods ready."""
    registry = f"{node.registry}/demo"
    access = Access(node.kubeconfig)
    site = Site(TARGET, registry, {}, access)
    with pytest.MonkeyPatch.context() as patched, node.capture() as capture:
        patched.setenv("SSL_CERT_FILE", str(node.ca))
        with node.entered(), open_bundle(serving.path, serving.key.public) as bundle:
            install(bundle, site, SILENT, manner=Manner(timeout=_PATIENCE))
            lock = locks.parse(bundle.layer("lock.json"), "lock.json")
            cluster = access.open(bundle.release.name)
        with closing(cluster):
            yield Served(node, serving, lock, registry, cluster, capture)
