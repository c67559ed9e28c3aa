"""The bytes of an image's layer, unpacked as they are read: bounded, whatever the layer says."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

CHUNK = 256 * 1024
# An image may become this much, and so many times its packed size: zeros shrink a thousandfold.
FREE_BYTES = 1024**3
MOST_TIMES = 100
# What beginning a gzip member costs, as bytes unpacked; some tools write one for each file.
_GZIP_MEMBER = 6 * 1024
# What zstd's decoder may be made to keep; `zstd --ultra` writes frames of up to 128 MiB.
_MAX_WINDOW = 128 * 1024**2
_GZIP = re.compile(rb"\x1f\x8b")
_ZSTD = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")  # a frame, or one to skip


class UnreadableError(Exception):
    """A layer, or a file in it, that can't be read; a sentence. It never leaves this room."""


class Allowance:
    """How many bytes the layers of one image may still unpack to."""

    def __init__(self) -> None:
        self._left = FREE_BYTES

    def add(self, size: int) -> None:
        """For `size` packed bytes more."""
        self._left = max(self._left, 0) + MOST_TIMES * size

    def take(self, size: int) -> None:
        """UnreadableError when there are not as many left."""
        self._left -= size
        if self._left < 0:
            raise UnreadableError("unpacks to far more than it should")


class LayerBytes:
    """The tar of a layer, of which `size` bytes come packed (or not) out of `stream`.

    What it is packed with is told by its first bytes, as engines tell it. What it unpacks to
    comes out of `allowance`. Raises UnreadableError.
    """

    def __init__(self, stream: BinaryIO, size: int, allowance: Allowance) -> None:
        self._stream = stream
        self._allowance = allowance
        allowance.add(size)
        self._chunks = self._unpacked()
        self._rest = memoryview(b"")

    def read(self, size: int) -> bytes:
        """`size` bytes; fewer only at the end."""
        if len(self._rest) >= size:
            return self._cut(size)
        parts = []
        while size > 0 and self._fill():
            parts.append(self._cut(min(size, len(self._rest))))
            size -= len(parts[-1])
        return b"".join(parts)

    def skip(self, size: int) -> bool:
        """Passes over `size` bytes; whether there were as many."""
        while size > 0 and self._fill():
            passed = min(size, len(self._rest))
            self._rest = self._rest[passed:]
            size -= passed
        return size == 0

    def drain(self) -> None:
        """Reads the packed bytes to their end, where the stream compares their digest."""
        while self._stream.read(CHUNK):
            pass

    def _cut(self, size: int) -> bytes:
        data = bytes(self._rest[:size])
        self._rest = self._rest[size:]
        return data

    def _fill(self) -> bool:
        """Whether there is anything to read."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._allowance.take(len(chunk))
            self._rest = memoryview(chunk)
        return True

    def _unpacked(self) -> Iterator[bytes]:
        head = self._stream.read(CHUNK)
        if _GZIP.match(head):
            return _gunzip(head, self._stream, self._allowance)
        if _ZSTD.match(head):
            return _unzstd(head, self._stream)
        return _plain(head, self._stream)


def _plain(data: bytes, stream: BinaryIO) -> Iterator[bytes]:
    while data:
        yield data
        data = stream.read(CHUNK)


def _gunzip(data: bytes, stream: BinaryIO, allowance: Allowance) -> Iterator[bytes]:
    """One gzip member after the other; checksums are compared. Zeros may follow the last."""
    while data:
        allowance.take(_GZIP_MEMBER)
        inflate = zlib.decompressobj(wbits=31)
        while True:
            try:
                chunk = inflate.decompress(data, CHUNK)
            except zlib.error as error:
                raise UnreadableError(f"is damaged gzip: {error}") from error
            if chunk:
                yield chunk
            if inflate.eof:
                break
            data = inflate.unconsumed_tail
            if not data and len(chunk) < CHUNK:
                data = stream.read(CHUNK)
                if not data:
                    raise UnreadableError("ends within its gzip stream")
        data = inflate.unused_data.lstrip(b"\0") or stream.read(CHUNK).lstrip(b"\0")


def _unzstd(data: bytes, stream: BinaryIO) -> Iterator[bytes]:
    # Only the connected side reads layers, and only its installation has the library.
    import zstandard  # noqa: TID251

    reader = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).stream_reader(
        cast(BinaryIO, _Joined(data, stream.read)), read_size=CHUNK, read_across_frames=True
    )
    try:
        while chunk := reader.read(CHUNK):
            yield chunk
    except zstandard.ZstdError as error:
        raise UnreadableError(f"is damaged zstd: {error}") from error


class _Joined:
    """A first piece, and then what `read` gives."""

    def __init__(self, head: bytes, read: Callable[[int], bytes]) -> None:
        self._head = head
        self._read = read

    def read(self, size: int) -> bytes:
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
            return data
        return self._read(size)
