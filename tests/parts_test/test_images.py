"""The images made on the spot: others read them, the same comes out twice, and they run."""

from __future__ import annotations

import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.parts import images
from tests.parts.images import Kind, make_docker_archive, make_oci_layout

Tool = Callable[[str], Path]
KINDS: list[Kind] = ["busybox", "python"]


def skopeo_inspect(skopeo: Path, source: str) -> dict[str, object]:
    done = subprocess.run([skopeo, "inspect", source], check=True, capture_output=True)
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


@pytest.mark.needs("busybox", "skopeo")
@pytest.mark.parametrize("kind", KINDS)
def test_skopeo_reads_both_forms(tmp_path: Path, tool: Tool, kind: Kind) -> None:
    digest = make_oci_layout(tmp_path / "layout", kind)
    make_docker_archive(tmp_path / "saved.tar", kind)
    layout = skopeo_inspect(tool("skopeo"), f"oci:{tmp_path / 'layout'}")
    saved = skopeo_inspect(tool("skopeo"), f"docker-archive:{tmp_path / 'saved.tar'}")
    assert layout["Digest"] == digest
    assert layout["Architecture"] == saved["Architecture"] == "amd64"
    assert len(layout["Layers"]) == len(saved["Layers"]) == 3  # type: ignore[arg-type]


@pytest.mark.needs("busybox")
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bytes_twice(tmp_path: Path, kind: Kind) -> None:
    assert make_oci_layout(tmp_path / "a", kind) == make_oci_layout(tmp_path / "b", kind)
    for name in ("c", "d"):
        make_docker_archive(tmp_path / name, kind)
    assert (tmp_path / "c").read_bytes() == (tmp_path / "d").read_bytes()


@pytest.mark.needs("busybox")
def test_several_platforms_stand_under_one_index(tmp_path: Path) -> None:
    platforms = ("linux/amd64", "linux/arm64", "linux/arm/v7")
    digest = make_oci_layout(tmp_path, platforms=platforms)
    index = json.loads((tmp_path / "blobs" / "sha256" / digest.split(":")[1]).read_bytes())
    names = ("os", "architecture", "variant")
    found = [
        "/".join(each["platform"][name] for name in names if name in each["platform"])
        for each in index["manifests"]
    ]
    assert found == list(platforms)
    assert len({each["digest"] for each in index["manifests"]}) == 3


@pytest.mark.needs("root", "chroot", "busybox")
@pytest.mark.parametrize(
    ("kind", "command", "says"),
    [
        ("busybox", ["/bin/sh", "-c", "cat /srv/index.html | sha256sum"], "-"),
        ("python", [*images._recipe("python").command, "-c", "import ssl; print(6 * 7)"], "42"),
    ],
)
def test_it_runs(tmp_path: Path, tool: Tool, kind: Kind, command: list[str], says: str) -> None:
    make_docker_archive(tmp_path / "saved.tar", kind)
    root = tmp_path / "root"
    with tarfile.open(tmp_path / "saved.tar") as saved:
        manifest = saved.extractfile("manifest.json")
        assert manifest is not None
        for name in json.load(manifest)[0]["Layers"]:
            with saved.extractfile(name) as layer, tarfile.open(fileobj=layer) as members:  # type: ignore[union-attr]
                members.extractall(root, filter="fully_trusted")
    environment = dict(line.split("=", 1) for line in images._recipe(kind).environment)
    done = subprocess.run(
        [tool("chroot"), root, *command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert says in done.stdout
