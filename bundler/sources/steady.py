"""Files that must stay as they are while we look at them."""

from __future__ import annotations

import difflib
import errno
import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from bundler.core.errors import SourceError

# O_NONBLOCK: opening a pipe that nobody writes to must not wait.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True)
class Stamp:
    """Which file it is and when it was last touched; changes whenever content or name does."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """The stamp in what `stat` said."""
        return cls(
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )


class SteadyFile(io.FileIO):
    """A regular file, open for reading; closing it fails when it changed since its stamp."""

    def __init__(self, descriptor: int, location: Path, stamp: Stamp) -> None:
        super().__init__(descriptor, "rb", closefd=True)
        self.location = location
        self.stamp = stamp

    def close(self) -> None:
        """Closes the file; SourceError when it changed, or its name stands for another now."""
        if not self.closed:
            super().close()
            _check(self.location, self.stamp, look(self.location))


def look(location: Path) -> Stamp:
    """The stamp of the regular file at `location`; SourceError if it is none, or a link to one."""
    try:
        status = os.stat(location, follow_symlinks=False)
    except OSError as error:
        raise unreadable(location, error) from error
    return _regular(location, status)


def open_steady(location: Path, stamp: Stamp | None = None) -> SteadyFile:
    """The regular file at `location`, which has `stamp` (default: the one it has now).

    SourceError when it is a link, no regular file, can't be read, or has another stamp; the
    last also when it is closed.
    """
    try:
        descriptor = os.open(location, _FLAGS)
    except OSError as error:
        raise unreadable(location, error) from error
    try:
        found = _regular(location, os.fstat(descriptor))
        _check(location, stamp or found, found)
    except BaseException:
        os.close(descriptor)
        raise
    return SteadyFile(descriptor, location, found)


def read_steady(location: Path, most: int) -> bytes:
    """All of a small file; SourceError when it holds more than `most` bytes, or changes."""
    with open_steady(location) as stream:
        if stream.stamp.size > most:
            raise SourceError(
                f"{location}: expected at most {most} bytes, found {stream.stamp.size}"
            )
        return stream.readall()


def unreadable(location: Path, error: OSError, expected: str = "a file") -> SourceError:
    """What the system said about `location`, which is `expected` there, as an error of ours."""
    if error.errno == errno.ELOOP:
        return _link(location)
    if error.errno == errno.ENOENT:
        return SourceError(f"{location}: expected {expected}, found none", like(location))
    return SourceError(f"{location}: {(error.strerror or str(error)).lower()}")


def like(location: Path) -> str | None:
    """A hint, when nothing is at `location` and something of a similar name is beside it."""
    try:
        names = os.listdir(location.parent)
    except OSError:
        return None
    close = difflib.get_close_matches(location.name, names, 1)
    return f"did you mean {close[0]}?" if close else None


def kind_of(mode: int) -> str:
    """What a mode of `stat` says that a thing is, in words."""
    names = {
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return names.get(stat.S_IFMT(mode), "no regular file")


def _regular(location: Path, status: os.stat_result) -> Stamp:
    if stat.S_ISLNK(status.st_mode):
        raise _link(location)
    if not stat.S_ISREG(status.st_mode):
        raise SourceError(f"{location}: expected a regular file, found {kind_of(status.st_mode)}")
    return Stamp.of(status)


def _link(location: Path) -> SourceError:
    return SourceError(
        f"{location}: expected a regular file, found a symbolic link",
        "links are not followed: copy what it points to (cp -rL)",
    )


def _check(location: Path, expected: Stamp, found: Stamp) -> None:
    if expected != found:
        raise SourceError(
            f"{location}: changed while it was being read",
            "run the command again once nothing writes to it",
        )
