"""A release with a site's own overlay: installed, again, gone back to, on a real API server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bundler.cluster.release.record import Record, record_id
from bundler.core.progress import SILENT
from bundler.inputs.siteoverlay import SiteOverlay
from bundler.install import Installed, Site, install
from bundler.rollback import rollback
from bundler.sign.open import open_bundle
from tests.making import KEY
from tests.parts.registry import Registry
from tests.project import Project, make_project
from tests.site import AT_ONCE, Field, field_of_work

pytestmark = pytest.mark.needs("apiserver", "docker-registry", "kustomize")

OVERLAY = SiteOverlay(
    {
        "kustomization.yaml": b"resources: [../overlays/site]\n"
        b"patches: [{path: replicas.yaml, target: {kind: Deployment}}]\n",
        "replicas.yaml": b"- {op: replace, path: /spec/replicas, value: 7}\n",
    }
)


@pytest.fixture
def field(tmp_path: Path, kubeconfig: Path, registry: Registry) -> Iterator[Field]:
    with field_of_work(tmp_path, kubeconfig, registry) as on:
        yield on


@pytest.fixture
def project(tmp_path: Path, kustomize: Path, field: Field) -> Project:
    """The small one, in a namespace that nobody else uses."""
    made = make_project(tmp_path / "project")
    for path in (made.folder / "base").glob("*.yaml"):
        path.write_text(path.read_text().replace("search", field.mark))
    made.edit("bundle.yaml", "name: movie-search", f"name: app-{field.mark}")
    return made


def installed(project: Project, field: Field, version: str, own: SiteOverlay | None) -> Installed:
    text = project.spec.read_text()
    project.spec.write_text(text.replace('version: "1.4.0"', f'version: "{version}"'))
    path = field.folder / f"{version}.tar"
    project.build(path, KEY)
    project.spec.write_text(text)
    project.lock.unlink()
    site = Site("site", f"{field.registry.host}/{field.mark}", {}, field.access, overlay=own)
    with open_bundle(path, KEY.public) as bundle:
        return install(bundle, site, SILENT, manner=AT_ONCE)


def replicas(field: Field) -> int:
    live = field.get(field.id("server", "Deployment", "apps/v1"))
    assert live is not None
    found: int = live["spec"]["replicas"]
    return found


def record(field: Field) -> Record:
    secret = field.get(record_id(f"app-{field.mark}", field.home))
    assert secret is not None
    return Record.parse(secret)


def test_a_release_keeps_its_overlay_and_goes_back_with_it(project: Project, field: Field) -> None:
    installed(project, field, "1.0.0", OVERLAY)
    assert replicas(field) == 7
    kept = record(field).installed.overlay
    assert kept is not None
    assert SiteOverlay.load(kept.encode()) == OVERLAY
    assert installed(project, field, "1.0.0", replace(OVERLAY, today="2026-01-01")).plan.empty

    installed(project, field, "1.1.0", None)
    assert replicas(field) == 2
    assert record(field).installed.overlay is None

    rollback(f"app-{field.mark}", None, field.access, KEY.public, SILENT, manner=AT_ONCE)
    assert replicas(field) == 7
    assert record(field).installed.overlay == kept


def test_the_plan_says_what_an_overlay_changes(project: Project, field: Field) -> None:
    installed(project, field, "1.0.0", None)
    plan = installed(project, field, "1.0.0", OVERLAY).plan
    assert field.id("server", "Deployment", "apps/v1") in plan.changed
    assert len(plan.changed) == 2  # and the record
