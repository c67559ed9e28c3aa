"""What every registry that is pulled from promises: the demo's little one, and a real one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import SourceError
from bundler.tools.registry import RegistrySource
from tests.parts.images import make_oci_layout
from tests.parts.littleregistry import running_little_registry
from tests.parts.registry import Registry
from tests.pushed import put_image

REPOSITORY, TAG = "team/server", "1.0"


@dataclass(frozen=True)
class Served:
    """An image of the layout in `folder`, its top manifest, and the registry that has it."""

    source: RegistrySource
    folder: Path
    top: Digest

    def blob(self, digest: str) -> bytes:
        return (self.folder / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes()


@pytest.fixture(params=["little", pytest.param("real", marks=pytest.mark.needs("docker-registry"))])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    folder = tmp_path / "layout"
    top = Digest.parse(make_oci_layout(folder))
    if request.param == "little":
        with (
            running_little_registry({f"{REPOSITORY}:{TAG}": folder}) as host,
            closing(RegistrySource(host)) as source,
        ):
            yield Served(source, folder, top)
        return
    registry: Registry = request.getfixturevalue("registry")
    put_image(registry.host, REPOSITORY, TAG, folder, top)
    with closing(RegistrySource(registry.host)) as source:
        yield Served(source, folder, top)


def layers(served: Served) -> list[Descriptor]:
    manifest = json.loads(served.blob(str(served.top)))
    return [
        Descriptor(each["mediaType"], Digest.parse(each["digest"]), each["size"])
        for each in manifest["layers"]
    ]


@pytest.mark.parametrize("by", ["tag", "digest"])
def test_a_manifest_by_tag_and_by_digest(served: Served, by: str) -> None:
    reference = TAG if by == "tag" else str(served.top)
    media_type, data = served.source.manifest(REPOSITORY, reference)
    assert data == served.blob(str(served.top))
    assert media_type == json.loads(data)["mediaType"]


@pytest.mark.parametrize("reference", ["2.0", f"sha256:{64 * '0'}"])
def test_a_manifest_that_is_not_there(served: Served, reference: str) -> None:
    with pytest.raises(SourceError, match=REPOSITORY):
        served.source.manifest(REPOSITORY, reference)


def test_a_repository_that_is_not_there(served: Served) -> None:
    with pytest.raises(SourceError, match="team/client"):
        served.source.manifest("team/client", TAG)


def test_a_blob_from_its_beginning_and_from_the_middle(served: Served) -> None:
    for layer in layers(served):
        whole = served.blob(str(layer.digest))
        assert b"".join(served.source.blob(REPOSITORY, layer, 0)) == whole
        half = layer.size // 2
        assert b"".join(served.source.blob(REPOSITORY, layer, half)) == whole[half:]


def test_a_blob_that_is_not_there(served: Served) -> None:
    with pytest.raises(SourceError, match=str(Digest.of(b"nothing"))):
        list(served.source.blob(REPOSITORY, Descriptor.of("x", b"nothing"), 0))
