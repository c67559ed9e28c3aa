"""Container images, by the scheme of their source."""

from __future__ import annotations

from bundler.core.digest import Digest
from bundler.core.errors import SourceError, UsageError
from bundler.core.progress import SILENT, Progress
from bundler.core.reference import ImageReference, Registry
from bundler.sources.remote import Reach
from bundler.sources.source_image import LOADER, SourceImage
from bundler.sources.tree import below

__all__ = ["SourceImage", "check_source", "resolve_image"]

_ON_DISK = ("oci", "docker-archive")
_BY_NAME = ("docker-daemon", "docker")


def resolve_image(
    source: str,
    reach: Reach,
    platforms: tuple[str, ...],
    progress: Progress = SILENT,
    known: Digest | None = None,
) -> SourceImage:
    """The image at `source` for every one of `platforms`.

    ``oci:DIR[:REF]`` is an image of an OCI layout, ``docker-archive:FILE[:NAME]`` of what
    `docker save` wrote; REF or NAME is needed when there are several. DIR and FILE hold no colon.
    ``docker-daemon:NAME[:TAG]`` is an image of the Docker engine, ``docker://REFERENCE`` of a
    registry; of these, what is `known` from a lock is asked for, not what a tag stands for now.
    ``loader:FILE@DIGEST+SOURCE`` is that of `bundler.sources.loader`, on the image at SOURCE.

    All platforms of an index: the index itself, byte for byte, attestations included; several: an
    index derived from it; one: that platform's manifest. SourceError for an input that is missing,
    not understood or not for a platform that was asked for; IntegrityError for a blob that has
    another digest than it should.
    """
    # Each takes its time to load, and few bundles need them all.
    if source.startswith(LOADER):
        from bundler.sources import loader

        def base(below: str) -> SourceImage:
            return resolve_image(below, reach, platforms, progress, known)

        return loader.resolve(source, reach.root, platforms, base)
    scheme, rest, name = check_source(source)
    if not platforms:
        raise SourceError(f"image source {source!r}: expected at least one platform")
    if scheme == "docker":
        from bundler.sources import registry

        return registry.resolve(ImageReference.parse(rest), reach, platforms, known)
    if scheme == "docker-daemon":
        from bundler.sources import docker_daemon

        reference = ImageReference.parse(rest).with_default_tag()
        return docker_daemon.resolve(reference, reach, platforms, progress, known)
    location = below(reach.root, rest)
    if scheme == "oci":
        from bundler.sources import oci_layout

        return oci_layout.resolve(location, name or None, platforms)
    from bundler.sources import docker_archive

    return docker_archive.resolve(location, name or None, platforms, progress)


def check_source(source: str) -> tuple[str, str, str]:
    """The scheme, path and name ("" when there is none) of `source`; nothing is looked up.

    Of an image by its name, that is the path. SourceError for another scheme, without a path, and
    for a name that is none.
    """
    scheme, _, rest = source.partition(":")
    if scheme in _BY_NAME:
        return scheme, _check_name(source, scheme, rest), ""
    path, _, name = rest.partition(":")
    if scheme not in _ON_DISK:
        kind = f"{scheme}:" if rest else "a bare path"
        raise SourceError(
            f"image source {source!r}: {kind} is not read by this version",
            "use docker://HOST/REPO:TAG, docker-daemon:NAME:TAG, oci:DIR[:REF] or "
            "docker-archive:FILE[:NAME]",
        )
    if not path:
        raise SourceError(f"image source {source!r}: expected a path")
    return scheme, path, name


def _check_name(source: str, scheme: str, rest: str) -> str:
    name = rest.removeprefix("//") if scheme == "docker" else rest
    if scheme == "docker" and name == rest:
        raise SourceError(f"image source {source!r}: expected docker://HOST/REPO[:TAG|@DIGEST]")
    try:
        Registry.parse(ImageReference.parse(name).host)
    except UsageError as error:
        raise SourceError(f"image source {source!r}: {error.message}", error.hint) from error
    return name
