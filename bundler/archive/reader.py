"""Reads a bundle: everything but the layers' own bytes is checked before anything is used.

The order is that of docs/format.md, "The order of verification", from step 4 on.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bundler.archive import format as fmt
from bundler.archive.entries import Inventory, take_stock
from bundler.archive.framing import END, Member, Placed, place, place_all, place_plain
from bundler.archive.source import BundleFile
from bundler.archive.walk import Walk, walk
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError
from bundler.core.progress import Progress
from bundler.core.release import Release

_SLOT = place_plain(Member(fmt.SLOT_NAME, fmt.SLOT_SIZE), 0)
_LAYOUT = place_plain(Member(fmt.LAYOUT_NAME, len(fmt.LAYOUT)), _SLOT.end)
_OCTAL = re.compile(rb"[0-7]{11}\0")


@dataclass(frozen=True)
class Contents:
    """A bundle whose framing, index, manifests, configs and lock were checked."""

    index: bytes
    walk: Walk
    inventory: Inventory
    places: dict[Digest, Placed]


def blob_member(descriptor: Descriptor) -> Member:
    """The member of the tar that holds a blob."""
    return Member(f"blobs/sha256/{descriptor.digest.hex}", descriptor.size)


def read_slot(source: BundleFile) -> bytes:
    """The 65,536 bytes of the signature's slot, once its framing was compared."""
    name = fmt.SLOT_NAME.encode()
    if source.read_at(0, min(source.size, len(name))) != name:
        raise IntegrityError(
            f"{source.path}: is no airbundle bundle: expected {fmt.SLOT_NAME} (header) first",
            "name the file that `airbundle build` wrote; unpack it first if it is a .gz",
        )
    source.expect(0, _SLOT.framing, f"{source.path}: {fmt.SLOT_NAME} (header)")
    return source.read_at(_SLOT.offset, fmt.SLOT_SIZE)


def read_contents(source: BundleFile, release: Release | None) -> Contents:
    """All of the bundle but the bytes of its layers, checked; None is an unsigned bundle.

    IntegrityError names the member that differs, and what it belongs to.
    """
    index, position = _read_index(source, release)
    places: dict[Digest, Placed] = {}

    def fetch(descriptor: Descriptor, owner: str) -> bytes:
        nonlocal position
        placed = place(blob_member(descriptor), position)
        what = f"{placed.member.name} ({owner})"
        _expect_framing(source, placed, what)
        data = source.read_at(placed.offset, descriptor.size)
        if Digest.of(data) != descriptor.digest:
            raise IntegrityError(f"{what}: its bytes have the digest {Digest.of(data)}")
        places[descriptor.digest] = placed
        position = placed.end
        return data

    found = walk(index, fetch)
    inventory = take_stock(found)
    blobs = place_all((blob_member(blob) for blob in found.blobs.values()), position)
    for digest, placed in zip(found.blobs, blobs, strict=True):
        _expect_framing(source, placed, f"{placed.member.name} ({found.owners[digest]})")
        places[digest] = placed
        position = placed.end
    _check_layers(source, inventory, found, places)
    _check_end(source, position)
    return Contents(index, found, inventory, places)


def read_published(index: bytes, blobs: Mapping[Digest, bytes]) -> Contents:
    """The same out of a bundle's artifact in a registry: `blobs` is its metadata by digest.

    Layers and their framing are not there. IntegrityError for what is missing or refused.
    """

    def fetch(descriptor: Descriptor, owner: str) -> bytes:
        data = blobs.get(descriptor.digest)
        if data is None or len(data) != descriptor.size:
            raise IntegrityError(f"{owner}: expected {descriptor.digest}, found no such metadata")
        return data

    found = walk(index, fetch)
    return Contents(index, found, take_stock(found), {})


