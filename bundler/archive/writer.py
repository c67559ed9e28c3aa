"""Writes a bundle: every byte read once, hashed on its way, written once to its final place.

Places follow from sizes alone. So the layers are streamed first, several at a time, then the head
is written with the digests that they turned out to have, and the file gets its name last.
"""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bundler.archive import format as fmt
from bundler.archive.assembly import Assembly, Draft, assemble, layers_of
from bundler.archive.entries import take_stock
from bundler.archive.framing import END, Member, Placed, place, place_plain
from bundler.archive.layers import Layer
from bundler.archive.newfile import FileRange, NewFile, new_file
from bundler.archive.reader import blob_member
from bundler.archive.together import together
from bundler.archive.walk import Walk, walk
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError, UsageError
from bundler.core.progress import SILENT, Progress
from bundler.core.room import shortage

_ZEROS = bytes(fmt.CHUNK)

Open = Callable[[], BinaryIO]
Seal = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Origins:
    """Where the bytes of layers come from: files of models, and whole blobs, by digest."""

    files: Mapping[Digest, Open]
    blobs: Mapping[Digest, Open]


@dataclass(frozen=True)
class Written:
    """A bundle that lies on the disk under its own name."""

    path: Path
    index: bytes
    size: int


@dataclass(frozen=True)
class _Laid:
    """An assembly with every member at its place; `end` is where the tar's own end begins."""

    assembly: Assembly
    walk: Walk
    index: Placed
    blobs: Mapping[Digest, Placed]
    end: int

    @property
    def size(self) -> int:
        return self.end + len(END)


class Packed:
    """What was packed, before it has a name: files of models, read from where they came to lie."""

    def __init__(self, fd: int, files: Mapping[Digest, tuple[int, int]]) -> None:
        self._fd = fd
        self._files = files

    def open(self, digest: Digest) -> BinaryIO:
        """The file of that digest, as a seekable stream."""
        return io.BufferedReader(FileRange(self._fd, *self._files[digest]))


def write_bundle(
    path: Path,
    draft: Draft,
    origins: Origins,
    seal: Seal,
    inspect: Callable[[Packed], None],
    progress: Progress = SILENT,
) -> Written:
    """Writes the bundle of `draft` to `path`, whole or not at all.

    `inspect` looks at the packed files before they get a name, and raises if it must; `seal` is
    given the index and returns the 65,536 bytes of the signature's slot. UsageError when the disk
    has too little room, before anything is written; IntegrityError when bytes differ from their
    digest.
    """
    layers = layers_of(draft.lock)
    digests = {key: key for key in layers}
    final = _lay(assemble(draft, digests))
    take_stock(final.walk)  # what our own reader refuses is not written
    require_room(path, final.size)
    with new_file(path) as file:
        laid = None
        # Once; twice when two blobs that were thought to differ turn out to be the same.
        while laid is None or laid.size != final.size:
            laid = final
            file.clear(laid.size)
            known = {digests[key]: layer for key, layer in layers.items()}
            learned = _stream(file, laid, known, origins, progress)
            digests = {key: learned[digest] for key, digest in digests.items()}
            final = _lay(assemble(draft, digests))
        by_digest = {digests[key]: layer for key, layer in layers.items()}
        inspect(Packed(file.fd, _files(final, by_digest)))
        _write_head(file, seal(final.assembly.index), final)
    return Written(path, final.assembly.index, final.size)


def _lay(assembly: Assembly) -> _Laid:
    found = walk(assembly.index, lambda descriptor, _: assembly.metadata[descriptor.digest])
    slot = place_plain(Member(fmt.SLOT_NAME, fmt.SLOT_SIZE), 0)
    layout = place_plain(Member(fmt.LAYOUT_NAME, len(fmt.LAYOUT)), slot.end)
    index = place_plain(Member(fmt.INDEX_NAME, len(assembly.index)), layout.end)
    blobs: dict[Digest, Placed] = {}
    position = index.end
    sizes = {digest: len(data) for digest, data in found.metadata.items()}
    sizes |= {digest: blob.size for digest, blob in found.blobs.items()}
    for digest, size in sizes.items():
        blobs[digest] = place(blob_member(Descriptor("", digest, size)), position)
        position = blobs[digest].end
    return _Laid(assembly, found, index, blobs, position)


def _files(laid: _Laid, layers: Mapping[Digest, Layer]) -> dict[Digest, tuple[int, int]]:
    return {
        file.digest: (laid.blobs[digest].offset + placed.offset, file.size)
        for digest, layer in layers.items()
        for file, placed in zip(layer.files, layer.placed, strict=True)
    }


