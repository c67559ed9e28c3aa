"""``docker-daemon:NAME[:TAG]``: an image of the Docker engine on this machine.

The engine is asked for the name's id; what it saves of that id is kept in the store and read as
`docker_archive` reads it. An id never stands for another image, so it is saved once.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bundler.archive.newfile import new_file
from bundler.archive.store import Store
from bundler.core.digest import Digest
from bundler.core.progress import Progress
from bundler.core.reference import ImageReference
from bundler.sources import docker_archive
from bundler.sources.remote import Reach
from bundler.sources.source_image import SourceImage
from bundler.tools.docker_engine import DockerEngine

_NAME = "image.tar"


def resolve(
    reference: ImageReference,
    reach: Reach,
    asked: tuple[str, ...],
    progress: Progress,
    known: Digest | None,
) -> SourceImage:
    """The image that the engine has under `reference`, or under the id `known`; see `images`.

    Its `resolved` is the engine's id. An image that was saved before is not asked for again.
    """
    image = known or _find(str(reference))[0]
    with reach.store.staging(f"docker-daemon {image}") as folder:
        archive = folder / _NAME
        if not archive.exists():
            _save(image, archive, reach.store, progress)
    return replace(docker_archive.resolve(archive, None, asked, progress), resolved=image)


def _find(name: str) -> tuple[Digest, int]:
    with DockerEngine() as engine:
        return engine.image(name)


def _save(image: Digest, archive: Path, store: Store, progress: Progress) -> None:
    size = _find(str(image))[1]
    store.require_room(size)
    progress.phase(f"saving {image}", size)
    offset = 0
    with DockerEngine() as engine, new_file(archive) as file:
        file.clear(0)
        for chunk in engine.save(image):
            file.write_at(chunk, offset)
            offset += len(chunk)
            progress.advance(len(chunk))
