"""``oci:DIR[:REF]``: an image of an OCI image layout on disk.

https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bundler.archive import format as fmt
from bundler.archive.walk import Node, Reference, parse_node
from bundler.core import strictjson
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import SourceError
from bundler.sources import image_index
from bundler.sources.blobs import Extent, extent_of
from bundler.sources.source_image import SourceImage, refusing
from bundler.sources.steady import read_steady
from bundler.sources.tree import below

LAYOUT_VERSION = "1.0.0"


@dataclass(frozen=True)
class _Folder:
    """The blobs of the layout at `folder`."""

    folder: Path

    @property
    def where(self) -> str:
        return str(self.folder)

    def small(self, descriptor: Descriptor) -> bytes:
        return read_steady(self._location(descriptor.digest), fmt.MAX_MANIFEST)

    def layer(self, descriptor: Descriptor) -> Extent:
        return extent_of(self._location(descriptor.digest), descriptor.size)

    def _location(self, digest: Digest) -> Path:
        return self.folder / "blobs" / "sha256" / digest.hex


def resolve(folder: Path, ref: str | None, asked: tuple[str, ...]) -> SourceImage:
    """The image that `ref` names in the layout at `folder`, or the only one; see `images`."""
    _check_version(folder)
    with refusing():
        data = read_steady(folder / fmt.INDEX_NAME, fmt.MAX_INDEX)
        index = parse_node(data, fmt.OCI_INDEX, f"{folder / fmt.INDEX_NAME}")
    return image_index.resolve(_Folder(folder), _choose(index, ref, folder).descriptor, asked)


def _check_version(folder: Path) -> None:
    name = folder / fmt.LAYOUT_NAME
    if not folder.is_dir():
        raise SourceError(f"{folder}: expected the folder of an OCI layout, found none")
    below(folder.parent, f"{folder.name}/blobs/sha256/of")
    with refusing():
        value = strictjson.parse(read_steady(name, fmt.SLOT_SIZE), str(name))
    version = value.get("imageLayoutVersion") if isinstance(value, dict) else None
    if version != LAYOUT_VERSION:
        raise SourceError(f"{name}: expected version {LAYOUT_VERSION!r}, found {version!r:.40}")


def _choose(index: Node, ref: str | None, folder: Path) -> Reference:
    fits = [
        entry
        for entry in index.manifests
        if ref is None or entry.annotations.get(fmt.REF_NAME) == ref
    ]
    if len(fits) == 1:
        return fits[0]
    names = [entry.annotations.get(fmt.REF_NAME, "(unnamed)") for entry in index.manifests]
    wanted = "one image" if ref is None else f"one image {ref!r}"
    raise SourceError(
        f"{folder}: expected {wanted}, found {len(fits)}; there is {', '.join(names) or 'none'}",
        "say which one: oci:DIR:REF" if ref is None else None,
    )
