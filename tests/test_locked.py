"""`build --locked`: inputs are those of the lock, or the build says which of them are not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundler import lock as locking
from bundler.core.errors import BundlerError, IntegrityError, UsageError
from bundler.core.progress import SILENT
from bundler.inputs import resolve
from bundler.scan.models import SCANNERS
from tests.project import Project, listing, write_layout

Edit = Callable[[Project, pytest.MonkeyPatch], object]


@pytest.fixture
def locked(project: Project) -> Project:
    """The project with its lock."""
    locking.lock(project.spec, project.store, SILENT)
    return project


def edit(name: str, old: str, new: str) -> Edit:
    return lambda project, _: project.edit(name, old, new)


def write(name: str, data: str) -> Edit:
    return lambda project, _: project.write(name, data)


def remove(name: str) -> Edit:
    return lambda project, _: (project.folder / name).unlink()


def other_image(project: Project, _: pytest.MonkeyPatch) -> None:
    shutil.rmtree(project.folder / "image")
    write_layout(project.folder / "image", b"another layer")


def other_scanner(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(SCANNERS[0]), "version", "2000")


def other_rules(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "RULES_VERSION", "2000")


def in_lock(change: Callable[[Any], object]) -> Edit:
    def put(project: Project, _: pytest.MonkeyPatch) -> None:
        value = json.loads(project.lock.read_text())
        change(value)
        project.lock.write_text(json.dumps(value))

    return put


CHANGED: dict[str, tuple[Edit, str]] = {
    "the spec": (edit("bundle.yaml", "How the server", "How a server"), "spec: locked sha256:"),
    "the version": (edit("bundle.yaml", "1.4.0", "1.4.1"), "version: locked 1.4.0, found 1.4.1"),
    "a file of the base": (
        write("base/notes.txt", "not even rendered"),
        "source base/notes.txt: found, but not locked",
    ),
    "a file of an overlay": (
        edit("overlays/site/kustomization.yaml", '"value": 2', '"value": 3'),
        "source overlays/site/kustomization.yaml: locked sha256:",
    ),
    "what a target renders": (
        edit("overlays/site/kustomization.yaml", '"value": 2', '"value": 3'),
        "target site: locked sha256:",
    ),
    "the policy": (
        write("policies/default.yaml", "apiVersion: airbundle.dev/v1alpha1\nkind: Policy\n# new\n"),
        "policy policies/default.yaml: locked sha256:",
    ),
    "a file more in the model": (
        write("weights/extra.txt", "more"),
        "model mini extra.txt: found, but not locked",
    ),
    "a file less in the model": (
        remove("weights/config.json"),
        "model mini config.json: locked, but gone",
    ),
    "a file of the model that grew": (
        write("weights/config.json", '{"hidden_size": 44}\n'),
        "model mini config.json: locked 19 bytes, sha256:",
    ),
    "a file more in a file set": (
        write("data/extra.txt", "more"),
        "files data extra.txt: found, but not locked",
    ),
    "the image": (
        other_image,
        "image registry.corp:5000/team/server:1.0: locked oci:image, sha256",
    ),
    "a scanner": (other_scanner, "tool safetensors: locked "),
    "the rules": (other_rules, "tool core-rules: locked"),
    "a platform of the lock": (
        in_lock(
            lambda lock: lock["images"][0]["platforms"].update(
                {"linux/arm64": "sha256:" + "0" * 64}
            )
        ),
        "what is locked is not what `airbundle lock` writes",
    ),
    "the licence in the lock": (
        in_lock(lambda lock: lock["models"][0].update(license="GPL-3.0-only")),
        "model mini: locked weights, no revision, GPL-3.0-only, found weights, no revision, MIT",
    ),
}


@pytest.mark.parametrize("ci", [True, False])
@pytest.mark.parametrize(("change", "line"), CHANGED.values(), ids=list(CHANGED))
def test_an_input_that_is_not_the_locked_one_is_named(
    locked: Project, monkeypatch: pytest.MonkeyPatch, change: Edit, line: str, ci: bool
) -> None:
    change(locked, monkeypatch)
    before = listing(locked.folder.parent)
    lock = locked.lock.read_bytes()
    with pytest.raises(UsageError) as refused:
        locked.build(locked.folder.parent / "bundle.tar", locked=ci)
    first, *lines = refused.value.message.splitlines()
    assert first == f"{locked.lock}: does not fit any more:"
    assert any(each.startswith(f"  {line}") for each in lines), lines
    assert refused.value.hint is not None
    assert "airbundle lock" in refused.value.hint
    assert listing(locked.folder.parent) == before
    assert locked.lock.read_bytes() == lock


@pytest.mark.parametrize("name", ["weights/config.json", "data/train.jsonl"])
def test_other_bytes_of_the_same_size_are_found_while_they_are_packed(
    locked: Project, name: str
) -> None:
    data = (locked.folder / name).read_bytes()
    locked.write(name, data.replace(b"i", b"j"))
    before = listing(locked.folder.parent)
    with pytest.raises(IntegrityError, match=f"{Path(name).name}: changed since it was locked"):
        locked.build(locked.folder.parent / "bundle.tar", locked=True)
    assert listing(locked.folder.parent) == before


def test_many_changes_are_counted(locked: Project) -> None:
    for number in range(15):
        locked.write(f"weights/{number:02}.txt", "more")
    with pytest.raises(UsageError) as refused:
        locked.build(locked.folder.parent / "bundle.tar", locked=True)
    lines = refused.value.message.splitlines()
    assert len(lines) == 14
    assert lines[-1] == "  … and 3 more"


def test_without_a_lock_it_is_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"bundle\.lock: --locked expects it, found none"):
        project.build(tmp_path / "bundle.tar", locked=True)
    assert not project.lock.exists()
    assert not (tmp_path / "bundle.tar").exists()


@pytest.mark.parametrize("data", [b"", b"{}", b"[]"])
def test_a_lock_that_is_none_is_refused(project: Project, tmp_path: Path, data: bytes) -> None:
    project.lock.write_bytes(data)
    with pytest.raises(BundlerError, match=r"bundle\.lock: ") as refused:
        project.build(tmp_path / "bundle.tar")
    assert refused.value.exit_code == UsageError.exit_code
    assert refused.value.hint == "run `airbundle lock` to write it anew"


def test_one_of_two_equal_files_that_changed_is_named(project: Project) -> None:
    """The packer reads one of two files with one digest; the other must not change unseen."""
    weights = project.folder / "weights"
    for name in ("a.json", "b.json"):
        (weights / name).write_bytes(b'{"v": 1}\n')
    locking.lock(project.spec, project.store, SILENT)
    (weights / "a.json").write_bytes(b'{"v": 2}\n')
    with pytest.raises(UsageError, match=r"model mini a\.json"):
        project.build(project.folder / "x.tar", locked=True)
