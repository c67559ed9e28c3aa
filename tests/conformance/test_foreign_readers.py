"""Readers that know nothing of us find in the file, and in a registry after a push, what we put in.

One bundle of the real model and of an image made on the spot serves them all.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import oras.client  # type: ignore[import-untyped]
import pytest

from bundler.build import Built
from bundler.cli import main
from bundler.cluster.push import top_tag
from bundler.core.digest import Digest
from bundler.sign.keys import Algorithm, PrivateKey
from tests.parts.containerd import Containerd, running_containerd
from tests.parts.images import make_oci_layout
from tests.parts.model_signing import signed_by_the_library
from tests.parts.registry import Registry
from tests.parts.service import free_ports
from tests.project import Project, make_project
from tests.sources.layouts import Layout

Tool = Callable[[str], Path]

REPOSITORY = "registry.corp_5000/team/server"
MOTD = "docker.io/library/motd"
PREFIX = "site/a"


@dataclass(frozen=True)
class Real:
    """The bundle, the project that it was built from, and the digest of its image."""

    path: Path
    project: Project
    built: Built
    image: str

    @property
    def image_name(self) -> str:
        return f"{REPOSITORY}@{self.image}"

    def member(self, name: str) -> bytes:
        """A member of the file, by GNU tar."""
        argv = ["tar", "--extract", "--to-stdout", f"--file={self.path}", name]
        return subprocess.run(argv, capture_output=True, check=True).stdout

    def blob(self, digest: str) -> bytes:
        return self.member(f"blobs/sha256/{digest.removeprefix('sha256:')}")

    def entry(self, name: str) -> dict[str, Any]:
        """The entry of that name, digest left out."""
        entries = json.loads(self.member("index.json"))["manifests"]
        names = "org.opencontainers.image.ref.name"
        found: dict[str, Any] = next(
            entry for entry in entries if entry["annotations"][names].partition("@")[0] == name
        )
        return found

    def manifest(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.blob(self.entry(name)["digest"]))
        return found


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, kustomize: Path, minilm: Path) -> Real:
    folder = tmp_path_factory.mktemp("real")
    project = make_project(folder / "project")
    for name in ("image", "weights"):
        shutil.rmtree(project.folder / name)
    image = make_oci_layout(project.folder / "image", "busybox")
    gzipped = Layout(project.folder / "gzipped")
    gzipped.finish(gzipped.image("linux/amd64", docker=True))
    project.edit(
        "bundle.yaml", "  manifests:", "    - {name: motd, source: oci:gzipped}\n  manifests:"
    )
    shutil.copytree(minilm, project.folder / "weights")
    project.edit("bundle.yaml", "license: MIT", "license: Apache-2.0")
    path = folder / "bundle.tar"
    built = project.build(path, PrivateKey.generate(Algorithm.P256))
    return Real(path, project, built, image)


@pytest.fixture(scope="module")
def pushed(real: Real, registry: Registry) -> str:
    """Where in the registry the bundle's entries are: HOST/PREFIX."""
    place = f"{registry.host}/{PREFIX}"
    arguments = ["push", str(real.path), "--registry", place, "--allow-unsigned"]
    assert main.run(arguments) == 0
    return place


