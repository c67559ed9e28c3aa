"""Lies in indexes and manifests: as JSON, and in what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bundler.archive import format as fmt
from bundler.core import strictjson
from tests.hostile.case import IMAGE, Case, Make, change_lock
from tests.hostile.forging import Json, Parts


def json_texts() -> Iterator[Case]:
    """What JSON may not be, at the index and at a manifest."""

    def in_manifest(text: bytes) -> Make:
        def make(parts: Parts) -> bytes:
            digest = parts.entry(IMAGE)["digest"]
            data = parts.blob(digest)
            assert data.startswith(b"{")
            parts.replace(digest, b"{" + text + b"," + data[1:])
            return parts.file()

        return make

    def in_index(text: bytes) -> Make:
        def make(parts: Parts) -> bytes:
            parts.index = b"{" + text + b"," + parts.index[1:]
            return parts.file()

        return make

    texts = {
        "a key twice": b'"layers":[]',
        "a key twice, escaped": b'"l\\u0061yers":[]',
        "keys that differ in case": b'"Layers":[]',
        "a known key in another case alone": b'"Subject":{}',
        "a known key with a long s": '"\u017fubject":{}'.encode(),
        "unknown keys that differ in case": b'"x":1,"X":2',
        "unknown keys that differ by a Kelvin sign": '"k":1,"\u212a":2'.encode(),
        "a fraction": b'"x":1.0',
        "an exponent": b'"x":1e2',
        "a huge number": b'"x":' + 400 * b"9",
        "a number beyond 2^53": b'"x":9007199254740992',
        "a leading zero": b'"x":01',
        "NaN": b'"x":NaN',
        "half of a surrogate pair": b'"x":"\\ud800"',
        "the other half alone": b'"x":"\\udc00 "',
        "a control character": b'"x":"\x01"',
        "bytes that are no UTF-8": b'"x":"\xff"',
        "deep nesting": b'"x":' + 32 * b"[" + 32 * b"]",
        "very deep nesting": b'"x":' + 100_000 * b"[" + 100_000 * b"]",
        "manifests and layers": b'"manifests":[]',
        "a single quote": b"'x':1",
    }
    for name, text in texts.items():
        yield Case(f"manifest: {name}", "integrity", in_manifest(text))
    for name, text in {
        "a key twice": b'"schemaVersion":2',
        "a key in another case": b'"Manifests":[]',
        "layers": b'"layers":[]',
        "config": b'"config":{}',
        "deep nesting": b'"x":' + 40 * b"[" + 40 * b"]",
        "a huge number": b'"x":123456789012345678901234567890',
    }.items():
        yield Case(f"index: {name}", "integrity", in_index(text))

    def bom(parts: Parts) -> bytes:
        parts.index = b"\xef\xbb\xbf" + parts.index
        return parts.file()

    def trailing(parts: Parts) -> bytes:
        parts.index += b"{}"
        return parts.file()

    def no_object(parts: Parts) -> bytes:
        parts.index = b"[]"
        return parts.file()

    def no_object_in_a_manifest(parts: Parts) -> bytes:
        parts.replace(parts.entry(IMAGE)["digest"], b"[0]")
        return parts.file()

    for make in (bom, trailing, no_object, no_object_in_a_manifest):
        yield Case(f"index: {make.__name__}", "integrity", make)


def manifests() -> Iterator[Case]:
    """What an index, a manifest and a descriptor may not say."""

    def image(edit: Callable[[Json], object]) -> Make:
        def make(parts: Parts) -> bytes:
            parts.edit(IMAGE, edit)
            return parts.file()

        return make

    def layer(**members: object) -> Make:
        return image(lambda m: m["layers"][0].update(members))

    foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    far = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    edits: dict[str, Make] = {
        "a lying media type": image(lambda m: m.update(mediaType=fmt.DOCKER_MANIFEST)),
        "a media type that is null": image(lambda m: m.update(mediaType=None)),
        "schema version 1": image(lambda m: m.update(schemaVersion=1)),
        "schema version as a string": image(lambda m: m.update(schemaVersion="2")),
        "no config": image(lambda m: m.pop("config")),
        "no layers": image(lambda m: m.pop("layers")),
        "layers that are null": image(lambda m: m.update(layers=None)),
        "a media type that is a number": layer(mediaType=1),
        "a digest that is a number": layer(digest=1),
        "annotations that are no object": layer(annotations=[]),
        "a descriptor's artifact type that is no string": layer(artifactType=1),
        "a descriptor's key in another case": layer(URLs=[]),
        "a foreign layer": layer(mediaType=foreign),
        "a layer that is not distributed": layer(mediaType=far),
        "a layer that is a manifest": layer(mediaType=fmt.OCI_MANIFEST),
        "a config that is an index": image(lambda m: m["config"].update(mediaType=fmt.OCI_INDEX)),
        "urls": layer(urls=["https://example.com/x"]),
        "no urls": layer(urls=[]),
        "data": layer(data="eA=="),
        "a size that is negative": layer(size=-1),
        "a size that is too large": layer(size=2**53 - 1),
        "a digest in capitals": image(
            lambda m: m["layers"][0].update(digest=m["layers"][0]["digest"].upper())
        ),
        "a sha512": layer(digest="sha512:" + 128 * "0"),
        "a digest that leaves its folder": layer(digest="sha256:../../../../etc/passwd"),
        "annotations that are no strings": layer(annotations={"a": 1}),
        "a descriptor that is no object": image(lambda m: m["layers"].append("x")),
        "an artifact type that is no string": image(lambda m: m.update(artifactType=1)),
        "a platform that is no object": image(lambda m: m["config"].update(platform="linux")),
    }
    for name, make in edits.items():
        yield Case(f"manifest: {name}", "integrity", make)
    yield from _index_cases()
    for make in (
        two_sizes,
        manifest_as_layer,
        size_that_is_true,
        layers_that_are_an_object,
        unknown_media_type_on_both_sides,
        docker_manifest_without_media_type,
        docker_list_without_media_type,
        too_large,
        too_much_metadata,
    ):
        yield Case(f"manifest: {make.__name__}", "integrity", make)
    yield Case("manifest: nested_too_deep", "integrity", lambda parts: nested(parts, 5))


def _index_cases() -> Iterator[Case]:
    def index(edit: Callable[[Json], object]) -> Make:
        def make(parts: Parts) -> bytes:
            parts.edit_index(edit)
            return parts.file()

        return make

    edits: dict[str, Make] = {
        "no media type": index(lambda v: v.pop("mediaType")),
        "another media type": index(lambda v: v.update(mediaType=fmt.DOCKER_LIST)),
        "schema version 1": index(lambda v: v.update(schemaVersion=1)),
        "manifests that are null": index(lambda v: v.update(manifests=None)),
        "an artifact type that is no string": index(lambda v: v.update(artifactType=[])),
    }
    for name, make in edits.items():
        yield Case(f"index: {name}", "integrity", make)


def two_sizes(parts: Parts) -> bytes:
    parts.edit(IMAGE, lambda m: m["layers"].append(m["layers"][0] | {"size": 1}))
    return parts.file()


def manifest_as_layer(parts: Parts) -> bytes:
    top = parts.entry("models/")
    copy = {"mediaType": fmt.OCI_LAYER, "digest": top["digest"], "size": top["size"]}
    parts.edit(IMAGE, lambda m: m["layers"].append(copy))
    return parts.file()


def size_that_is_true(parts: Parts) -> bytes:
    """Equal to 1 in Python, and no number in Go."""
    parts.replace(parts.manifest(IMAGE)["layers"][0]["digest"], b"x")
    parts.edit(IMAGE, lambda m: m["layers"][0].update(size=True))
    return parts.file()


def layers_that_are_an_object(parts: Parts) -> bytes:
    parts.edit(IMAGE, lambda m: m.update(layers={}))
    return parts.arrange().file()


def change_type(parts: Parts, name: str, media_type: str) -> None:
    """Another media type for the manifest of an entry, in it and in the index."""
    parts.edit(name, lambda m: m.update(mediaType=media_type))
    at = parts.entry(name)["digest"]

    def retype(index: Json) -> None:
        next(e for e in index["manifests"] if e["digest"] == at)["mediaType"] = media_type

    parts.edit_index(retype)


def unknown_media_type_on_both_sides(parts: Parts) -> bytes:
    change_type(parts, IMAGE, "text/plain")
    return parts.file()


def docker_manifest_without_media_type(parts: Parts) -> bytes:
    change_type(parts, IMAGE, fmt.DOCKER_MANIFEST)
    parts.edit(IMAGE, lambda m: m.pop("mediaType"))
    return parts.file()


def padded(parts: Parts, size: int) -> bytes:
    """The image's manifest brought to `size` bytes with spaces."""
    digest = parts.entry(IMAGE)["digest"]
    parts.replace(digest, parts.blob(digest).ljust(size))
    return parts.file()


