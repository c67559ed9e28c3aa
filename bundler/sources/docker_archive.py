"""``docker-archive:FILE[:NAME]``: an image of what `docker save` wrote.

https://github.com/moby/docker-image-spec/blob/v1.3.1/v1.2.md, "Combined Image JSON + Filesystem
Changeset Format". `manifest.json` decides, also in newer archives that are OCI layouts besides: the
manifest is then derived here, from the config and the layers as they lie in the archive. Who wants
to keep an upstream digest copies the image to an OCI layout instead.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

from bundler.archive import format as fmt
from bundler.core import strictjson
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError, SourceError
from bundler.core.progress import Progress
from bundler.sources.blobs import CHUNK, Extent
from bundler.sources.platforms import Platform, match, parse_config
from bundler.sources.source_image import OCI_GZIP, SourceImage, refusing
from bundler.sources.steady import unreadable
from bundler.sources.tar_members import Members, read_members

_LIST = "manifest.json"
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class _Listed:
    """An image as manifest.json lists it: member names of the config and of each layer."""

    config: str
    layers: tuple[str, ...]
    names: tuple[str, ...]


def resolve(
    location: Path, name: str | None, asked: tuple[str, ...], progress: Progress
) -> SourceImage:
    """The image `name` (as in RepoTags) of the archive, or the only one; see `images`."""
    try:
        return _resolve(location, name, asked, progress)
    except OSError as error:
        raise unreadable(location, error) from error


def _resolve(
    location: Path, name: str | None, asked: tuple[str, ...], progress: Progress
) -> SourceImage:
    members = read_members(location)
    listed = _choose(_list(members), name, location)
    data = _read(members.find(listed.config), f"{location}: {listed.config}")
    where = f"{location}: {listed.config}"
    config = parse_config(data, where)
    platform = Platform.of(config, where)
    matched = match(asked, [platform], str(location))
    extents = [members.find(layer) for layer in listed.layers]
    layers = _layers(extents, _diff_ids(config, where), listed.layers, where, progress)
    manifest = _manifest(Descriptor.of(fmt.OCI_CONFIG, data), layers)
    descriptor = Descriptor.of(fmt.OCI_MANIFEST, manifest)
    return SourceImage(
        descriptor.digest,
        descriptor,
        tuple((text, descriptor.digest) for text in matched.values()),
        {descriptor.digest: manifest, Digest.of(data): data},
        tuple({layer.digest: layer for layer in layers}.values()),
        {layer.digest: extent for layer, extent in zip(layers, extents, strict=True)},
    )


def _manifest(config: Descriptor, layers: Sequence[Descriptor]) -> bytes:
    return strictjson.canonical(
        {
            "schemaVersion": 2,
            "mediaType": fmt.OCI_MANIFEST,
            "config": config.to_json(),
            "layers": [layer.to_json() for layer in layers],
        }
    )


def _read(extent: Extent, where: str) -> bytes:
    if extent.size > fmt.MAX_MANIFEST:
        raise SourceError(
            f"{where}: expected at most {fmt.MAX_MANIFEST} bytes, found {extent.size}"
        )
    with extent.open(None) as stream:
        return stream.read()


def _list(members: Members) -> list[_Listed]:
    where = f"{members.location}: {_LIST}"
    with refusing():
        value = strictjson.parse(_read(members.find(_LIST), where), where)
    if not isinstance(value, list) or not value:
        raise SourceError(f"{where}: expected a list of images")
    return [_listed(item, f"{where}[{number}]") for number, item in enumerate(value)]


def _listed(item: Any, where: str) -> _Listed:
    if not isinstance(item, dict):
        raise SourceError(f"{where}: expected an object")
    config, layers, names = item.get("Config"), item.get("Layers"), item.get("RepoTags") or []
    if not isinstance(config, str) or not _are_strings(layers) or not _are_strings(names):
        raise SourceError(
            f"{where}: expected Config, Layers and RepoTags as `docker save` writes them"
        )
    return _Listed(config, tuple(layers), tuple(names))


def _are_strings(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _choose(images: list[_Listed], name: str | None, location: Path) -> _Listed:
    fits = [image for image in images if name is None or name in image.names]
    if len(fits) == 1:
        return fits[0]
    names = [" = ".join(image.names) or "(unnamed)" for image in images]
    wanted = "one image" if name is None else f"one image {name!r}"
    raise SourceError(
        f"{location}: expected {wanted}, found {len(fits)}; there is {', '.join(names)}",
        "say which one: docker-archive:FILE:NAME" if name is None else None,
    )


def _diff_ids(config: dict[str, Any], where: str) -> list[Digest]:
    rootfs = config.get("rootfs")
    texts = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not _are_strings(texts):
        raise SourceError(f"{where}: expected rootfs.diff_ids, a list of digests")
    with refusing():
        return [Digest.parse(text) for text in texts]


def _layers(
    extents: list[Extent],
    diff_ids: list[Digest],
    names: Sequence[str],
    where: str,
    progress: Progress,
) -> list[Descriptor]:
    """Each layer as it lies in the archive, once its content is what the config says it is."""
    if len(extents) != len(diff_ids):
        raise SourceError(f"{where}: lists {len(diff_ids)} layers, {_LIST} {len(extents)}")
    progress.phase("hashing layers", sum(extent.size for extent in set(extents)))
    known: dict[Extent, tuple[Descriptor, Digest]] = {}
    for extent, name, diff_id in zip(extents, names, diff_ids, strict=True):
        label = f"{extent.location}: {name}"
        if extent not in known:
            known[extent] = _measure(extent, label, progress)
        if known[extent][1] != diff_id:
            raise IntegrityError(
                f"{label}: its content is {known[extent][1]}, the config says {diff_id}"
            )
    return [known[extent][0] for extent in extents]


def _measure(extent: Extent, where: str, progress: Progress) -> tuple[Descriptor, Digest]:
    """A layer's descriptor, and the digest of the tar that it holds, in one pass."""
    with extent.open(None) as stream:
        stored = _Hashing(stream, progress)
        content = hashlib.sha256()
        if (magic := stored.peek(len(_ZSTD))) == _ZSTD:
            raise SourceError(
                f"{where}: is compressed with zstd, which is not read out of an archive",
                "name the image in its registry, or copy it to an OCI layout",
            )
        packed = magic.startswith(_GZIP)
        try:
            source = gzip.GzipFile(fileobj=stored, mode="rb") if packed else stored
            while chunk := source.read(CHUNK):
                content.update(chunk)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise SourceError(f"{where}: is damaged gzip: {error}") from error
    digest = Digest(stored.state.hexdigest())
    media_type = OCI_GZIP if packed else fmt.OCI_LAYER
    return Descriptor(media_type, digest, extent.size), Digest(content.hexdigest())


class _Hashing(io.RawIOBase):
    """A stream that hashes what is read through it, and can look at its first bytes before."""

    def __init__(self, stream: BinaryIO, progress: Progress) -> None:
        super().__init__()
        self.state = hashlib.sha256()
        self._stream = stream
        self._progress = progress
        self._ahead = b""

    def peek(self, count: int) -> bytes:
        self._ahead = self._stream.read(count)
        return self._ahead

    def read(self, size: int = CHUNK) -> bytes:
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        data += self._stream.read(size - len(data))
        self.state.update(data)
        self._progress.advance(len(data))
        return data