def run(*argv: str | Path) -> bytes:
    """What a program prints; it has to end well."""
    done = subprocess.run([str(each) for each in argv], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def tag(real: Real, name: str) -> str:
    return top_tag(Digest.parse(real.entry(name)["digest"]))


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(folder: Path) -> dict[str, str]:
    """The sha256 of every file below `folder`."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


# --- the file ---------------------------------------------------------------------------------


def test_gnu_tar_lists_it(real: Real) -> None:
    listed = run("tar", "--list", "--verbose", "--file", real.path).decode().splitlines()
    names = [line.split()[-1] for line in listed]
    assert names[:3] == ["airbundle.sig.json", "oci-layout", "index.json"]
    assert len(names) == len(set(names)) > 10
    assert all(name.startswith("blobs/sha256/") for name in names[3:])
    assert {line.split()[0] for line in listed} == {"-rw-r--r--"}
    for name in names[3:]:
        assert hashlib.sha256(real.member(name)).hexdigest() == name.rpartition("/")[2]


@pytest.mark.needs("skopeo", "busybox")
def test_skopeo_inspects_the_image(real: Real, tool: Tool) -> None:
    found = json.loads(run(tool("skopeo"), "inspect", f"oci-archive:{real.path}:{real.image_name}"))
    layout = real.project.folder / "image"
    upstream = json.loads((layout / "blobs/sha256" / real.image[7:]).read_text())
    assert found["Digest"] == real.image
    assert found["Architecture"] == "amd64"
    assert found["Layers"] == [layer["digest"] for layer in upstream["layers"]]
    assert len(found["Layers"]) == 3


@pytest.mark.needs("skopeo", "busybox")
@pytest.mark.parametrize("kind", ["image", "model"])
def test_skopeo_copies_an_entry(real: Real, tool: Tool, tmp_path: Path, kind: str) -> None:
    name = real.image_name if kind == "image" else "models/mini"
    source, copy = f"oci-archive:{real.path}:{name}", tmp_path / "copy"
    run(tool("skopeo"), "copy", "--insecure-policy", "--preserve-digests", source, f"dir:{copy}")
    manifest = (copy / "manifest.json").read_bytes()
    assert (
        f"sha256:{hashlib.sha256(manifest).hexdigest()}"
        == real.entry(name.partition("@")[0])["digest"]
    )
    described = json.loads(manifest)
    for blob in (described["config"], *described["layers"]):
        assert sha256(copy / blob["digest"][7:]) == blob["digest"][7:]


@pytest.fixture(scope="module")
def imported(real: Real, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containerd]:
    """A containerd into which `ctr` has imported the file."""
    with running_containerd(tmp_path_factory.mktemp("containerd"), *free_ports(1)) as containerd:
        # Without --no-unpack everything is imported too, and then ctr tries to unpack what is
        # no image.
        done = containerd.ctr("images", "import", "--no-unpack", real.path)
        assert done.returncode == 0, done.stderr
        yield containerd


@pytest.mark.needs("root", "containerd", "ctr", "busybox")
def test_containerd_lists_image_and_model(real: Real, imported: Containerd) -> None:
    rows = [line.split() for line in imported.ctr("images", "list").stdout.splitlines()[1:]]
    digest_of = {row[0]: row[2] for row in rows}
    assert digest_of[real.image_name] == real.image
    for name in ("models/mini", "modelpacks/mini", "files/data"):
        assert digest_of[name] == real.entry(name)["digest"]
    checked = imported.ctr("images", "check").stdout.splitlines()[1:]
    assert len(checked) == 6
    assert all(" complete (" in line for line in checked)


@pytest.mark.needs("root", "containerd", "ctr", "busybox")
def test_containerd_mounts_the_model(
    real: Real, imported: Containerd, minilm: Path, tmp_path: Path
) -> None:
    with imported.mounted("models/mini", tmp_path / "mount") as folder:
        assert digests(folder / "models") == digests(minilm)


@pytest.mark.needs("root", "containerd", "ctr", "busybox")
def test_containerd_mounts_the_image(real: Real, imported: Containerd, tmp_path: Path) -> None:
    with imported.mounted(real.image_name, tmp_path / "mount") as folder:
        assert sha256(folder / "bin" / "busybox") == sha256(Path("/bin/busybox"))
        assert (folder / "srv").is_dir()


def test_the_statement_is_that_of_the_model_signing_library(
    real: Real, minilm: Path, tmp_path: Path
) -> None:
    shutil.copytree(minilm, tmp_path / "mini")
    layers = real.manifest("bundle")["layers"]
    titles = {each["annotations"]["org.opencontainers.image.title"]: each for each in layers}
    carried = titles["model-signing/mini.json"]
    assert carried["mediaType"] == "application/vnd.in-toto+json"
    statement = json.loads(real.blob(carried["digest"]))
    assert statement == signed_by_the_library(tmp_path / "mini", tmp_path)


# --- the registry -----------------------------------------------------------------------------


@pytest.mark.needs("crane", "docker-registry", "busybox")
@pytest.mark.parametrize("name", [REPOSITORY, MOTD, "models/mini"])
def test_crane_validates_what_was_pushed(real: Real, pushed: str, tool: Tool, name: str) -> None:
    digest = real.entry(name)["digest"]
    # Without --fast it takes every layer for gzip, which of these only MOTD's are.
    flags = [] if name == MOTD else ["--fast"]
    said = run(tool("crane"), "validate", *flags, "--remote", f"{pushed}/{name}@{digest}")
    assert said.decode().startswith("PASS: ")
    by_tag = run(tool("crane"), "digest", f"{pushed}/{name}:{tag(real, name)}")
    assert by_tag.decode().strip() == digest


@pytest.mark.needs("crane", "docker-registry", "busybox")
def test_the_image_arrives_byte_for_byte(real: Real, pushed: str, tool: Tool) -> None:
    upstream = real.project.folder / "image" / "blobs" / "sha256"
    place = f"{pushed}/{REPOSITORY}"
    manifest = run(tool("crane"), "manifest", f"{place}@{real.image}")
    assert manifest == (upstream / real.image[7:]).read_bytes()
    described = json.loads(manifest)
    for blob in (described["config"], *described["layers"]):
        content = run(tool("crane"), "blob", f"{place}@{blob['digest']}")
        assert content == (upstream / blob["digest"][7:]).read_bytes()


@pytest.mark.needs("crane", "docker-registry", "busybox")
def test_text_files_arrive_byte_for_byte(
    real: Real, pushed: str, tool: Tool, minilm: Path, tmp_path: Path
) -> None:
    place = f"{pushed}/models/mini"
    manifest = json.loads(run(tool("crane"), "manifest", f"{place}:{tag(real, 'models/mini')}"))
    for layer in manifest["layers"]:
        (tmp_path / "layer.tar").write_bytes(
            run(tool("crane"), "blob", f"{place}@{layer['digest']}")
        )
        run("tar", "--extract", "--directory", tmp_path, "--file", tmp_path / "layer.tar")
    found = (tmp_path / "models" / "tokenizer.json").read_bytes()
    assert found == (minilm / "tokenizer.json").read_bytes()
    assert digests(tmp_path / "models") == digests(minilm)


@pytest.mark.needs("docker-registry", "busybox")
def test_oras_pulls_the_files(real: Real, pushed: str, tmp_path: Path) -> None:
    target = f"{pushed}/files/data:{tag(real, 'files/data')}"
    pulled = oras_client().pull(target=target, outdir=str(tmp_path))
    assert [Path(path).name for path in pulled] == ["train.jsonl"]
    assert digests(tmp_path) == digests(real.project.folder / "data")


@pytest.mark.needs("docker-registry", "busybox")
def test_oras_pulls_the_modelpack(real: Real, pushed: str, minilm: Path, tmp_path: Path) -> None:
    target = f"{pushed}/modelpacks/mini:{tag(real, 'modelpacks/mini')}"
    pulled = [Path(path) for path in oras_client().pull(target=target, outdir=str(tmp_path / "p"))]
    layers = real.manifest("modelpacks/mini")["layers"]
    assert [f"sha256:{sha256(path)}" for path in pulled] == [each["digest"] for each in layers]
    for path in pulled:
        run("tar", "--extract", "--directory", tmp_path, "--file", path)
    assert digests(tmp_path / "models") == digests(minilm)


def oras_client() -> oras.client.OrasClient:
    return oras.client.OrasClient(insecure=True, tls_verify=False)


# --- two platforms ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_platforms(tmp_path_factory: pytest.TempPathFactory, kustomize: Path) -> Real:
    """A small bundle for two platforms; its image is an index of two."""
    folder = tmp_path_factory.mktemp("two")
    project = make_project(folder / "project")
    shutil.rmtree(project.folder / "image")
    platforms = ("linux/amd64", "linux/arm64")
    image = make_oci_layout(project.folder / "image", "busybox", platforms)
    project.edit("bundle.yaml", "[linux/amd64]", f"[{', '.join(platforms)}]")
    path = folder / "bundle.tar"
    return Real(path, project, project.build(path), image)


@pytest.mark.needs("skopeo", "busybox")
@pytest.mark.parametrize("kind", ["image", "model"])
@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_skopeo_finds_each_platform(
    two_platforms: Real, tool: Tool, kind: str, architecture: str
) -> None:
    name = two_platforms.image_name if kind == "image" else "models/mini"
    source = f"oci-archive:{two_platforms.path}:{name}"
    said = run(tool("skopeo"), "--override-arch", architecture, "inspect", source)
    assert json.loads(said)["Architecture"] == architecture


@pytest.mark.needs("crane", "docker-registry", "busybox")
@pytest.mark.parametrize("name", [REPOSITORY, "models/mini"])
def test_crane_validates_an_index(
    two_platforms: Real, registry: Registry, tool: Tool, name: str
) -> None:
    place = f"{registry.host}/two"
    arguments = ["push", str(two_platforms.path), "--registry", place, "--allow-unsigned"]
    assert main.run(arguments) == 0
    remote = f"{place}/{name}@{two_platforms.entry(name)['digest']}"
    assert run(tool("crane"), "validate", "--fast", "--remote", remote).startswith(b"PASS: ")
    assert len(two_platforms.manifest(name)["manifests"]) == 2
