"""The walk: what is reached, in which order, and what an index or manifest may not be."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from bundler.archive import format as fmt
from bundler.archive.walk import Walk, parse_index, parse_node, walk
from bundler.core import strictjson
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError

Json = dict[str, Any]


class Blobs:
    """Blobs by digest, and in which order they were asked for."""

    def __init__(self) -> None:
        self.known: dict[Digest, bytes] = {}
        self.fetched: list[bytes] = []

    def put(self, data: bytes, media_type: str, **members: object) -> Json:
        self.known[Digest.of(data)] = data
        return Descriptor.of(media_type, data).to_json() | members

    def manifest(self, config: bytes, *layers: bytes, **members: object) -> Json:
        value = {
            "schemaVersion": 2,
            "config": self.put(config, fmt.OCI_CONFIG),
            "layers": [self.put(layer, fmt.OCI_LAYER) for layer in layers],
        }
        return self.put(strictjson.canonical(value), fmt.OCI_MANIFEST, **members)

    def index(self, *manifests: Json, **members: object) -> Json:
        value = {"schemaVersion": 2, "manifests": list(manifests)}
        return self.put(strictjson.canonical(value), fmt.OCI_INDEX, **members)

    def fetch(self, descriptor: Descriptor, owner: str) -> bytes:
        self.fetched.append(self.known[descriptor.digest])
        return self.known[descriptor.digest]

    def walk(self, *entries: Json) -> Walk:
        value = {"schemaVersion": 2, "mediaType": fmt.OCI_INDEX, "manifests": list(entries)}
        return walk(strictjson.canonical(value), self.fetch)


def named(name: str) -> Json:
    return {"annotations": {fmt.REF_NAME: name}}


@pytest.fixture
def blobs() -> Blobs:
    return Blobs()


def test_metadata_first_then_layers_each_where_it_is_first_named(blobs: Blobs) -> None:
    shared = blobs.manifest(b"config 1", b"layer 1", b"layer 2")
    other = blobs.manifest(b"config 2", b"layer 2", b"layer 3")
    bundle = blobs.manifest(b"bundle config", b"lock", b"layer 3", **named("bundle"))
    found = blobs.walk(
        bundle,
        blobs.index(shared, other, **named("host/image")),
        shared | named("host/again"),
    )
    contents = [data for data in blobs.fetched if not data.startswith(b"{")]
    assert contents == [b"bundle config", b"lock", b"layer 3", b"config 1", b"config 2"]
    assert len(blobs.fetched) == 4 + len(contents)
    assert list(found.metadata.values()) == blobs.fetched
    assert list(found.blobs) == [Digest.of(b"layer 1"), Digest.of(b"layer 2")]
    assert [each.annotations[fmt.REF_NAME] for each in found.entries] == [
        "bundle",
        "host/image",
        "host/again",
    ]


def test_every_blob_has_an_owner(blobs: Blobs) -> None:
    manifest = blobs.manifest(b"config", b"layer")
    found = blobs.walk(
        blobs.manifest(b"bundle config", **named("bundle")),
        blobs.index(manifest, **named("host/image")),
    )
    inside = f"host/image: manifest {manifest['digest']}"
    assert str(found.owners[Digest.of(b"layer")]) == f"{inside}: layer 0"
    assert str(found.owners[Digest.of(b"config")]) == inside
    assert str(found.owners[Digest.parse(manifest["digest"])]) == inside


def test_metadata_together_have_a_bound(blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each digest counts once, layers don't."""
    entry = blobs.manifest(b"config", b"a layer that is longer than all bounds", **named("host/x"))
    bundle = blobs.manifest(b"bundle config", b"lock", b"config", **named("bundle"))
    blobs.walk(bundle, entry)
    size = sum(map(len, blobs.fetched))
    assert fmt.MAX_METADATA == 67_108_864
    monkeypatch.setattr(fmt, "MAX_METADATA", size)
    assert len(blobs.walk(bundle, entry).blobs) == 1
    monkeypatch.setattr(fmt, "MAX_METADATA", size - 1)
    with pytest.raises(IntegrityError, match="host/x: manifests, configs and bundle layers exceed"):
        blobs.walk(bundle, entry)


def test_the_bounds_are_those_of_the_format_page() -> None:
    assert (fmt.MAX_INDEX, fmt.MAX_MANIFEST, fmt.MAX_NESTING) == (16_777_216, 4_194_304, 4)


def manifest(**members: object) -> bytes:
    value = {
        "schemaVersion": 2,
        "config": Descriptor.of(fmt.OCI_CONFIG, b"config").to_json(),
        "layers": [Descriptor.of(fmt.OCI_LAYER, b"layer").to_json() | members],
    }
    return json.dumps(value).encode()


@pytest.mark.parametrize("size", [0, 1, 2**53 - 1])
def test_a_size_may_be_anything_that_json_can_say(size: int) -> None:
    node = parse_node(manifest(size=size), fmt.OCI_MANIFEST, "m")
    assert node.layers[0].descriptor.size == size


@pytest.mark.parametrize("size", [-1, True, None, "5", 2**53])
def test_any_other_size_is_refused(size: object) -> None:
    with pytest.raises(IntegrityError, match=r"^m(: layers\[0\]: expected a size|: number)"):
        parse_node(manifest(size=size), fmt.OCI_MANIFEST, "m")


@pytest.mark.parametrize("digest", [f"sha256:{64 * 'A'}", f"sha512:{128 * '0'}", 64 * "0", ""])
def test_a_digest_in_another_form_is_refused(digest: str) -> None:
    with pytest.raises(IntegrityError, match="expected sha256:<64 hex digits>"):
        parse_node(manifest(digest=digest), fmt.OCI_MANIFEST, "m")


def test_what_a_descriptor_may_have_is_kept() -> None:
    data = manifest(annotations={"a": "b"}, artifactType="x/y", platform={"os": "linux"}, other=[])
    layer = parse_node(data, fmt.OCI_MANIFEST, "m").layers[0]
    assert (layer.annotations, layer.artifact_type, layer.platform) == (
        {"a": "b"},
        "x/y",
        {"os": "linux"},
    )


def test_a_foreign_layer_comes_with_advice() -> None:
    data = manifest(mediaType="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")
    with pytest.raises(IntegrityError, match="is a foreign layer") as refused:
        parse_node(data, fmt.OCI_MANIFEST, "m")
    assert refused.value.hint == "rebuild the image on a base without foreign layers"


@pytest.mark.parametrize(
    ("parse", "data"),
    [
        (lambda data: parse_node(data, fmt.OCI_MANIFEST, "m"), b"null"),
        (lambda data: parse_node(data, fmt.OCI_MANIFEST, "m"), b'["schemaVersion"]'),
        (parse_index, b"null"),
        (parse_index, b'"mediaType"'),
    ],
)
def test_what_is_no_object_is_refused(parse: Callable[[bytes], object], data: bytes) -> None:
    with pytest.raises(IntegrityError, match=r"(m|index\.json): expected"):
        parse(data)
