"""What a registry's answer has to be, to be read as a bundle's artifact."""

from __future__ import annotations

import json

import pytest

from bundler.archive import format as fmt
from bundler.cluster.push import ARTIFACT_TYPE
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError
from bundler.released import _layers

DIGEST = Digest.of(b"x")


def manifest(size: object) -> bytes:
    layer = {
        "mediaType": "x/y",
        "digest": str(DIGEST),
        "size": size,
        "annotations": {fmt.TITLE: "one"},
    }
    return json.dumps({"artifactType": ARTIFACT_TYPE, "layers": [layer]}).encode()


def test_layers_are_read() -> None:
    assert _layers(manifest(10), "here") == [("one", Descriptor("x/y", DIGEST, 10))]


@pytest.mark.parametrize("size", ["10", None, -5, True])
def test_a_layer_of_no_size_is_refused(size: object) -> None:
    with pytest.raises(IntegrityError, match=r"here: expected a bundle's artifact, .* the size '"):
        _layers(manifest(size), "here")
