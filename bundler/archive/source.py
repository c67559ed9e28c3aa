"""A bundle on disk: one open file, read at given places."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import TracebackType

from bundler.archive.format import CHUNK
from bundler.core.errors import IntegrityError, UsageError


class BundleFile:
    """One file descriptor for as long as the bundle is used: what was checked is what is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise UsageError(f"{path}: can't be opened: {error.strerror}") from error
        found = os.fstat(self._fd)
        self.size = found.st_size
        if not stat.S_ISREG(found.st_mode):
            self.close()
            raise UsageError(f"{path}: expected a regular file")

    def read_at(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset` on; IntegrityError when the file ends before."""
        pieces, end = [], offset + size
        while size > 0:
            piece = os.pread(self._fd, min(size, CHUNK), offset)
            if not piece:
                raise self._cut_off(end)
            pieces.append(piece)
            offset += len(piece)
            size -= len(piece)
        return b"".join(pieces)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """The same, as many as `buffer` takes, into it."""
        end = offset + len(buffer)
        while buffer:
            count = os.preadv(self._fd, [buffer], offset)
            if not count:
                raise self._cut_off(end)
            offset += count
            buffer = buffer[count:]

    def expect(self, offset: int, expected: bytes, what: str) -> None:
        """IntegrityError, naming `what` and the byte, unless `expected` stands at `offset`."""
        found = self.read_at(offset, len(expected))
        if found != expected:
            byte = next(
                n for n, pair in enumerate(zip(found, expected, strict=True)) if pair[0] != pair[1]
            )
            raise IntegrityError(
                f"{what}: byte {offset + byte}: expected {expected[byte]:#04x}, "
                f"found {found[byte]:#04x}",
                "the file was changed or damaged on its way; get it again",
            )

    def _cut_off(self, end: int) -> IntegrityError:
        return IntegrityError(
            f"{self.path.name}: ends too early: has {os.fstat(self._fd).st_size} bytes, "
            f"expected at least {end}",
            "the file was cut off; copy it again and compare its size",
        )

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._fd)

    def __enter__(self) -> BundleFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
