"""Images that no layout should hold, each with what the refusal says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.sources.layouts import (
    CONFIG,
    DOCKER_MANIFEST,
    LAYER,
    MANIFEST,
    Json,
    Layout,
    platform,
    sha256,
)

AMD, ARM, ARMV7 = "linux/amd64", "linux/arm64", "linux/arm/v7"

Make = Callable[[Layout], Json]


def _descriptor(**change: Any) -> Make:
    """An image of which the descriptor of the first layer is changed."""

    def image(layout: Layout) -> Json:
        layers = [{**layout.descriptor(LAYER, b"first"), **change}]
        return _image(layout, layers=layers)

    return image


def _image(layout: Layout, **change: Any) -> Json:
    return layout.image(AMD, 0, **change)


def _config(data: bytes, kind: str = CONFIG) -> Make:
    return lambda layout: _image(layout, config=layout.descriptor(kind, data))


def _raw_manifest(text: str) -> Make:
    """A manifest of which `text` follows the opening brace."""

    def image(layout: Layout) -> Json:
        whole = layout.image(AMD)
        data = (layout.folder / "blobs" / "sha256" / whole["digest"][7:]).read_bytes()
        return layout.descriptor(MANIFEST, b"{" + text.encode() + b"," + data[1:])

    return image


REFUSED: dict[str, tuple[Make, str]] = {
    "foreign layer": (
        _descriptor(mediaType="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
        "foreign layer",
    ),
    "nondistributable layer": (
        _descriptor(mediaType="application/vnd.oci.image.layer.nondistributable.v1.tar"),
        "foreign layer",
    ),
    "layer with urls": (_descriptor(urls=["https://example.com"]), "may not have 'urls'"),
    "layer with empty urls": (_descriptor(urls=[]), "may not have 'urls'"),
    "layer with data": (_descriptor(data="eA=="), "may not have 'data'"),
    "layer of an unknown type": (
        _descriptor(mediaType="application/vnd.oci.image.layer.v1.tar+xz"),
        "media type .* is not read",
    ),
    "layer that is a manifest": (_descriptor(mediaType=MANIFEST), "may not be of type"),
    "layer of another size": (_descriptor(size=7), "expected 7 bytes, found 5"),
    "layer that is missing": (
        _descriptor(digest=sha256(b"gone"), size=4),
        "expected a file, found none",
    ),
    "layer by sha512": (_descriptor(digest="sha512:" + "0" * 128), "expected sha256"),
    "layer of negative size": (_descriptor(size=-1), "expected a size from 0"),
    "config of an artifact": (
        _config(b"{}", "application/vnd.oci.empty.v1+json"),
        "media type .* is not read",
    ),
    "config that is no JSON": (_config(b"nonsense"), "is not JSON"),
    "config with a key twice": (
        _config(b'{"os": "linux", "architecture": "arm64", "architecture": "amd64"}'),
        "a key stands twice",
    ),
    "config with a key in other case": (
        _config(b'{"os": "linux", "architecture": "amd64", "Architecture": "arm64"}'),
        "but Go reads it so",
    ),
    "config without a platform": (_config(b'{"os": "linux"}'), "expected a platform"),
    "config with a number for a platform": (
        _config(b'{"os": "linux", "architecture": 64}'),
        "expected a platform",
    ),
    "config nested deeply": (_config(b"[" * 100_000), "is not JSON"),
    "config that is empty": (_config(b""), "expected 1 to 4194304 bytes"),
    "config that is too large": (_config(b" " * (4 * 1024**2 + 1)), "expected 1 to 4194304 bytes"),
    "manifest with Layers": (_raw_manifest('"Layers": []'), "stands twice|but Go reads it so"),
    "manifest with a key twice": (_raw_manifest('"layers": []'), "stands twice"),
    "manifest with manifests": (
        lambda layout: _image(layout, manifests=[]),
        "may not have 'manifests'",
    ),
    "manifest of another media type": (
        lambda layout: _image(layout, mediaType=DOCKER_MANIFEST),
        "its descriptor says",
    ),
    "manifest of schema version 1": (
        lambda layout: _image(layout, schemaVersion=1),
        "expected schemaVersion 2",
    ),
    "docker schema 1": (
        lambda layout: layout.descriptor(
            "application/vnd.docker.distribution.manifest.v1+prettyjws", b'{"schemaVersion": 1}'
        ),
        "expected an image's manifest or index, found .*manifest.v1",
    ),
    "artifact": (
        lambda layout: _image(layout, artifactType="application/vnd.airbundle.bundle.v1+json"),
        "expected an image, found artifact",
    ),
    "nested index": (
        lambda layout: layout.index(layout.index(layout.child(AMD))),
        "an index inside of",
    ),
    "empty index": (lambda layout: layout.index(), "there is no platform"),
    "index with layers": (
        lambda layout: layout.index(layout.child(AMD), layers=[]),
        "may not have 'layers'",
    ),
    "two images for a platform": (
        lambda layout: layout.index(
            layout.child(AMD), {**layout.image(AMD, 3), "platform": platform(AMD)}
        ),
        "two images for one platform",
    ),
    "two images for a platform and its default variant": (
        lambda layout: layout.index(
            layout.child(AMD), layout.child(ARM), layout.child("linux/arm64/v8")
        ),
        "two images for one platform",
    ),
    "index that lies about a platform": (
        lambda layout: layout.index({**layout.image(ARM), "platform": platform(AMD)}),
        "its index says linux/amd64, its config linux/arm64",
    ),
    "index with a platform that is none": (
        lambda layout: layout.index({**layout.image(AMD), "platform": {"os": "linux"}}),
        "expected a platform",
    ),
    "index with an artifact": (
        lambda layout: layout.index(
            layout.child(AMD),
            {**_image(layout, artifactType="x/y"), "platform": platform("unknown/unknown")},
        ),
        "expected an attestation, found 'x/y'",
    ),
}
