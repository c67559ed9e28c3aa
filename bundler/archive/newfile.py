"""A file that gets its name when it is whole, and reading and writing at places of it."""

from __future__ import annotations

import fcntl
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bundler.core.errors import UsageError


@dataclass(frozen=True)
class NewFile:
    """A file that is being written; every failure to do so is a UsageError that names it."""

    fd: int
    path: Path

    def write_at(self, data: bytes | memoryview, offset: int) -> None:
        """All of `data` from `offset` on."""
        done = 0
        with _naming(self.path):
            while done < len(data):
                done += os.pwrite(self.fd, data[done:], offset + done)

    def clear(self, size: int) -> None:
        """Nothing but `size` zeros, which take no room on the disk."""
        with _naming(self.path):
            os.ftruncate(self.fd, 0)
            os.ftruncate(self.fd, size)


@contextmanager
def new_file(path: Path) -> Iterator[NewFile]:
    """A file beside `path` that gets its name when all went well, and is gone otherwise.

    UsageError when it can't be written, or another process is writing it.
    """
    partial = path.with_name(path.name + ".partial")
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    with _naming(partial):
        fd = os.open(partial, flags, 0o666)
    try:
        _lock_alone(fd, partial)
        try:
            yield NewFile(fd, partial)
            with _naming(path):
                os.fsync(fd)
                os.replace(partial, path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    finally:
        os.close(fd)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path}: can't be written: {error.strerror}") from error


def _lock_alone(fd: int, partial: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between open and lock the other build may have given the file its final name.
        alone = os.path.samestat(os.fstat(fd), os.stat(partial))
    except (BlockingIOError, FileNotFoundError):
        alone = False
    if not alone:
        raise UsageError(f"{partial}: another build is writing the same file", "wait for it to end")


def sync_folder(folder: Path) -> None:
    """Makes the names in `folder` outlive a loss of power."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class FileRange(io.RawIOBase):
    """A run of bytes within a file."""

    def __init__(self, fd: int, start: int, size: int) -> None:
        self._fd = fd
        self._start = start
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be moved in."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves to `offset`, as `io.IOBase.seek` does."""
        base = (0, self._position, self._size)[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fills `buffer` as far as the run of bytes goes; how many bytes that were."""
        count = max(0, min(len(buffer), self._size - self._position))
        data = os.pread(self._fd, count, self._start + self._position)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
