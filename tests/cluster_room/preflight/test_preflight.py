"""A preflight as a whole, on a real API server: what it asks, and that it changes nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bundler.cluster.client import Cluster, open_cluster
from bundler.cluster.preflight import basics, examine
from bundler.core.errors import SourceError
from bundler.core.objects.manifests import JsonObject
from tests.cluster.apiserver import ApiServer
from tests.cluster_room.preflight.scene import Scene, now
from tests.fakes.destination import MemoryDestination
from tests.releases import config_map

pytestmark = pytest.mark.needs("etcd", "kube-apiserver")


def test_what_would_go_through_passes(scene: Scene) -> None:
    scene.node()
    scene.home()
    found = scene.examine(scene.web(2), config_map(scene.mark, "one", key="value"))
    assert [each for each in found if each.outcome != "ok"] == []
    assert found[0].message == "Kubernetes v1.36.3, as the user admin"


def test_only_questions_are_asked(scene: Scene) -> None:
    scene.node()
    scene.home()
    with scene.asked() as asked:
        scene.examine(scene.web())
    writing = [(path, query) for method, path, query in asked if method != "GET"]
    reviews = [path for path, _ in writing if path.endswith("reviews")]
    others = [each for each in writing if each[0] not in reviews]
    assert [path for path, _ in others] == [f"/api/v1/namespaces/{scene.mark}/pods"]
    assert all("dryRun=All" in query for _, query in others)
    reads = [each for each in asked if each[0] == "GET"]
    assert len(reads) == len(set(reads))


def test_a_server_that_is_not_there_is_one_finding(own_apiserver: ApiServer, scene: Scene) -> None:
    text = own_apiserver.kubeconfig.read_text().replace(own_apiserver.url, "https://127.0.0.1:1")
    path = scene.folder / "elsewhere"
    path.write_text(text)
    gone = open_cluster(path, None, "airbundle:site/app", lambda seconds: None)
    [found] = examine(gone, scene.needs(), None, now)
    assert (found.name, found.outcome) == ("API server", "failed")
    assert "https://127.0.0.1:1" in found.message


@pytest.mark.parametrize(
    ("version", "outcome", "words"),
    [
        ("v1.24.17", "failed", "Kubernetes v1.24.17, expected 1.25 or later"),
        ("v1.25.0", "warning", "nobody tried airbundle with a version before 1.33"),
        ("v1.32.9-eks-113cf36", "warning", "Kubernetes v1.32.9-eks-113cf36: nobody tried"),
        ("v1.33.0", "ok", "Kubernetes v1.33.0, as the user admin"),
    ],
)
def test_a_server_too_old_is_all_that_is_said_and_one_that_nobody_tried_a_warning(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, version: str, outcome: str, words: str
) -> None:
    read = Cluster.read

    def older(self: Cluster, path: str) -> JsonObject:
        return read(self, path) | ({"gitVersion": version} if path == "/version" else {})

    monkeypatch.setattr(Cluster, "read", older)
    first, *others = scene.examine()
    assert (first.name, first.outcome) == ("API server", outcome)
    assert words in first.message
    assert (others == []) is (outcome == "failed")


@pytest.mark.parametrize(
    ("ahead", "outcome", "words"),
    [(0, "ok", "clock is"), (-400, "warning", "ahead of ours"), (400, "warning", "behind ours")],
)
def test_clocks_that_differ_are_a_warning(
    scene: Scene, ahead: int, outcome: str, words: str
) -> None:
    found = examine(scene.cluster, scene.needs(), None, lambda: now() + timedelta(seconds=ahead))
    [clock] = [each for each in found if each.name == "clock"]
    assert clock.outcome == outcome
    assert words in clock.message


def test_a_cluster_alone_is_asked_for_its_basics(scene: Scene) -> None:
    scene.node(offers={"nvidia.com/gpu": "8"})
    found = {each.name: each for each in basics(scene.cluster, "x-system", now)}
    assert list(found) == ["API server", "clock", "certificate", "nodes", "GPU"]
    assert "8 nvidia.com/gpu" in found["GPU"].message


@pytest.mark.parametrize(("later", "outcome"), [(0, "ok"), (88, "warning")])
def test_a_certificate_that_soon_ends_is_a_warning(scene: Scene, later: int, outcome: str) -> None:
    found = examine(scene.cluster, scene.needs(), None, lambda: now() + timedelta(days=later))
    [certificate] = [each for each in found if each.name == "certificate"]
    assert certificate.outcome == outcome
    assert ("in 1 days" in certificate.message) is (outcome == "warning")


class Refusing(MemoryDestination):
    """A registry that lets nobody in."""

    def tagged(self, repository: str, tag: str) -> None:
        raise SourceError("registry reg.site: wants a login (401)", "`docker login reg.site` first")


class ReadOnly(MemoryDestination):
    """A registry that takes nothing."""

    def check_writable(self, repository: str) -> None:
        raise SourceError(f"registry reg.site: upload to {repository}: does not permit this (405)")


def test_a_registry_is_asked_to_take_something_when_nothing_else_failed(scene: Scene) -> None:
    [found] = [
        each
        for each in examine(scene.cluster, scene.needs(), ReadOnly(), now)
        if each.name == "registry"
    ]
    assert found.outcome == "failed"
    assert f"upload to bundles/app-{scene.mark}: does not permit this (405)" in found.message
    needs = scene.needs(scene.web())  # there is no node
    [found] = [
        each for each in examine(scene.cluster, needs, ReadOnly(), now) if each.name == "registry"
    ]
    assert found.outcome == "ok"
    assert "it was not asked for more" in found.message


def test_a_registry_whose_certificate_soon_ends_is_a_warning(scene: Scene) -> None:
    destination = MemoryDestination(ends=now() + timedelta(days=3, hours=1))
    found = examine(scene.cluster, scene.needs(), destination, now)
    [registry, certificate] = [each for each in found if each.name.startswith("registry")]
    assert (registry.outcome, certificate.outcome) == ("ok", "warning")
    assert "in 3 days" in certificate.message
    assert destination.calls == []


def test_a_registry_that_refuses_is_found(scene: Scene) -> None:
    found = examine(scene.cluster, scene.needs(), Refusing(), now)
    [registry] = [each for each in found if each.name == "registry"]
    assert registry.outcome == "failed"
    assert registry.message == "registry reg.site: wants a login (401)"
    assert registry.remedy == "`docker login reg.site` first"
