"""Images of trees: what gets in, what stays out, and the same bytes twice."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.parts import demoimage
from tests.parts.imagefiles import Member
from tests.parts.treeimage import Layer, layer_of_members, layer_of_tree, write_layout

OLD = 1_600_000_000


def _tree(folder: Path) -> Path:
    for name in (
        "usr/bin/tool",
        "usr/lib/libx.a",
        "usr/share/doc/tool/copyright",
        "usr/share/doc/tool/manual",
        "usr/share/man/man1/tool.1",
        "etc/apt/sources.list",
        "etc/tool.conf",
        "tmp/left",
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        os.utime(path, (OLD, OLD))
    (folder / "usr/bin/tool").chmod(0o4755)
    (folder / "usr/bin/other").hardlink_to(folder / "usr/bin/tool")
    (folder / "bin").symlink_to("usr/bin")
    return folder


def _members(layer: Layer) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(layer.path) as archive:
        return {each.name: each for each in archive}


def _layer(tmp_path: Path, name: str) -> Layer:
    (tmp_path / name).mkdir()
    return layer_of_tree(_tree(tmp_path / f"{name}-tree"), tmp_path / name, time.time() - 60)


def test_what_runs_gets_in_and_the_rest_stays_out(tmp_path: Path) -> None:
    found = _members(_layer(tmp_path, "one"))
    assert {name for name, each in found.items() if not each.isdir()} == {
        "bin", "etc/tool.conf", "usr/bin/other", "usr/bin/tool", "usr/share/doc/tool/copyright",
    }  # fmt: skip
    assert "tmp" in found
    assert found["bin"].linkname == "usr/bin"
    assert found["usr/bin/tool"].linkname == "usr/bin/other"


def test_nobody_becomes_root_and_nothing_tells_when_it_was_made(tmp_path: Path) -> None:
    found = _members(_layer(tmp_path, "one"))
    assert found["usr/bin/other"].mode == 0o755
    assert {each.mtime for each in found.values()} == {0, OLD}
    assert found["etc/tool.conf"].mtime == OLD


def test_the_same_tree_is_the_same_layer(tmp_path: Path) -> None:
    one, other = _layer(tmp_path, "one"), _layer(tmp_path, "other")
    assert (one.descriptor, one.diff_id) == (other.descriptor, other.diff_id)


@pytest.mark.needs("root")
def test_what_an_overlay_took_away_is_a_whiteout(tmp_path: Path) -> None:
    tree = _tree(tmp_path / "tree")
    os.mknod(tree / "etc" / "gone", 0o20000, os.makedev(0, 0))
    assert "etc/.wh.gone" in _members(layer_of_tree(tree, tmp_path, time.time()))


@pytest.mark.needs("skopeo")
def test_skopeo_reads_the_layout(tmp_path: Path, tool: Callable[[str], Path]) -> None:
    first = _layer(tmp_path, "one")
    second = layer_of_members([Member("app/run", data=b"run")], tmp_path)
    digest = write_layout(tmp_path / "layout", [first, second], {"User": "1:1"})
    copied = f"dir:{tmp_path / 'copied'}"
    copy = [str(tool("skopeo")), "copy", "--quiet", f"oci:{tmp_path / 'layout'}", copied]
    subprocess.run(copy, check=True)
    manifest = json.loads((tmp_path / "copied" / "manifest.json").read_text())
    assert manifest["layers"] == [first.descriptor, second.descriptor]
    named = json.loads((tmp_path / "layout" / "index.json").read_text())["manifests"]
    assert [each["digest"] for each in named] == [digest]


@pytest.mark.needs("demoimage")
def test_the_demos_image_holds_no_address_and_runs_as_nobody(tmp_path: Path) -> None:
    digest = demoimage.make_python_layout(tmp_path / "layout")
    blobs = tmp_path / "layout" / "blobs" / "sha256"
    manifest = json.loads((blobs / digest.removeprefix("sha256:")).read_text())
    [layer] = manifest["layers"]
    with tarfile.open(blobs / layer["digest"].removeprefix("sha256:")) as archive:
        found = {each.name: each.mode for each in archive if not each.isdir()}
    assert "usr/bin/python3.13" in found
    assert not any(name.startswith("etc/apt/sources") for name in found)
    assert not any(mode & 0o6000 for mode in found.values())
    config = json.loads((blobs / manifest["config"]["digest"].removeprefix("sha256:")).read_text())
    assert config["config"]["User"] == "65532:65532"
