"""`airbundle init`: a project that is right from the start, whole or not at all."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bundler import init, scaffold
from bundler.archive.store import Store
from bundler.build import build
from bundler.cli import main
from bundler.core.documents.bundle import parse_bundle
from bundler.core.documents.policy import parse_policy
from bundler.core.errors import UsageError
from bundler.core.progress import SILENT
from bundler.sources.images import resolve_image
from bundler.sources.remote import Reach


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_a_project_has_every_part(tmp_path: Path) -> None:
    made = init.init(tmp_path / "new" / "project")
    for name in (
        ".gitignore", "bundle.yaml", "base/kustomization.yaml", "overlays/dev/kustomization.yaml",
        "overlays/airgapped/kustomization.yaml", "policies/default.yaml", "weights/README",
        "image/index.json",
    ):  # fmt: skip
        assert name in made.files
        assert (made.folder / name).is_file()
    assert {name for name, data in snapshot(made.folder).items() if data is not None} == set(
        made.files
    )


def test_every_project_is_the_same(tmp_path: Path) -> None:
    one, two = (init.init(tmp_path / name).folder for name in ("one", "two"))
    assert snapshot(one) == snapshot(two)


def test_data_is_copied_byte_for_byte(tmp_path: Path) -> None:
    made = init.init(tmp_path)
    assert (made.folder / "policies/default.yaml").read_bytes() == (
        scaffold.root() / "policies" / "default.yaml"
    ).read_bytes()


def test_the_documents_are_right_and_name_what_is_there(tmp_path: Path) -> None:
    init.init(tmp_path)
    bundle = parse_bundle((tmp_path / "bundle.yaml").read_text(), "bundle.yaml")
    assert bundle.policy is not None
    policy = parse_policy((tmp_path / bundle.policy).read_text(), bundle.policy)
    assert (policy.allow_hosts, policy.waivers) == ((), ())
    assert policy.checks is not None
    assert (tmp_path / bundle.policy).with_name(policy.checks).is_dir()
    assert (tmp_path / bundle.manifests.base / "kustomization.yaml").is_file()
    for overlay in bundle.manifests.overlays:
        assert (tmp_path / "overlays" / overlay / "kustomization.yaml").is_file()
    assert all((tmp_path / model.source).is_dir() for model in bundle.models)


def test_the_manifests_name_the_images_and_models_of_the_bundle(tmp_path: Path) -> None:
    init.init(tmp_path)
    bundle = parse_bundle((tmp_path / "bundle.yaml").read_text(), "bundle.yaml")
    text = "\n".join(path.read_text() for path in sorted((tmp_path / "base").rglob("*.yaml")))
    named = set(re.findall(r"^\s*(?:- )?(?:image|reference): (\S+)$", text, re.MULTILINE))
    assert named == {image.name for image in bundle.images} | {
        f"airbundle.invalid/models/{model.name}" for model in bundle.models
    }


def test_the_placeholder_is_an_image_that_says_so(tmp_path: Path) -> None:
    init.init(tmp_path)
    bundle = parse_bundle((tmp_path / "bundle.yaml").read_text(), "bundle.yaml")
    source = bundle.images[0].source
    assert source is not None
    image = resolve_image(source, Reach(tmp_path, Store(tmp_path / "store")), bundle.platforms)
    [layer] = image.layers
    with image.open(layer.digest) as stream:
        assert b"holds this file and no program" in stream.read()
    assert "PLACEHOLDER" in (tmp_path / "bundle.yaml").read_text()


@pytest.mark.needs("kustomize")
def test_it_builds_as_soon_as_a_model_lies_in_weights(
    tmp_path: Path, minilm: Path, tool: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tool('kustomize').parent}:/usr/bin:/bin")
    made = init.init(tmp_path / "project")
    shutil.copytree(minilm, made.folder / "weights", dirs_exist_ok=True)
    built = build(
        made.folder / "bundle.yaml",
        tmp_path / "bundle.tar",
        None,
        "2026-01-01",
        Store(tmp_path / "store"),
        SILENT,
    )
    assert (built.name, built.version) == ("serving", "0.1.0")
    assert {found.rule for found in built.warnings} == {"license", "packages"}
    lock = (made.folder / "bundle.lock").read_text()
    for overlay in ("dev", "airgapped", "aws", "aws-govcloud", "azure", "azure-government", "gcp"):
        assert f'"{overlay}":' in lock
    assert '"model.safetensors"' in lock
    assert '"README"' not in lock


def test_what_is_there_already_stays(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "config.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("mine")
    init.init(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "weights" / "config.json").read_text() == "{}"


def _file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


CONFLICTS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a file": ("bundle.yaml", _file),
    "a file below": ("overlays/dev/kustomization.yaml", _file),
    "a file for a folder": ("weights", _file),
    "a folder for a file": ("bundle.yaml", Path.mkdir),
    "a dangling link for a file": ("bundle.yaml", _dangling),
    "a link for a folder": ("base", _dangling),
}


@pytest.mark.parametrize(("name", "put"), CONFLICTS.values(), ids=list(CONFLICTS))
def test_a_conflict_is_named_and_nothing_is_written(
    tmp_path: Path, name: str, put: Callable[[Path], None]
) -> None:
    put(tmp_path / name)
    before = snapshot(tmp_path)
    with pytest.raises(UsageError, match=re.escape(name)):
        init.init(tmp_path)
    assert snapshot(tmp_path) == before


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "project").write_text("mine")
    with pytest.raises(UsageError, match="project"):
        init.init(tmp_path / "project")
    assert snapshot(tmp_path) == {"project": b"mine"}


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    project = init.project_files() | {"weights/" + "x" * 300: b""}
    monkeypatch.setattr(init, "project_files", lambda: project)
    with pytest.raises(UsageError, match="can't be written: File name too long"):
        init.init(tmp_path / "new" / "project")
    assert snapshot(tmp_path) == {"notes.txt": b"mine"}


def test_the_command_says_what_comes_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["init", str(tmp_path / "one")]) == 0
    shown = capsys.readouterr().out
    assert "placeholder without a program" in shown
    assert "airbundle build" in shown
    assert main.run(["init", str(tmp_path / "two"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["folder"] == str(tmp_path / "two")
    assert "bundle.yaml" in told["files"]


def test_the_command_refuses_a_second_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["init", str(tmp_path)]) == 0
    before = snapshot(tmp_path)
    assert main.run(["init", str(tmp_path)]) == 2
    assert "choose another folder" in capsys.readouterr().err
    assert snapshot(tmp_path) == before
