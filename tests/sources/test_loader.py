"""The loader's image: a base and one layer more, the same bytes each time, of each media type."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bundler.core.digest import Digest
from bundler.core.errors import SourceError
from bundler.core.progress import SILENT
from bundler.sources.images import SourceImage, resolve_image
from bundler.sources.loader import read_installers, spell
from tests.sources.layouts import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    INDEX,
    LAYER,
    MANIFEST,
    Layout,
    reach,
)

AMD64, ARM64 = "linux/amd64", "linux/arm64"
Json = dict[str, Any]


def zipped(text: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("__main__.py", text)
    return b"#!/usr/bin/env python3\n" + stream.getvalue()


def source_of(root: Path, installer: str, *platforms: str) -> str:
    return spell(installer, read_installers(root, installer, platforms), "oci:base")


def derived(root: Path, *platforms: str, installer: str = "a.pyz") -> SourceImage:
    source = source_of(root, installer, *platforms)
    return resolve_image(source, reach(root), platforms, SILENT)


def parsed(image: SourceImage, digest: Digest | str) -> Json:
    key = Digest.parse(digest) if isinstance(digest, str) else digest
    found: Json = json.loads(image.metadata[key])
    return found


def read_layer(image: SourceImage, manifest: Json) -> dict[str, bytes]:
    last = Digest.parse(manifest["layers"][-1]["digest"])
    with image.open(last) as stream, tarfile.open(fileobj=io.BytesIO(stream.read())) as archive:
        return {
            member.name: file.read()
            for member in archive
            if (file := archive.extractfile(member)) is not None
        }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a.pyz").write_bytes(zipped("print(1)"))
    return tmp_path


@pytest.mark.parametrize("docker", [False, True])
def test_one_layer_more_holds_airbundle_itself(root: Path, docker: bool) -> None:
    layout = Layout(root / "base")
    layout.finish(layout.image(AMD64, docker=docker))
    image = derived(root, AMD64)
    base = resolve_image("oci:base", reach(root), (AMD64,), SILENT)
    manifest, before = (parsed(each, each.descriptor.digest) for each in (image, base))
    kind = "application/vnd.docker.image.rootfs.diff.tar" if docker else LAYER
    assert image.descriptor.media_type == (DOCKER_MANIFEST if docker else MANIFEST)
    assert manifest["mediaType"] == image.descriptor.media_type
    assert manifest["layers"][:-1] == before["layers"]
    assert manifest["layers"][-1]["mediaType"] == kind
    assert read_layer(image, manifest) == {"airbundle.pyz": zipped("print(1)")}
    config = parsed(image, manifest["config"]["digest"])
    old = parsed(base, before["config"]["digest"])
    assert manifest["config"]["mediaType"] == before["config"]["mediaType"]
    added = manifest["layers"][-1]["digest"]
    assert config["rootfs"]["diff_ids"] == [*old["rootfs"]["diff_ids"], added]
    assert "history" not in config, "the base has none"
    assert image.resolved == base.descriptor.digest
    assert {layer.digest for layer in image.layers} == {
        Digest.parse(layer["digest"]) for layer in manifest["layers"]
    }


def test_the_same_two_inputs_give_the_same_image(root: Path) -> None:
    layout = Layout(root / "base")
    layout.finish(layout.image(AMD64))
    first = derived(root, AMD64)
    assert derived(root, AMD64).descriptor == first.descriptor
    (root / "a.pyz").write_bytes(zipped("print(2)"))
    assert derived(root, AMD64).descriptor != first.descriptor


@pytest.mark.parametrize("kind", [INDEX, DOCKER_LIST])
def test_each_platform_has_its_own_installer(root: Path, kind: str) -> None:
    layout = Layout(root / "base")
    docker = kind == DOCKER_LIST
    children = [
        {
            **layout.image(where, docker=docker),
            "platform": dict(zip(("os", "architecture"), where.split("/"), strict=True)),
        }
        for where in (AMD64, ARM64)
    ]
    layout.finish(layout.index(*children, layout.attestation(), kind=kind))
    for where in (AMD64, ARM64):
        (root / f"{where.replace('/', '-')}.pyz").write_bytes(zipped(where))
    image = derived(root, AMD64, ARM64, installer="{platform}.pyz")
    assert image.descriptor.media_type == kind
    index = parsed(image, image.descriptor.digest)
    assert [each["platform"]["architecture"] for each in index["manifests"]] == ["amd64", "arm64"]
    for platform, digest in image.platforms:
        assert read_layer(image, parsed(image, digest)) == {"airbundle.pyz": zipped(platform)}


def test_history_goes_on_where_there_is_one(root: Path) -> None:
    layout = Layout(root / "base")
    entry = layout.image(AMD64)
    manifest = json.loads((root / "base/blobs/sha256" / entry["digest"][7:]).read_bytes())
    config = json.loads(
        (root / "base/blobs/sha256" / manifest["config"]["digest"][7:]).read_bytes()
    )
    config["history"] = [{"created_by": "a"}, {"created_by": "b"}]
    described = layout.descriptor(manifest["config"]["mediaType"], json.dumps(config).encode())
    layout.finish(layout.image(AMD64, config=described))
    image = derived(root, AMD64)
    found = parsed(image, parsed(image, image.descriptor.digest)["config"]["digest"])
    assert [each["created_by"] for each in found["history"]] == ["a", "b", "airbundle"]


def test_what_spoke_of_the_base_alone_is_gone(root: Path) -> None:
    layout = Layout(root / "base")
    subject = layout.descriptor(MANIFEST, b"{}")
    layout.finish(layout.image(AMD64, subject=subject))
    image = derived(root, AMD64)
    assert "subject" not in parsed(image, image.descriptor.digest)


def test_a_base_whose_config_lists_other_layers_is_refused(root: Path) -> None:
    layout = Layout(root / "base")
    wrong = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}}
    config = layout.descriptor(
        "application/vnd.oci.image.config.v1+json", json.dumps(wrong).encode()
    )
    layout.finish(layout.image(AMD64, config=config))
    with pytest.raises(SourceError, match="diff_ids of its 2 layers, found 0"):
        derived(root, AMD64)


def test_a_base_without_a_platform_is_refused(root: Path) -> None:
    layout = Layout(root / "base")
    layout.finish(layout.image(AMD64))
    with pytest.raises(SourceError, match="has no linux/arm64"):
        derived(root, AMD64, ARM64)


@pytest.mark.parametrize(
    ("data", "says"), [(b"#!/bin/sh\n", "no zip archive"), (None, "expected a file")]
)
def test_an_installer_that_is_none_is_refused(root: Path, data: bytes | None, says: str) -> None:
    (root / "a.pyz").unlink()
    if data is not None:
        (root / "a.pyz").write_bytes(data)
    with pytest.raises(SourceError, match=says):
        read_installers(root, "a.pyz", (AMD64,))


def test_an_installer_that_changes_meanwhile_is_refused(root: Path) -> None:
    layout = Layout(root / "base")
    layout.finish(layout.image(AMD64))
    source = source_of(root, "a.pyz", AMD64)
    (root / "a.pyz").write_bytes(zipped("print(2)"))
    with pytest.raises(SourceError, match="changed meanwhile"):
        resolve_image(source, reach(root), (AMD64,), SILENT)
