"""Container images from disk, by the scheme of their source."""

from __future__ import annotations

from pathlib import Path

from bundler.core.errors import SourceError
from bundler.core.progress import SILENT, Progress
from bundler.sources import docker_archive, oci_layout
from bundler.sources.source_image import SourceImage
from bundler.sources.tree import below

__all__ = ["SourceImage", "check_source", "resolve_image"]


def resolve_image(
    source: str, root: Path, platforms: tuple[str, ...], progress: Progress = SILENT
) -> SourceImage:
    """The image at `source` for every one of `platforms`; paths are relative to `root`.

    ``oci:DIR[:REF]`` is an image of an OCI layout, ``docker-archive:FILE[:NAME]`` of what
    `docker save` wrote; REF or NAME is needed when there are several. DIR and FILE hold no colon.

    All platforms of an index: the index itself, byte for byte, attestations included; several: an
    index derived from it; one: that platform's manifest. SourceError for an input that is missing,
    not understood or not for a platform that was asked for; IntegrityError for a blob that has
    another digest than it should.
    """
    scheme, path, name = check_source(source)
    if not platforms:
        raise SourceError(f"image source {source!r}: expected at least one platform")
    location = below(root, path)
    if scheme == "oci":
        return oci_layout.resolve(location, name or None, platforms)
    return docker_archive.resolve(location, name or None, platforms, progress)


def check_source(source: str) -> tuple[str, str, str]:
    """The scheme, path and name ("" when there is none) of `source`; nothing is looked up.

    SourceError for another scheme, and without a path.
    """
    scheme, _, rest = source.partition(":")
    path, _, name = rest.partition(":")
    if scheme not in ("oci", "docker-archive"):
        kind = f"{scheme}:" if rest else "a bare path"
        raise SourceError(
            f"image source {source!r}: {kind} is not read by this version",
            "use oci:DIR[:REF] or docker-archive:FILE[:NAME]",
        )
    if not path:
        raise SourceError(f"image source {source!r}: expected a path")
    return scheme, path, name
