"""A stream for parsers that believe the lengths they find in hostile files."""

from __future__ import annotations

import io
from typing import BinaryIO

from bundler.core.errors import BundlerError


class BoundedReads(io.RawIOBase):
    """`stream`, of which nobody reads more than `most` bytes at once; `refusal` is raised if so.

    `tarfile` and `zipfile` read a header or a directory whole, of whatever size it says it is.
    Closing this leaves `stream` open.
    """

    def __init__(self, stream: BinaryIO, most: int, refusal: BundlerError) -> None:
        super().__init__()
        self._stream = stream
        self._most = most
        self._refusal = refusal

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, or the rest; `refusal` is raised when that is beyond the bound."""
        if size < 0:
            here = self._stream.tell()
            size = self._stream.seek(0, io.SEEK_END) - here
            self._stream.seek(here)
        if size > self._most:
            raise self._refusal
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As `stream` does."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """As `stream` does."""
        return self._stream.tell()

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True