def too_large(parts: Parts) -> bytes:
    return padded(parts, fmt.MAX_MANIFEST + 1)


def too_much_metadata(parts: Parts) -> bytes:
    return metadata_of(parts, fmt.MAX_METADATA + 1)


def metadata_of(parts: Parts, size: int) -> bytes:
    """The image's config so long that all metadata together have `size` bytes."""
    layers = {layer["digest"] for name in (IMAGE, "models/", "files/")
              for layer in parts.manifest(name)["layers"]}  # fmt: skip
    length = 0
    # Twice: what names the config grows with the digits of its size.
    for _ in range(2):
        parts.replace(parts.manifest(IMAGE)["config"]["digest"], bytes(length))
        found = sum(len(data) for name, data in parts.blobs if f"sha256:{name[-64:]}" not in layers)
        length = size - (found - length)
        parts.replace(parts.manifest(IMAGE)["config"]["digest"], bytes(length))
    return parts.file()


def docker_list(parts: Parts) -> bytes:
    """The image in a docker manifest list."""
    return nested(parts, 1, fmt.DOCKER_LIST, mediaType=fmt.DOCKER_LIST)


def docker_list_without_media_type(parts: Parts) -> bytes:
    return nested(parts, 1, fmt.DOCKER_LIST)


def nested(parts: Parts, depth: int, kind: str = fmt.OCI_INDEX, **members: str) -> bytes:
    """The image below `depth` indexes, its entry among them, and the lock in agreement."""
    top = parts.entry(IMAGE)
    child = {key: top[key] for key in ("mediaType", "digest", "size")}
    for _ in range(depth):
        index = strictjson.canonical({"schemaVersion": 2, "manifests": [child], **members})
        child = {"mediaType": kind, **parts.add(index)}
    name = f"{IMAGE}@{child['digest']}"
    locked = {"entry": name, "digest": child["digest"], "size": child["size"]}
    change_lock(parts, lambda lock: lock["images"][0].update(locked))

    def point(index: Json) -> None:
        entry = index["manifests"][1]
        entry.update(child)
        entry["annotations"][fmt.REF_NAME] = name

    parts.edit_index(point)
    return parts.arrange().file()
