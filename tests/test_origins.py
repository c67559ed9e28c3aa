"""Builds from a hub and a registry: what moves after the lock, and what there is no room for."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundler import lock as locking
from bundler.archive.store import Store
from bundler.build import build
from bundler.core.digest import Digest
from bundler.core.errors import SourceError, UsageError
from bundler.core.progress import SILENT
from tests.origins import WEIGHTS, Origins, make_origins
from tests.parts.hub import Hub
from tests.parts.registry import Registry
from tests.project import TODAY, Project, listing, safetensors

NO_ROOM = r"x\.tar: needs [0-9.,]+ MiB, its disk has [0-9.,]+ MiB free"

pytestmark = pytest.mark.needs("docker-registry")


@pytest.fixture
def origins(tmp_path: Path, hub: Hub, registry: Registry, kustomize: Path) -> Origins:
    return make_origins(tmp_path / "project", hub, registry)


def bundle(project: Project, *, locked: bool) -> bytes:
    path = project.folder.with_name(f"{project.folder.name}.tar")
    project.build(path, locked=locked)
    return path.read_bytes()


def test_a_tag_and_a_branch_that_move_after_the_lock_change_nothing(
    origins: Origins, tmp_path: Path
) -> None:
    first = bundle(origins.project, locked=False)
    origins.tag(b"another image")
    origins.commit(WEIGHTS[::-1])
    elsewhere = origins.copy(tmp_path / "elsewhere" / "project")
    anew = origins.copy(tmp_path / "anew" / "project")
    assert bundle(origins.project, locked=True) == first
    assert bundle(elsewhere, locked=True) == first
    assert locking.check(elsewhere.spec, elsewhere.store, SILENT).changes == ()
    anew.lock.unlink()
    assert bundle(anew, locked=False) != first


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for half of the weights."""
    folder = tmp_path / "disk"
    folder.mkdir()
    size = f"size={len(WEIGHTS) // 2}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "none", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.needs("root")
def test_a_store_without_room_is_said_before_the_download(
    origins: Origins, small_disk: Path, tmp_path: Path
) -> None:
    store = Store(small_disk / "store")
    with pytest.raises(SourceError, match=r"store: needs [0-9.,]+ MiB, its disk has "):
        build(origins.project.spec, tmp_path / "x.tar", None, TODAY, store, SILENT)
    assert origins.hub.asked("/blobs/") == []
    assert listing(small_disk / "store" / "partial") == []
    assert not origins.project.lock.exists()
    assert list(tmp_path.glob("x.tar*")) == []


@pytest.mark.needs("root")
def test_an_output_without_room_is_said_before_the_download(
    origins: Origins, small_disk: Path
) -> None:
    project = origins.project
    with pytest.raises(UsageError, match=NO_ROOM):
        project.build(small_disk / "x.tar")
    assert origins.hub.asked("/blobs/") == []
    assert not project.lock.exists()
    assert list(small_disk.iterdir()) == []


@pytest.mark.needs("root")
def test_an_output_without_room_counts_layers(origins: Origins, small_disk: Path) -> None:
    origins.commit(b"small")
    with pytest.raises(UsageError, match=NO_ROOM):
        origins.project.build(small_disk / "x.tar")
    assert origins.hub.asked("/blobs/") == []


@pytest.mark.needs("root")
def test_one_disk_needs_room_for_both(origins: Origins, small_disk: Path) -> None:
    """Each would fit, but for the other."""
    origins.tag(b"small")
    origins.commit(WEIGHTS[: len(WEIGHTS) // 3])
    store = Store(small_disk / "store")
    with pytest.raises(UsageError, match=NO_ROOM):
        build(origins.project.spec, small_disk / "x.tar", None, TODAY, store, SILENT)
    assert origins.hub.asked("/blobs/") == []
    assert list(small_disk.glob("*.tar*")) == []


@pytest.mark.needs("root")
def test_what_is_half_here_needs_half_the_room(origins: Origins, small_disk: Path) -> None:
    origins.tag(b"small")
    origins.commit(WEIGHTS[:500_000])
    file = safetensors(WEIGHTS[:500_000])
    begun = small_disk / "store" / "partial" / Digest.of(file).hex
    begun.parent.mkdir(parents=True)
    begun.write_bytes(file[:400_000])
    output = small_disk / "x.tar"
    build(origins.project.spec, output, None, TODAY, Store(small_disk / "store"), SILENT)
    assert output.exists()
    assert [asked.begin for asked in origins.hub.asked("/blobs/")] == [400_000]
