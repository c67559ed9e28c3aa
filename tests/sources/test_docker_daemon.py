"""Images out of the Docker engine: the same each time, saved once, whatever the name means now."""

from __future__ import annotations

import gc
import tarfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from bundler.core.digest import Digest
from bundler.core.errors import SourceError
from bundler.sources.images import SourceImage, resolve_image
from bundler.tools.docker_engine import DockerEngine
from tests.parts.images import make_docker_archive
from tests.sources.layouts import layer_tar, reach

AMD = "linux/amd64"
NAME = "airbundle-test/busybox"
SOURCE = f"docker-daemon:{NAME}"
NEEDS = pytest.mark.needs("root", "dockerd", "busybox")


@pytest.fixture
def engine(docker_engine: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[docker.DockerClient]:
    monkeypatch.setenv("DOCKER_HOST", docker_engine)
    client = docker.DockerClient(base_url=docker_engine)
    yield client
    client.close()


@pytest.fixture
def loaded(engine: docker.DockerClient, tmp_path: Path) -> Digest:
    """The id of the image that the engine has as NAME."""
    made = Digest.parse(make_docker_archive(tmp_path / "made.tar"))
    engine.images.load((tmp_path / "made.tar").read_bytes())
    return made


def _resolve(folder: Path, known: Digest | None = None, source: str = SOURCE) -> SourceImage:
    return resolve_image(source, reach(folder), (AMD,), known=known)


def _contents(image: SourceImage) -> dict[Digest, bytes]:
    digests = [*image.metadata, *(layer.digest for layer in image.layers)]
    found = {}
    for digest in digests:
        with image.open(digest) as stream:
            found[digest] = stream.read()
    return found


@NEEDS
def test_two_saves_give_the_same_image(loaded: Digest, tmp_path: Path) -> None:
    one, two = _resolve(tmp_path / "1"), _resolve(tmp_path / "2")
    assert one.resolved == two.resolved == loaded
    assert one.descriptor == two.descriptor
    assert one.platforms == ((AMD, one.descriptor.digest),)
    assert one.remotes == ()
    assert len(one.layers) == 3
    assert _contents(one) == _contents(two)
    assert all(Digest.of(data) == digest for digest, data in _contents(one).items())


@NEEDS
def test_it_is_the_image_that_docker_save_wrote(loaded: Digest, tmp_path: Path) -> None:
    archive = resolve_image("docker-archive:made.tar", reach(tmp_path), (AMD,))
    assert _resolve(tmp_path).descriptor == archive.descriptor


@NEEDS
def test_a_name_that_moves_after_the_lock_changes_nothing(
    loaded: Digest, engine: docker.DockerClient, tmp_path: Path
) -> None:
    before = _resolve(tmp_path / "1")
    with tarfile.open(tmp_path / "other.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("other"))
    engine.images.get(NAME).tag("airbundle-test/kept", "1")
    engine.api.import_image_from_data(
        (tmp_path / "other.tar").read_bytes(), repository=NAME, tag="latest"
    )
    assert _resolve(tmp_path / "2").descriptor != before.descriptor
    assert _resolve(tmp_path / "3", loaded).descriptor == before.descriptor


@NEEDS
def test_an_imported_tar_is_an_image(engine: docker.DockerClient, tmp_path: Path) -> None:
    layer = layer_tar("imported")
    engine.api.import_image_from_data(layer, repository="airbundle-test/imported", tag="1")
    image = _resolve(tmp_path, source="docker-daemon:airbundle-test/imported:1")
    assert layer in _contents(image).values()


@NEEDS
def test_what_was_saved_before_needs_no_engine(
    loaded: Digest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _resolve(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody")
    assert _resolve(tmp_path, loaded).descriptor == before.descriptor


@NEEDS
def test_a_save_that_was_cut_off_is_done_again(
    loaded: Digest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: DockerEngine, image: Digest) -> Iterator[bytes]:
        yield b"x" * 5000
        raise SourceError("the engine went away")

    with monkeypatch.context() as patched:
        patched.setattr(DockerEngine, "save", broken)
        with pytest.raises(SourceError, match="went away"):
            _resolve(tmp_path)
    assert len(_resolve(tmp_path).layers) == 3


@NEEDS
@pytest.mark.parametrize(
    ("source", "known"),
    [("docker-daemon:airbundle-test/gone:1", None), (SOURCE, Digest.of(b"gone"))],
)
def test_an_image_that_the_engine_lacks_is_named(
    source: str, known: Digest | None, engine: docker.DockerClient, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=r"image .*: the Docker engine has none") as caught:
        _resolve(tmp_path, known, source)
    assert caught.value.hint


# The SDK leaves a socket open that it could not connect; here it is collected.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_engine_that_does_not_run_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody")
    problem = f"^Docker engine at unix://{tmp_path}/nobody: expected a socket, found none$"
    with pytest.raises(SourceError, match=problem) as caught:
        _resolve(tmp_path)
    assert "DOCKER_HOST" in str(caught.value.hint)
    del caught
    gc.collect()
