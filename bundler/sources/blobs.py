"""Blobs inside of files: read once, from front to end, and only if they are what was promised."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from bundler.core.digest import Digest
from bundler.core.errors import IntegrityError, SourceError
from bundler.sources.steady import Stamp, SteadyFile, open_steady

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK = 1024**2


@dataclass(frozen=True)
class Extent:
    """Where a blob's bytes lie: `size` bytes from `offset` of the file that had `stamp`."""

    location: Path
    stamp: Stamp
    offset: int
    size: int

    def open(self, digest: Digest | None) -> BinaryIO:
        """These bytes and no others; IntegrityError at their end unless they have `digest`.

        SourceError when the file changed since. None, for bytes whose digest is still to be
        found, checks the size alone.
        """
        stream = open_steady(self.location, self.stamp)
        stream.seek(self.offset)
        return io.BufferedReader(_ExtentReader(stream, self, digest), CHUNK)


class _ExtentReader(io.RawIOBase):
    def __init__(self, stream: SteadyFile, extent: Extent, digest: Digest | None) -> None:
        super().__init__()
        self._stream = stream
        self._extent = extent
        self._digest = digest
        self._rest = extent.size
        self._state = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")[: self._rest]
        count = self._stream.readinto(view)
        if self._rest and not count:
            raise IntegrityError(f"{self._extent.location}: ends {self._rest} bytes too early")
        self._rest -= count
        if self._digest is not None:
            self._state.update(view[:count])
            self._compare(self._digest)
        return count

    def close(self) -> None:
        if not self.closed:
            try:
                self._stream.close()
            finally:
                super().close()

    def _compare(self, digest: Digest) -> None:
        if not self._rest and self._state.hexdigest() != digest.hex:
            found = f"sha256:{self._state.hexdigest()}"
            raise IntegrityError(f"{self._extent.location}: expected {digest}, found {found}")


def extent_of(location: Path, size: int) -> Extent:
    """The blob that is the whole of the file at `location`; SourceError if its size differs."""
    with open_steady(location) as stream:
        if stream.stamp.size != size:
            raise SourceError(f"{location}: expected {size} bytes, found {stream.stamp.size}")
        return Extent(location, stream.stamp, 0, size)
