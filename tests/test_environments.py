"""Every overlay on a real API server that has the operators' definitions: by its own dry run."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
import yaml

from bundler.cluster.client import Cluster, open_cluster
from bundler.cluster.transaction.apply import _await_established
from bundler.core.digest import Digest
from bundler.core.errors import ClusterError
from bundler.core.objects.images import relocate, rewrite
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.reference import ImageReference
from tests.cluster.apiserver import Ports, running_apiserver
from tests.overlays import IMAGE, MODEL, OVERLAYS, Objects, render_overlays
from tests.parts import crds
from tests.parts.service import free_ports

pytestmark = pytest.mark.needs("crds", "etcd", "kube-apiserver", "kustomize")

NAMES = {name: ImageReference.parse(name).placeholder(Digest("ab" * 32)) for name in (IMAGE, MODEL)}

# The GPU operator makes it.
NVIDIA: JsonObject = {
    "apiVersion": "node.k8s.io/v1",
    "kind": "RuntimeClass",
    "metadata": {"name": "nvidia"},
    "handler": "nvidia",
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Objects]:
    return render_overlays(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An API server of its own, with the definitions, and the namespace that all overlays have.

    It goes with everything in it: no controller would finish what is deleted.
    """
    folder = tmp_path_factory.mktemp("cluster")
    with (
        running_apiserver(folder, Ports(*free_ports(3))) as kubeconfig,
        closing(open_cluster(kubeconfig, None, "airbundle-tests")) as connection,
    ):
        for each in definitions():
            connection.apply(each)
        for each in definitions():
            _await_established(connection, ObjectId.of(each), time.sleep)
        connection.forget()
        yield connection


@functools.cache
def definitions() -> tuple[JsonObject, ...]:
    """Megabytes of YAML, which our own reader takes half a minute for."""
    files = sorted(crds.folder().glob("*.yaml"))
    return tuple(yaml.load(file.read_text(), yaml.CSafeLoader) for file in files)


def at_a_site(overlay: str, objects: Objects) -> tuple[JsonObject, ...]:
    """As they are applied: images out of a site's registry."""
    written, places = rewrite(overlay, list(objects.values()), NAMES)
    return relocate(overlay, written, places, "registry.site.example/team")


@pytest.fixture(scope="module")
def namespace(cluster: Cluster, rendered: dict[str, Objects]) -> str:
    """Made once, since only what is in a namespace can be dry-run; and what an operator makes."""
    cluster.apply(rendered["dev"]["Namespace serving"])
    cluster.apply(NVIDIA)
    return "serving"


def test_all_definitions_are_served(cluster: Cluster) -> None:
    groups = {each["spec"]["group"] for each in definitions()}
    assert groups == {
        "jobset.x-k8s.io", "keda.sh", "serving.kserve.io", "trainer.kubeflow.org",
    }  # fmt: skip
    for each in definitions():
        version = next(v["name"] for v in each["spec"]["versions"] if v["served"])
        api, kind = f"{each['spec']['group']}/{version}", each["spec"]["names"]["kind"]
        assert cluster.resource(ObjectId(api, kind, None, "any")) is not None


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_api_server_would_take_every_object(
    cluster: Cluster, namespace: str, rendered: dict[str, Objects], overlay: str
) -> None:
    for obj in at_a_site(overlay, rendered[overlay]):
        made = cluster.apply(obj, dry_run=True, force=True)
        assert ObjectId.of(made) == ObjectId.of(obj)
        if obj["kind"] == "Deployment":
            assert made["spec"]["template"]["spec"]["containers"][0]["image"].startswith(
                "registry.site.example/team/serving.local/server@sha256:"
            )
    assert cluster.get(ObjectId("apps/v1", "Deployment", namespace, "server")) is None


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_restricted_namespace_would_take_every_pod(
    cluster: Cluster, namespace: str, rendered: dict[str, Objects], overlay: str
) -> None:
    """Of a Deployment the API server only warns; a pod it refuses."""
    (deployment,) = [
        obj for obj in at_a_site(overlay, rendered[overlay]) if obj["kind"] == "Deployment"
    ]
    template = deployment["spec"]["template"]
    metadata = template["metadata"] | {"name": f"server-{overlay}", "namespace": namespace}
    cluster.apply(rendered[overlay]["ServiceAccount serving/server"], force=True)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    assert cluster.apply(pod, dry_run=True)["kind"] == "Pod"


def test_a_field_that_is_none_is_not_taken(
    cluster: Cluster, namespace: str, rendered: dict[str, Objects]
) -> None:
    """The dry run of this server does look."""
    service = rendered["aws"]["Service serving/server-internal"]
    wrong = service | {"spec": service["spec"] | {"loadBalancerKlass": "x"}}
    with pytest.raises(ClusterError, match="loadBalancerKlass"):
        cluster.apply(wrong, dry_run=True)