def require_room(path: Path, size: int) -> None:
    """UsageError unless the disk on which `path` will be has room for `size` more bytes."""
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError as error:
        raise UsageError(f"{path}: can't be written: {error.strerror}") from error
    if free < size:
        raise UsageError(
            shortage(str(path), size, free),
            "free some room, or write to another disk with -o",
        )


def _stream(
    file: NewFile,
    laid: _Laid,
    layers: Mapping[Digest, Layer],
    origins: Origins,
    progress: Progress,
) -> dict[Digest, Digest]:
    """Writes the content of every layer to its place; their digests, by those in `laid`."""
    blobs = sorted(laid.walk.blobs.values(), key=lambda blob: -blob.size)
    progress.phase("packing layers", sum(blob.size for blob in blobs))

    def pack(blob: Descriptor, progress: Progress) -> tuple[Digest, Digest]:
        offset, owner = laid.blobs[blob.digest].offset, laid.walk.owners[blob.digest]
        target = _Target(file, offset, progress)
        if blob.digest in layers:
            return blob.digest, _pack_layer(target, layers[blob.digest], origins, str(owner))
        with origins.blobs[blob.digest]() as source:
            target.copy(source, blob.size, blob.digest, str(owner))
        return blob.digest, blob.digest

    return dict(together(pack, blobs, progress))


def _pack_layer(target: _Target, layer: Layer, origins: Origins, owner: str) -> Digest:
    whole = hashlib.sha256()
    for file, placed in zip(layer.files, layer.placed, strict=True):
        target.write(placed.framing, whole)
        with origins.files[file.digest]() as source:
            target.copy(source, file.size, file.digest, f"{owner}: {file.path}", whole)
        target.write(placed.filler, whole)
    target.write(END, whole)
    return Digest(whole.hexdigest())


class _Target:
    """A place in the new file that moves on with what is written."""

    def __init__(self, file: NewFile, offset: int, progress: Progress) -> None:
        self._file = file
        self._offset = offset
        self._progress = progress

    def write(self, data: bytes | memoryview, whole: hashlib._Hash | None = None) -> None:
        if whole is not None:
            whole.update(data)
        # The file was made of zeros: what is zero need not be written, so sparse stays sparse.
        if not _is_zero(data):
            self._file.write_at(data, self._offset)
        self._offset += len(data)
        self._progress.advance(len(data))

    def copy(
        self,
        source: BinaryIO,
        size: int,
        digest: Digest,
        what: str,
        whole: hashlib._Hash | None = None,
    ) -> None:
        """All of `source`, which must have `size` bytes and `digest`."""
        own = hashlib.sha256()
        buffer = memoryview(bytearray(fmt.CHUNK))
        left = size
        while count := source.readinto(buffer[: min(left + 1, fmt.CHUNK)]):  # type: ignore[attr-defined]
            own.update(buffer[:count])
            self.write(buffer[:count], whole)
            left -= count
        if left or own.hexdigest() != digest.hex:
            raise IntegrityError(
                f"{what}: changed since it was locked: expected {size} bytes of {digest}",
                "run `airbundle lock` again when the change is wanted",
            )


def _is_zero(data: bytes | memoryview) -> bool:
    """A memoryview is compared byte by byte, four times slower than sha256; bytes at once.

    So a copy is made, but only of what begins with zeros.
    """
    return not any(data[:8]) and bytes(data) == _ZEROS[: len(data)]


def _write_head(file: NewFile, slot: bytes, laid: _Laid) -> None:
    """Everything but the content of layers: slot, index, metadata and all framing."""
    slot_place = place_plain(Member(fmt.SLOT_NAME, fmt.SLOT_SIZE), 0)
    layout_place = place_plain(Member(fmt.LAYOUT_NAME, len(fmt.LAYOUT)), slot_place.end)
    file.write_at(slot_place.framing + slot, 0)
    file.write_at(layout_place.framing + fmt.LAYOUT + layout_place.filler, layout_place.start)
    file.write_at(laid.index.framing + laid.assembly.index + laid.index.filler, laid.index.start)
    for digest, placed in laid.blobs.items():
        data = laid.walk.metadata.get(digest)
        if data is None:
            file.write_at(placed.framing, placed.start)
            file.write_at(placed.filler, placed.offset + placed.member.size)
        else:
            file.write_at(placed.framing + data + placed.filler, placed.start)
