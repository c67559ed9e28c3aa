"""What every destination promises: run on the fake, on a layout, and on a real registry."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from bundler.archive import format as fmt
from bundler.archive.layout import LayoutDestination
from bundler.core.destination import Destination
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import BundlerError, SourceError
from bundler.core.strictjson import canonical
from bundler.tools.registry import RegistryDestination
from tests.fakes.destination import MemoryDestination
from tests.parts.registry import Registry

REPOSITORY = "docker.io/library/x"
EMPTY = Descriptor.of(fmt.OCI_EMPTY, b"{}")
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"

Open = Callable[[], Destination]


@pytest.fixture(
    name="reopen",
    params=[
        "memory",
        "layout",
        pytest.param("registry", marks=pytest.mark.needs("docker-registry")),
    ],
)
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the same destination, empty at first, as often as it is called."""
    with ExitStack() as stack:
        if request.param == "memory":
            memory = MemoryDestination()
            yield lambda: memory
        elif request.param == "layout":
            yield lambda: LayoutDestination(tmp_path / "layout")
        else:
            registry: Registry = request.getfixturevalue("registry")
            address = f"{registry.host}/t{uuid.uuid4().hex}"
            yield lambda: stack.enter_context(closing(RegistryDestination(address)))


@pytest.fixture
def destination(reopen: Open) -> Destination:
    return reopen()


def blob(data: bytes) -> Descriptor:
    return Descriptor.of(fmt.OCI_LAYER, data)


def chunked(data: bytes, size: int = 1 << 20) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def put_image(destination: Destination, layer: bytes, tag: str | None) -> Descriptor:
    """An artifact of one layer, with all that it names."""
    for data, descriptor in ((b"{}", EMPTY), (layer, blob(layer))):
        if not destination.has_blob(REPOSITORY, descriptor):
            destination.put_blob(REPOSITORY, descriptor, (data,))
    manifest = canonical(
        {
            "schemaVersion": 2,
            "mediaType": fmt.OCI_MANIFEST,
            "config": EMPTY.to_json(),
            "layers": [blob(layer).to_json()],
        }
    )
    descriptor = Descriptor.of(fmt.OCI_MANIFEST, manifest)
    destination.put_manifest(REPOSITORY, tag, descriptor, manifest)
    return descriptor


def test_a_blob_is_there_after_it_was_put_and_not_before(destination: Destination) -> None:
    data = b"layer" * 1_000_000
    assert not destination.has_blob(REPOSITORY, blob(data))
    destination.put_blob(REPOSITORY, blob(data), chunked(data))
    assert destination.has_blob(REPOSITORY, blob(data))


def test_an_empty_blob_travels_too(destination: Destination) -> None:
    destination.put_blob(REPOSITORY, blob(b""), iter(()))
    assert destination.has_blob(REPOSITORY, blob(b""))


@pytest.mark.parametrize("found", [b"changed", b"expecte", b"expected and more", b""])
def test_other_bytes_are_refused_and_leave_nothing(destination: Destination, found: bytes) -> None:
    promised = blob(b"expected")
    with pytest.raises(BundlerError):
        destination.put_blob(REPOSITORY, promised, [found])
    assert not destination.has_blob(REPOSITORY, promised)


def test_a_reader_that_fails_at_its_end_leaves_nothing(destination: Destination) -> None:
    data = b"expected"

    def failing() -> Iterator[bytes]:
        yield data
        raise SourceError("the disk is gone")

    with pytest.raises(SourceError, match="the disk is gone"):
        destination.put_blob(REPOSITORY, blob(data), failing())
    assert not destination.has_blob(REPOSITORY, blob(data))


def test_a_blob_is_shared_with_another_repository_or_said_not_to_be(
    destination: Destination,
) -> None:
    data = b"shared weights"
    destination.put_blob("models/m", blob(data), (data,))
    shared = destination.mount_blob("modelpacks/m", blob(data), "models/m")
    assert destination.has_blob("modelpacks/m", blob(data)) == shared
    assert shared


def test_what_is_nowhere_cannot_be_shared(destination: Destination) -> None:
    data = b"never sent"
    assert not destination.mount_blob("modelpacks/m", blob(data), "models/m")
    assert not destination.has_blob("modelpacks/m", blob(data))


def test_a_tag_points_to_what_was_put_last(reopen: Open) -> None:
    destination = reopen()
    assert destination.tagged(REPOSITORY, "v1") is None
    first = put_image(destination, b"one", "v1")
    assert reopen().tagged(REPOSITORY, "v1") == first.digest
    second = put_image(destination, b"two", "v1")
    assert reopen().tagged(REPOSITORY, "v1") == second.digest
    assert reopen().has_manifest(REPOSITORY, first.digest)


def test_a_manifest_by_digest_alone_has_no_tag(destination: Destination) -> None:
    manifest = put_image(destination, b"child", None)
    assert destination.has_manifest(REPOSITORY, manifest.digest)
    assert not destination.has_manifest(REPOSITORY, Digest.of(b"another"))


def test_a_destination_that_can_be_written_says_nothing_and_keeps_nothing(reopen: Open) -> None:
    reopen().check_writable(REPOSITORY)
    assert not reopen().has_blob(REPOSITORY, EMPTY)
    with pytest.raises(SourceError, match="repository"):
        reopen().check_writable("Upper/case")


def test_a_layout_that_may_not_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SourceError, match="file: expected a folder that may be written"):
        LayoutDestination(tmp_path / "file" / "layout").check_writable(REPOSITORY)


def test_docker_schema_2_stays_as_it_is(destination: Destination) -> None:
    config, layer = b'{"os":"linux"}', b"gzip or not"
    types = (DOCKER_CONFIG, "application/vnd.docker.image.rootfs.diff.tar.gzip")
    descriptors = [Descriptor.of(*pair) for pair in zip(types, (config, layer), strict=True)]
    for descriptor, data in zip(descriptors, (config, layer), strict=True):
        destination.put_blob(REPOSITORY, descriptor, (data,))
    # Spaces as an upstream tool may have written them.
    data = canonical(
        {
            "schemaVersion": 2,
            "mediaType": fmt.DOCKER_MANIFEST,
            "config": descriptors[0].to_json(),
            "layers": [descriptors[1].to_json()],
        }
    ).replace(b",", b",\n   ")
    manifest = Descriptor.of(fmt.DOCKER_MANIFEST, data)
    destination.put_manifest(REPOSITORY, "docker", manifest, data)
    assert destination.tagged(REPOSITORY, "docker") == manifest.digest


@pytest.mark.parametrize("name", ["Upper/case", "", "/x", "x/", "x//y", "../x", "a:b", "x" * 256])
def test_a_repository_that_no_registry_takes_is_refused_before_a_byte_is_read(
    destination: Destination, name: str
) -> None:
    read: list[bytes] = []

    def untouched() -> Iterator[bytes]:
        read.append(b"x")
        yield b"x"

    with pytest.raises(SourceError, match="repository"):
        destination.put_blob(name, blob(b"x"), untouched())
    with pytest.raises(SourceError, match="repository"):
        destination.has_blob(name, blob(b"x"))
    assert read == []


@pytest.mark.parametrize("tag", ["", ".x", "a b", "1.0+build", "x" * 129])
def test_a_tag_that_no_registry_takes_is_refused(destination: Destination, tag: str) -> None:
    with pytest.raises(SourceError, match="tag"):
        destination.tagged(REPOSITORY, tag)
