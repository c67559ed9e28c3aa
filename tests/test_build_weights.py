"""A build whose models come as claims or out of a bucket: the lock, the bytes, the refusals."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from bundler.archive.bundle import AuthenticatedBundle
from bundler.cli.main import run
from bundler.cluster.preflight import needs_of
from bundler.core import lock
from bundler.core.errors import BundlerError, PolicyError, SourceError, UsageError
from bundler.core.objects.loaderpods import fetched
from bundler.core.progress import SILENT
from bundler.export import export_bundle
from bundler.inspect import inspect
from bundler.install import Site, install
from bundler.render import Rendered, render, spec_of
from bundler.sign.open import open_bundle
from tests.project import IMAGE, Project, make_project

SECTIONS = f"""\
  policy: policies/default.yaml
  loader: {{image: "{IMAGE}", installer: airbundle.pyz}}
  weights:
    dev:
      pvc: {{storageClass: fast}}
      egress: [{{cidr: 10.0.0.0/8, port: 5000}}]
    site:
      s3: {{endpoint: "https://s3.site.example", bucket: weights, secretName: keys}}
  site:
    ca: {{name: site-ca, namespaces: [search]}}
    pullSecret: {{name: site-login, namespaces: [search]}}
"""


def installer(text: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("__main__.py", text)
    return stream.getvalue()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = make_project(tmp_path / "project")
    made.write("airbundle.pyz", installer("print(1)"))
    made.edit("bundle.yaml", "  policy: policies/default.yaml\n", SECTIONS)
    made.edit(
        "policies/default.yaml",
        "kind: Policy\n",
        "kind: Policy\nallowHosts: [s3.site.example, weights]\n",
    )
    return made


def rendered(bundle: AuthenticatedBundle, target: str) -> Rendered:
    return render(bundle, target, {}, "registry.site:5000/a")


def test_a_build_derives_the_loader_and_locks_what_it_is_made_of(
    project: Project, tmp_path: Path
) -> None:
    project.build(tmp_path / "a.tar")
    project.build(tmp_path / "b.tar", locked=True)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    found = lock.parse(project.lock.read_bytes(), "lock")
    loader, base = found.images
    assert loader.name == "airbundle.local/loader:1"
    assert loader.source.startswith("loader:airbundle.pyz@sha256:")
    assert loader.source.endswith("+oci:image")
    assert loader.resolved == base.digest
    assert loader.digest != base.digest


def test_what_is_installed_names_the_model_by_its_digest(project: Project, tmp_path: Path) -> None:
    project.build(tmp_path / "a.tar")
    with open_bundle(tmp_path / "a.tar", None) as bundle:
        model = next(each for each in bundle.entries if each.kind == "model")
        (job,) = (obj for obj in rendered(bundle, "dev").objects if obj["kind"] == "Job")
        (container,) = job["spec"]["template"]["spec"]["containers"]
        reference = f"registry.site:5000/a/models/mini@{model.descriptor.digest}"
        assert container["args"][0] == reference
        assert container["image"].startswith("registry.site:5000/a/airbundle.local/loader@sha256:")
        assert "site-ca" in str(job)
        assert "site-login" in str(job)
        (there,) = fetched(rendered(bundle, "site").objects)
        assert (there.endpoint, there.place.bucket) == ("https://s3.site.example", "weights")


def test_what_the_site_brings_for_a_bucket_is_said(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project.build(tmp_path / "a.tar")
    with open_bundle(tmp_path / "a.tar", None) as bundle:
        brings = inspect(bundle).site_brings
        objects = rendered(bundle, "site").objects
        needs = needs_of(bundle, spec_of(bundle), objects, "x-system")
    (secret,) = brings.secrets
    assert (secret.namespace, secret.name) == ("search", "keys")
    assert needs.secret_refs == brings.secrets
    assert brings.buckets == ("https://s3.site.example/weights",)
    assert run(["inspect", str(tmp_path / "a.tar"), "--allow-unsigned"]) == 0
    said = capsys.readouterr().out
    assert "  Secret search/keys with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: what reads" in said
    assert "in the environment, to fill https://s3.site.example/weights\n" in said


@pytest.mark.parametrize("verb", ["export", "install"])
def test_without_keys_for_the_bucket_nothing_is_pushed(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    project.build(tmp_path / "a.tar")
    layout, folder = tmp_path / "layout", tmp_path / "export"

    def done(bundle: AuthenticatedBundle) -> object:
        if verb == "export":
            return export_bundle(bundle, Site("site", f"oci:{layout}", {}), folder, None, SILENT)
        return install(bundle, Site("site", "registry.site:5000/a", {}), SILENT)

    missing = "keys of the bucket: expected AWS_ACCESS_KEY_ID"
    with open_bundle(tmp_path / "a.tar", None) as bundle, pytest.raises(UsageError, match=missing):
        done(bundle)
    assert not layout.exists()
    assert not folder.exists()


def test_another_installer_does_not_fit_the_lock(project: Project, tmp_path: Path) -> None:
    project.build(tmp_path / "a.tar")
    project.write("airbundle.pyz", installer("print(2)"))
    with pytest.raises(UsageError, match=r"image airbundle\.local/loader:1: locked"):
        project.build(tmp_path / "b.tar")


def test_the_loader_is_in_no_bundle_that_needs_none(project: Project, tmp_path: Path) -> None:
    text = (project.folder / "bundle.yaml").read_text()
    site = text[text.index("\n  site:") + 1 :]
    project.write("bundle.yaml", text[: text.index("  weights:")] + site)
    project.build(tmp_path / "a.tar")
    assert b"airbundle.local" not in project.lock.read_bytes()


REFUSED: list[tuple[str, str, type[BundlerError], str]] = [
    ("installer: airbundle.pyz", "installer: other.pyz", SourceError, "spec.loader.installer"),
    ("platforms: [linux/amd64]", "platforms: [linux/arm64]", SourceError, "spec.loader.image"),
    ("{storageClass: fast}", "{size: 1Ki}", PolicyError, "make|its model mini has"),
]


@pytest.mark.parametrize(("old", "new", "kind", "says"), REFUSED)
def test_what_can_not_be_built_is_said_with_its_place(
    project: Project, tmp_path: Path, old: str, new: str, kind: type[BundlerError], says: str
) -> None:
    project.edit("bundle.yaml", old, new)
    with pytest.raises(kind, match=says):
        project.build(tmp_path / "a.tar")
    assert not (tmp_path / "a.tar").exists()


def test_a_bucket_that_the_policy_does_not_know_shuts_the_gate(
    project: Project, tmp_path: Path
) -> None:
    project.edit("policies/default.yaml", "allowHosts: [s3.site.example, weights]\n", "")
    with pytest.raises(PolicyError, match=r"s3\.site\.example"):
        project.build(tmp_path / "a.tar")