def read_blob(source: BundleFile, contents: Contents, descriptor: Descriptor) -> Iterator[bytes]:
    """The bytes of one blob in pieces of at most 1 MiB.

    Fails with IntegrityError at the end when the digest is another: use nothing of it before.
    """
    placed = contents.places[descriptor.digest]
    sha256 = hashlib.sha256()
    for done in range(0, descriptor.size, fmt.CHUNK):
        piece = source.read_at(placed.offset + done, min(fmt.CHUNK, descriptor.size - done))
        sha256.update(piece)
        yield piece
    _expect_digest(contents, descriptor, sha256.hexdigest())


def check_blob(
    source: BundleFile, contents: Contents, descriptor: Descriptor, progress: Progress
) -> None:
    """Reads one blob to its end, as `read_blob` does, for nothing but the comparison."""
    offset = contents.places[descriptor.digest].offset
    sha256 = hashlib.sha256()
    # One piece of memory for all that is read: to get it anew is as slow as reading it.
    buffer = memoryview(bytearray(min(fmt.CHUNK, descriptor.size)))
    for done in range(0, descriptor.size, fmt.CHUNK):
        piece = buffer[: descriptor.size - done]
        source.read_into(offset + done, piece)
        sha256.update(piece)
        progress.advance(len(piece))
    _expect_digest(contents, descriptor, sha256.hexdigest())


def _expect_digest(contents: Contents, descriptor: Descriptor, found: str) -> None:
    if found != descriptor.digest.hex:
        name = contents.places[descriptor.digest].member.name
        owner = contents.walk.owners[descriptor.digest]
        raise IntegrityError(
            f"{name} ({owner}): its bytes have another digest, {found}",
            "the file was changed or damaged on its way; get it again",
        )


def _read_index(source: BundleFile, release: Release | None) -> tuple[bytes, int]:
    source.expect(_LAYOUT.start, _LAYOUT.framing, f"{fmt.LAYOUT_NAME} (header)")
    source.expect(_LAYOUT.offset, fmt.LAYOUT + _LAYOUT.filler, fmt.LAYOUT_NAME)
    size = release.index_size if release else _stated_size(source)
    placed = place_plain(Member(fmt.INDEX_NAME, size), _LAYOUT.end)
    _expect_framing(source, placed, fmt.INDEX_NAME)
    index = source.read_at(placed.offset, size)
    if release and Digest.of(index) != release.index:
        raise IntegrityError(
            f"{fmt.INDEX_NAME}: its digest is {Digest.of(index)}, signed is {release.index}",
            "the file was changed or damaged on its way; get it again",
        )
    return index, placed.end


def _stated_size(source: BundleFile) -> int:
    """The index's size as the tar says it, where no statement does."""
    field = source.read_at(_LAYOUT.end + 124, 12)
    size = int(field[:11], 8) if _OCTAL.fullmatch(field) else 0
    if not 1 <= size <= fmt.MAX_INDEX:
        raise IntegrityError(f"{fmt.INDEX_NAME} (header): expected a size of 1 byte to 16 MiB")
    return size


def _expect_framing(source: BundleFile, placed: Placed, what: str) -> None:
    source.expect(placed.start, placed.framing, f"{what} (header)")
    source.expect(placed.offset + placed.member.size, placed.filler, f"{what} (padding)")


def _check_layers(
    source: BundleFile, inventory: Inventory, found: Walk, places: dict[Digest, Placed]
) -> None:
    """The framing inside model layers follows from the lock: no other name or entry fits in."""
    for digest, layer in inventory.model_layers:
        for offset, expected in layer.framing():
            what = f"blobs/sha256/{digest.hex} ({found.owners[digest]}, tar header inside)"
            source.expect(places[digest].offset + offset, expected, what)


def _check_end(source: BundleFile, position: int) -> None:
    source.expect(position, END, "the end of the file")
    if source.size != position + len(END):
        raise IntegrityError(
            f"{source.path.name}: expected {position + len(END)} bytes, found {source.size}",
            "something was appended; get the file again",
        )
