"""A model's layers as files, and files as the layers that they were.

Nothing here trusts a tar. Of a header only name and size are read; then the whole framing is
computed from these, and compared (docs/format.md, "Models"). The other way round, the files of a
folder give their layers again, so that the digests in an image's manifest check them, too.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bundler.archive.format import CHUNK
from bundler.archive.framing import BLOCK, END, Member, padded, place
from bundler.archive.layers import Layer, model_layers
from bundler.archive.newfolder import NewFolder, names_in
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError, UsageError
from bundler.core.lock import LockedFile, check_path
from bundler.core.progress import Progress

FOLDER = "models/"
# A path of 1,024 bytes, a size and the longest comment stay well below.
_LONGEST_PAX = 16 * 1024
_RECORD = re.compile(rb"[0-9]{1,5} (path|size|comment)=([^\n]*)\n")


def unpack(
    layer: Descriptor, chunks: Iterable[bytes], folder: NewFolder, progress: Progress
) -> tuple[LockedFile, ...]:
    """Write the files of `layer`, whose bytes are `chunks`, into `folder`; which they are.

    IntegrityError for other framing than a model's layer has, and at the end for another digest:
    then files are there that are not noted.
    """
    stream = _Stream(layer, chunks, progress)
    files = []
    position, end = 0, layer.size - len(END)
    while position < end:
        member, framing = _member(stream)
        placed = place(member, position)
        if framing != placed.framing or placed.end > end or not member.name.startswith(FOLDER):
            raise stream.no_layer()
        check_path(member.name.removeprefix(FOLDER), str(layer.digest))
        state = hashlib.sha256()
        folder.write(member.name, _hashed(stream.pieces(member.size), state))
        if stream.take(len(placed.filler)) != placed.filler:
            raise stream.no_layer()
        position = placed.end
        path = member.name.removeprefix(FOLDER)
        files.append(LockedFile(path, member.size, Digest(state.hexdigest())))
    if stream.take(len(END)) != END:
        raise stream.no_layer()
    stream.finish()
    return tuple(files)


def layers_in(folder: Path) -> tuple[Layer, ...]:
    """The layers that the model in `folder` travels in, by names and sizes; digests unknown.

    `other_files` for a file beside the model's own folder.
    """
    unknown, files = Digest.of(b""), []
    for name in names_in(folder):
        if not name.startswith(FOLDER):
            raise other_files(folder)
        size = os.stat(folder / name).st_size
        files.append(LockedFile(name.removeprefix(FOLDER), size, unknown))
    return model_layers(files)


def other_files(folder: Path) -> IntegrityError:
    """The error for a finished folder that has not, or not only, what it should have."""
    return IntegrityError(
        f"{folder}: holds other files than the model has",
        "remove the folder, or its volume, and load it again; look after that disk",
    )


def digest_of(layer: Layer, folder: Path, progress: Progress) -> Digest:
    """The digest of `layer` with the content that its files have in `folder`.

    IntegrityError for a file that has another size, UsageError for one that can't be read.
    """
    state = hashlib.sha256()
    for file, placed in zip(layer.files, layer.placed, strict=True):
        state.update(placed.framing)
        for chunk in _read(folder / layer.folder / file.path, file.size):
            state.update(chunk)
            progress.advance(len(chunk))
        state.update(placed.filler)
    state.update(END)
    return Digest(state.hexdigest())


def file_digest(path: Path, size: int) -> Digest:
    """The digest of the file at `path`; IntegrityError unless it has `size` bytes."""
    state = hashlib.sha256()
    for chunk in _read(path, size):
        state.update(chunk)
    return Digest(state.hexdigest())


def require_grouping(layers: Sequence[Sequence[LockedFile]]) -> None:
    """IntegrityError unless files in `layers` stand where they follow from all files to stand."""
    files = [file for layer in layers for file in layer]
    if [layer.files for layer in model_layers(files)] != [tuple(layer) for layer in layers]:
        raise IntegrityError(
            "a model: its layers are not those that follow from its files",
            "it was not packed by airbundle: push the bundle again",
        )


def _read(path: Path, size: int) -> Iterator[bytes]:
    found = 0
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                found += len(chunk)
                yield chunk
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}") from error
    if found != size:
        raise IntegrityError(f"{path}: expected {size} bytes, found {found}")


def _hashed(chunks: Iterable[bytes], state: hashlib._Hash) -> Iterator[bytes]:
    for chunk in chunks:
        state.update(chunk)
        yield chunk


def _member(stream: _Stream) -> tuple[Member, bytes]:
    """What the next header says, and all of its bytes: to be compared, not believed."""
    framing = own = stream.take(BLOCK)
    records: dict[bytes, bytes] = {}
    if own[156:157] == b"x":
        length = _octal(own[124:135])
        if length > _LONGEST_PAX:
            raise stream.no_layer()
        body = stream.take(padded(length))
        own = stream.take(BLOCK)
        framing += body + own
        records = dict(_RECORD.findall(body))
    try:
        name = records.get(b"path", own[:100].rstrip(b"\0")).decode()
    except UnicodeDecodeError as error:
        raise stream.no_layer() from error
    size = records.get(b"size", b"")
    known = int(size) if size.isdigit() and len(size) < 20 else _octal(own[124:135])
    return Member(name, known), framing


def _octal(field: bytes) -> int:
    return int(field, 8) if re.fullmatch(rb"[0-7]+", field) else 0


class _Stream:
    """The bytes of a layer, hashed as they are taken."""

    def __init__(self, layer: Descriptor, chunks: Iterable[bytes], progress: Progress) -> None:
        self._layer = layer
        self._chunks = iter(chunks)
        self._progress = progress
        self._state = hashlib.sha256()
        self._held = memoryview(b"")

    def pieces(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes, in the pieces in which they come."""
        while size:
            if not self._held:
                self._held = memoryview(self._next())
            piece = bytes(self._held[:size])
            self._held = self._held[len(piece) :]
            size -= len(piece)
            yield piece

    def take(self, size: int) -> bytes:
        """The next `size` bytes at once."""
        return b"".join(self.pieces(size))

    def finish(self) -> None:
        """IntegrityError unless that was all of it, with the layer's digest."""
        found = Digest(self._state.hexdigest())
        if self._held or found != self._layer.digest:
            raise IntegrityError(
                f"layer {self._layer.digest}: expected these bytes, found {found}",
                "the registry, or something between it and here, changes what is sent",
            )

    def no_layer(self) -> IntegrityError:
        """The error for other bytes than a model's layer may have."""
        return IntegrityError(
            f"layer {self._layer.digest}: is not framed as a layer of a model",
            "expected the image of a model that airbundle packed",
        )

    def _next(self) -> bytes:
        chunk = next(self._chunks, b"")
        if not chunk:
            raise IntegrityError(f"layer {self._layer.digest}: ends too early")
        self._state.update(chunk)
        self._progress.advance(len(chunk))
        return chunk
