"""A public project's own manifests, all the way: locked, built, verified, audited, installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from bundler import lock as locking
from bundler.audit import audit_bundle
from bundler.build import Built
from bundler.cluster.access import Access
from bundler.cluster.client import Cluster, open_cluster
from bundler.core import lock as locks
from bundler.core.digest import Digest
from bundler.core.objects import manifests
from bundler.core.objects.manifests import ObjectId
from bundler.core.progress import SILENT
from bundler.core.rules.external_hosts import hosts
from bundler.inputs import scanning
from bundler.inputs.matching import wanted_images
from bundler.inputs.rendering import render
from bundler.inputs.spec import read_spec
from bundler.install import Installed, Site, install
from bundler.scan.checkov import scan_objects
from bundler.sign.open import open_bundle
from bundler.verify import verify
from tests.cluster.apiserver import Ports, running_apiserver
from tests.making import KEY
from tests.parts import publictrees
from tests.parts.registry import Registry
from tests.parts.service import free_ports
from tests.project import Project
from tests.publicprojects import IMAGES, TAG, TARGET, WAIVERS, make_keda, put_stand_ins
from tests.site import AT_ONCE

pytestmark = pytest.mark.needs("trees", "docker-registry", "busybox")


@dataclass(frozen=True)
class Keda:
    """KEDA's bundle; `stand_in` is the image that stands for each of its own."""

    project: Project
    stand_in: Digest
    path: Path
    built: Built

    def objects(self) -> tuple[manifests.JsonObject, ...]:
        """What the bundle installs, with placeholders for images."""
        with open_bundle(self.path, KEY.public) as bundle:
            return manifests.load(bundle.layer(f"targets/{TARGET}.json"), TARGET)


@pytest.fixture(scope="module")
def keda(tmp_path_factory: pytest.TempPathFactory, kustomize: Path, registry: Registry) -> Keda:
    folder = tmp_path_factory.mktemp("keda")
    mirror = f"{registry.host}/{folder.name}"
    stand_in = put_stand_ins(mirror, folder)
    project = make_keda(folder / "project", mirror)
    locking.lock(project.spec, project.store, SILENT)
    path = folder / "keda.tar"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(scanning, "run_checkov", scan_objects)
        return Keda(project, stand_in, path, project.build(path, KEY, locked=True))


def test_all_that_kustomize_renders_is_in_the_bundle(keda: Keda) -> None:
    kinds = [obj["kind"] for obj in keda.objects()]
    assert len(kinds) >= 30
    assert kinds.count("CustomResourceDefinition") == 6
    assert kinds.count("Deployment") == len(IMAGES)
    assert {"APIService", "ScaledObject", "ValidatingWebhookConfiguration"} <= set(kinds)


def test_images_are_locked_under_their_own_names(keda: Keda) -> None:
    locked = locks.parse(keda.project.lock.read_bytes(), "bundle.lock")
    names = sorted(f"ghcr.io/kedacore/{name}:{TAG}" for name in IMAGES)
    assert [image.name for image in locked.images] == names
    assert [image.source for image in locked.images] == [f"docker://{name}" for name in names]
    assert {image.resolved for image in locked.images} == {keda.stand_in}


def test_every_waiver_is_one_that_is_needed(keda: Keda) -> None:
    assert [found for found in keda.built.warnings if found.rule != "packages"] == []
    used = {(found.rule, found.waiver.object) for found in keda.built.waived if found.waiver}
    assert used == {(rule, name) for rule, name, _ in WAIVERS}


def test_it_verifies_and_nothing_in_it_blocks(keda: Keda) -> None:
    with open_bundle(keda.path, KEY.public) as bundle:
        verified = verify(bundle, SILENT)
        audited = audit_bundle(bundle)
    assert (verified.status, verified.name) == ("TRUSTED", "keda")
    assert audited.blocking == ()
    waived = {each.rule for found in audited.findings.values() for each in found if each.waiver}
    assert waived == {rule for rule, _, _ in WAIVERS}
    assert audited.scanned[f"checkov/{TARGET}"]["objects"] > 0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An API server of its own: KEDA announces an API that nobody serves there."""
    with running_apiserver(tmp_path_factory.mktemp("cluster"), Ports(*free_ports(3))) as path:
        yield path


@pytest.mark.needs("etcd", "kube-apiserver")
def test_installed_twice_the_second_changes_nothing(
    keda: Keda, cluster: Path, registry: Registry
) -> None:
    site = Site(TARGET, f"{registry.host}/site", {}, Access(cluster, None, "releases"))
    objects = [ObjectId.of(obj) for obj in keda.objects()]
    first = _install(keda, site)
    assert set(objects) <= {*first.plan.created, *first.plan.adopted}
    with closing(open_cluster(cluster, None, "airbundle-tests")) as connection:
        before = _versions(connection, objects)
        again = _install(keda, site)
        assert again.plan.empty
        assert again.push.transfers == ()
        assert _versions(connection, objects) == before
        operator = connection.get(ObjectId("apps/v1", "Deployment", "keda", "keda-operator"))
        job = connection.get(ObjectId("keda.sh/v1alpha1", "ScaledJob", "keda", "scaledjob-sample"))
    assert operator is not None
    image = operator["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == f"{registry.host}/site/ghcr.io/kedacore/keda@{keda.stand_in}"
    assert job is not None
    pod = job["spec"]["jobTargetRef"]["template"]["spec"]
    assert pod["containers"][0]["image"] == image


def _install(keda: Keda, site: Site) -> Installed:
    with open_bundle(keda.path, KEY.public) as bundle:
        return install(bundle, site, SILENT, manner=AT_ONCE)


def _versions(cluster: Cluster, objects: list[ObjectId]) -> dict[ObjectId, str]:
    """Each object's resourceVersion; every one of them is there."""
    found = {each: cluster.get(each) for each in objects}
    assert [str(each) for each, obj in found.items() if obj is None] == []
    return {each: obj["metadata"]["resourceVersion"] for each, obj in found.items() if obj}


RUNTIMES = """\
resources:
  - ../../base/trainer/base/crds
  - ../../base/trainer/base/manager
  - ../../base/trainer/overlays/runtimes
"""


def test_images_and_hosts_deep_in_custom_resources(tmp_path: Path, kustomize: Path) -> None:
    """Kubeflow Trainer's runtimes: pods of jobs of job sets, which download from a model hub."""
    project = make_keda(tmp_path / "project", "mirror.corp/hub")
    shutil.copytree(publictrees.fetch() / "trainer", project.folder / "base" / "trainer")
    project.write(f"overlays/{TARGET}/kustomization.yaml", RUNTIMES)
    spec = read_spec(project.spec)
    objects = render(spec).objects[TARGET]
    named = [image.name for image in wanted_images(spec.bundle, {TARGET: objects})]
    trainer = [
        f"ghcr.io/kubeflow/trainer/{name}"
        for name in (
            "dataset-initializer:v2.0.0",
            "deepspeed-runtime:v2.0.0",
            "mlx-runtime:v2.0.0",
            "model-initializer:v2.0.0",
            "torchtune-trainer:v2.0.0",
            "trainer-controller-manager:latest",
        )
    ]
    hub = ("mpioperator/mpi-pi:openmpi", "pytorch/pytorch:2.7.1-cuda12.8-cudnn9-runtime")
    assert named == [*(f"docker.io/{name}" for name in hub), *trainer]
    found = {str(mention) for obj in objects for _, mention in hosts(obj)}
    assert found == {"ghcr.io", "hf://meta-llama", "hf://tatsu-lab"}
