"""Images of OCI layouts: chosen, checked, and given byte for byte."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from bundler.core import strictjson
from bundler.core.digest import Digest
from bundler.core.errors import BundlerError, IntegrityError, SourceError
from bundler.sources.images import SourceImage, resolve_image
from tests.sources.complete import check_complete
from tests.sources.hostile_layouts import REFUSED
from tests.sources.layouts import (
    CONFIG,
    DOCKER_LIST,
    INDEX,
    MANIFEST,
    Json,
    Layout,
    dump,
    named,
    platform,
    reach,
)

AMD, ARM, ARMV7 = "linux/amd64", "linux/arm64", "linux/arm/v7"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "layout")


def _resolve(layout: Layout, source: str, *platforms: str) -> SourceImage:
    return resolve_image(source, reach(layout.folder.parent), platforms or (AMD,))


def test_a_single_manifest(layout: Layout) -> None:
    entry = layout.image(AMD)
    image = _resolve(layout, layout.finish(entry))
    assert str(image.descriptor.digest) == entry["digest"]
    assert image.descriptor.media_type == MANIFEST
    assert image.platforms == ((AMD, image.descriptor.digest),)
    assert len(image.layers) == 2
    check_complete(image)


def test_docker_schema_2_stays_as_it_is(layout: Layout) -> None:
    child = {**layout.image(AMD, docker=True), "platform": platform(AMD)}
    entry = layout.index(child, kind=DOCKER_LIST)
    image = _resolve(layout, layout.finish(entry))
    assert image.descriptor.media_type == DOCKER_LIST
    assert image.descriptor.to_json() == entry
    check_complete(image)


def test_an_image_by_its_name(layout: Layout) -> None:
    one, two = layout.image(AMD), layout.image(AMD, count=3)
    source = layout.finish(named(one, "1.0"), named(two, "2.0"))
    assert len(_resolve(layout, f"{source}:2.0").layers) == 3
    with pytest.raises(
        SourceError, match=r"expected one image, found 2; there is 1\.0, 2\.0"
    ) as info:
        _resolve(layout, source)
    assert info.value.hint is not None
    with pytest.raises(
        SourceError, match=r"expected one image '3\.0', found 0; there is 1\.0, 2\.0"
    ):
        _resolve(layout, f"{source}:3.0")
    twice = layout.finish(named(one, "1.0"), named(two, "1.0"))
    with pytest.raises(SourceError, match=r"expected one image '1\.0', found 2"):
        _resolve(layout, f"{twice}:1.0")


def test_all_platforms_travel_as_the_upstream_index(layout: Layout) -> None:
    index = layout.index(layout.child(AMD), layout.child(ARM), layout.attestation())
    image = _resolve(layout, layout.finish(index), ARM, AMD)
    assert image.descriptor.to_json() == index
    assert image.resolved == image.descriptor.digest
    assert image.remotes == ()
    assert image.metadata[image.descriptor.digest].startswith(b"{\n   ")
    assert [text for text, _ in image.platforms] == [AMD, ARM]
    assert len(image.layers) == 5  # the attestation's too
    check_complete(image)


def test_the_only_platform_of_an_index_is_all_of_it(layout: Layout) -> None:
    index = layout.index(layout.child(AMD), layout.attestation())
    image = _resolve(layout, layout.finish(index))
    assert image.descriptor.to_json() == index
    check_complete(image)


def test_several_platforms_travel_as_a_derived_index(layout: Layout) -> None:
    arm = layout.child(ARM, annotations={"com.example": "kept"})
    children = [layout.child(ARMV7), arm, layout.attestation(), layout.child(AMD)]
    index = layout.index(*children, annotations={"com.example": "left behind"})
    image = _resolve(layout, layout.finish(index), AMD, ARM)
    data = image.metadata[image.descriptor.digest]
    assert data == strictjson.canonical(
        {"schemaVersion": 2, "mediaType": INDEX, "manifests": [arm, children[3]]}
    )
    assert [(text, str(digest)) for text, digest in image.platforms] == [
        (AMD, children[3]["digest"]),
        (ARM, arm["digest"]),
    ]
    check_complete(image)


def test_one_platform_of_several_travels_as_its_manifest(layout: Layout) -> None:
    arm = layout.child(ARM)
    index = layout.index(layout.child(AMD), arm, layout.attestation())
    image = _resolve(layout, layout.finish(index), ARM)
    assert str(image.descriptor.digest) == arm["digest"]
    assert str(image.resolved) == index["digest"]
    assert image.platforms == ((ARM, image.descriptor.digest),)
    check_complete(image)


def test_a_platform_that_does_not_travel_need_not_be_there(layout: Layout) -> None:
    arm = layout.child(ARM)
    (layout.folder / "blobs" / "sha256" / arm["digest"][7:]).unlink()
    source = layout.finish(layout.index(layout.child(AMD), arm))
    check_complete(_resolve(layout, source))
    with pytest.raises(SourceError, match="expected a file, found none"):
        _resolve(layout, source, AMD, ARM)


def test_default_variants_are_the_same_platform(layout: Layout) -> None:
    source = layout.finish(layout.index(layout.child("linux/arm64/v8"), layout.child(AMD)))
    assert _resolve(layout, source, "linux/arm64").platforms[0][0] == "linux/arm64"
    source = layout.finish(layout.image("linux/arm"))
    assert _resolve(layout, source, ARMV7).platforms[0][0] == ARMV7


def test_a_child_without_platform_is_asked_by_its_config(layout: Layout) -> None:
    source = layout.finish(layout.index(layout.image(AMD), layout.image(ARM)))
    image = _resolve(layout, source, ARM)
    assert image.descriptor.media_type == MANIFEST
    check_complete(image)


@pytest.mark.parametrize("platforms", [(ARM,), (AMD, ARM)])
@pytest.mark.parametrize("as_index", [True, False])
def test_a_platform_that_is_not_there_is_refused(
    as_index: bool, platforms: tuple[str, ...], layout: Layout
) -> None:
    entry = layout.index(layout.child(AMD)) if as_index else layout.image(AMD)
    with pytest.raises(SourceError, match="has no linux/arm64; there is linux/amd64"):
        _resolve(layout, layout.finish(entry), *platforms)


def test_versions_of_windows_are_several_images(layout: Layout) -> None:
    windows = "windows/amd64"
    one, two = (
        {
            **layout.image(windows, count=n),
            "platform": {**platform(windows), "os.version": f"10.{n}"},
        }
        for n in (1, 2)
    )
    source = layout.finish(layout.index(one, two, layout.child(AMD)))
    assert _resolve(layout, source, AMD).descriptor.media_type == MANIFEST
    with pytest.raises(SourceError, match="has 2 images for windows/amd64"):
        _resolve(layout, source, AMD, windows)


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_image_is_refused(name: str, layout: Layout) -> None:
    make, problem = REFUSED[name]
    source = layout.finish(make(layout))
    with pytest.raises(SourceError, match=problem):
        _resolve(layout, source)


def _blob(layout: Layout, digest: str) -> Path:
    return layout.folder / "blobs" / "sha256" / digest[7:]


def _manifest(layout: Layout, entry: Json) -> Json:
    value: Json = json.loads(_blob(layout, entry["digest"]).read_bytes())
    return value


@pytest.mark.parametrize("which", ["manifest", "config"])
@pytest.mark.parametrize("change", [b"x", b""])
def test_another_manifest_or_config_than_promised(
    change: bytes, which: str, layout: Layout
) -> None:
    entry = layout.image(AMD)
    source = layout.finish(entry)
    digest = (
        entry["digest"] if which == "manifest" else _manifest(layout, entry)["config"]["digest"]
    )
    data = _blob(layout, digest).read_bytes()
    _blob(layout, digest).write_bytes(data[:-1] + change)
    with pytest.raises(IntegrityError, match=f"expected {digest}"):
        _resolve(layout, source)


def test_another_layer_than_promised_fails_at_its_end(layout: Layout) -> None:
    entry = layout.image(AMD)
    source = layout.finish(entry)
    digest = _manifest(layout, entry)["layers"][0]["digest"]
    data = _blob(layout, digest).read_bytes()
    _blob(layout, digest).write_bytes(data[:-1] + b"!")
    image = _resolve(layout, source)
    with image.open(Digest.parse(digest)) as stream, pytest.raises(IntegrityError, match=digest):
        stream.read()


def test_a_layer_that_changed_since_is_refused(layout: Layout) -> None:
    entry = layout.image(AMD)
    image = _resolve(layout, layout.finish(entry))
    layer = image.layers[0].digest
    _blob(layout, str(layer)).write_bytes(b"other")
    with pytest.raises(SourceError, match="changed while it was being read"):
        image.open(layer)


@pytest.mark.parametrize("which", ["oci-layout", "index.json", "manifest", "config", "layer"])
def test_a_link_is_not_followed(which: str, layout: Layout) -> None:
    entry = layout.image(AMD)
    source = layout.finish(entry)
    manifest = _manifest(layout, entry)
    location = {
        "manifest": _blob(layout, entry["digest"]),
        "config": _blob(layout, manifest["config"]["digest"]),
        "layer": _blob(layout, manifest["layers"][0]["digest"]),
    }.get(which, layout.folder / which)
    location.rename(layout.folder / "elsewhere")
    location.symlink_to(layout.folder / "elsewhere")
    with pytest.raises(SourceError, match="found a symbolic link"):
        _resolve(layout, source)


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        (
            "oci-layout",
            b'{"imageLayoutVersion": "2.0.0"}',
            "expected version '1.0.0', found '2.0.0'",
        ),
        ("oci-layout", b"[]", "expected version"),
        ("oci-layout", b"{", "is not JSON"),
        ("oci-layout", b" " * 70_000, "expected at most 65536 bytes"),
        ("index.json", b'{"schemaVersion": 2, "manifests": [], "Manifests": []}', "stands twice"),
        ("index.json", b'{"schemaVersion": 2, "Manifests": []}', "but Go reads it so"),
        ("index.json", b'{"schemaVersion": 2, "manifests": []}', "found 0; there is none"),
        ("index.json", b'{"schemaVersion": 2, "manifests": {}}', "expected an array"),
        ("index.json", b" " * (16 * 1024**2 + 1), "expected at most 16777216 bytes"),
        ("index.json", b"[" * 50, "is not JSON|nested"),
    ],
)
def test_a_hostile_layout_is_refused(name: str, data: bytes, problem: str, layout: Layout) -> None:
    source = layout.finish(layout.image(AMD))
    (layout.folder / name).write_bytes(data)
    with pytest.raises(SourceError, match=problem):
        _resolve(layout, source)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("oci:gone", "expected the folder of an OCI layout"),
        ("oci:", "expected a path"),
        ("layout", "a bare path is not read by this version"),
        ("docker:busybox", "expected docker://HOST/REPO"),
        ("docker://", "expected .*PATH"),
        ("docker://example.com/App", "image reference 'example.com/App': expected"),
        ("docker://registry.airbundle.invalid/app", "expected HOST"),
        ("docker-daemon:", "expected .*PATH"),
        ("oci-archive:x.tar", "oci-archive: is not read by this version"),
        ("docker-archive:gone.tar", "expected a file, found none"),
    ],
)
def test_a_source_that_is_none(source: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=problem):
        resolve_image(source, reach(tmp_path), (AMD,))


@pytest.mark.parametrize("text", ["linux", "linux/", "linux/arm/v7/x", "/amd64", ""])
def test_a_platform_that_is_none(text: str, layout: Layout) -> None:
    source = layout.finish(layout.image(AMD))
    with pytest.raises(BundlerError, match="expected os/architecture"):
        _resolve(layout, source, text)


def test_labels_of_a_config_may_differ_in_case(layout: Layout) -> None:
    value = {**platform(AMD), "config": {"Labels": {"maintainer": "a", "MAINTAINER": "b"}}}
    entry = layout.image(AMD, 0, config=layout.descriptor(CONFIG, dump(value)))
    check_complete(_resolve(layout, layout.finish(entry)))


@pytest.mark.needs("skopeo")
def test_a_layout_that_skopeo_wrote(layout: Layout, tmp_path: Path) -> None:
    source = layout.finish(named(layout.image(AMD, count=3), "app"))
    skopeo = shutil.which("skopeo")
    assert skopeo is not None
    for kind in ("oci", "v2s2"):
        target = f"oci:{tmp_path / kind}:app"
        command = [
            skopeo,
            "--insecure-policy",
            "copy",
            "--format",
            kind,
            f"oci:{layout.folder}:app",
        ]
        subprocess.run([*command, target], check=True, capture_output=True)
        image = resolve_image(f"oci:{kind}", reach(tmp_path), (AMD,))
        assert len(image.layers) == 3
        check_complete(image)
    assert _resolve(layout, source).layers
