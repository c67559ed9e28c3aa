"""The store: what was downloaded, by digest, shared by every process of one user.

::

    blobs/<hex>      whole, compared and synced before they got this name; nothing else is in here
    partial/<hex>    what is under way, held by one process at a time (flock), continued by the next
    staging/<hex>/   a folder for whoever needs one, by the sha256 of its key, held the same way
    notes/<hex>      results by the sha256 of their inputs, behind a line with their own sha256

A process that ends at any moment, SIGKILL included, leaves a store that the next one goes on with.
What a folder of another user might hold is found out by whoever reads: blobs are compared again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from bundler.archive.format import CHUNK, MAX_INDEX
from bundler.archive.newfile import sync_folder
from bundler.core.digest import Digest
from bundler.core.errors import IntegrityError, SourceError
from bundler.core.progress import SILENT, Progress
from bundler.core.room import shortage

if TYPE_CHECKING:
    from hashlib import _Hash

_HINT = "AIRBUNDLE_STORE names the folder to use"
# So many bytes are given to the disk at a time, while the next come.
_BEHIND = 4 * 1024**2
# Between two looks whether the process that holds a file has let go of it; in seconds.
_PAUSE = 0.1
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_WRITABLE_BY_OTHERS = 0o022

# Gives the bytes of a blob from an offset on.
Read = Callable[[int], Iterator[bytes]]


class Store:
    """The store in `folder`, which is made, for its owner alone, with the first write.

    SourceError whenever the system does not let us read or write in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def location(self, digest: Digest) -> Path:
        """Where the blob lies, or would."""
        return self._folder / "blobs" / digest.hex

    def has(self, digest: Digest, size: int) -> bool:
        """Whether a blob of this digest and this size is here."""
        try:
            return self.location(digest).lstat().st_size == size
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise _refused(self.location(digest), "read", error) from error

    def open(self, digest: Digest, size: int) -> BinaryIO:
        """The blob, seekable; SourceError when it is not here. Whoever reads it compares."""
        place = self.location(digest)
        if not self.has(digest, size):
            raise SourceError(
                f"{place}: expected a blob of {size} bytes, found none",
                "run the command again: it is fetched anew",
            )
        with _naming(place, "read"):
            return place.open("rb")

    def put(self, data: bytes) -> Digest:
        """Keeps a small blob; its digest."""
        digest = Digest.of(data)
        if self.get(digest) is None:
            self._write(self.location(digest), digest.hex, data)
        return digest

    def get(self, digest: Digest) -> bytes | None:
        """A small blob, at most 16 MiB; None when it is not here, or damaged."""
        data = _read(self.location(digest))
        return data if data is not None and Digest.of(data) == digest else None

    def held(self, digest: Digest) -> int:
        """How many bytes of an unfinished download are here already."""
        try:
            return self._partial(digest.hex).lstat().st_size
        except OSError:
            return 0

    def fetch(self, digest: Digest, size: int, what: str, read: Read, progress: Progress) -> None:
        """Keeps the blob whose bytes `read(offset)` gives from an offset on; `what` names it.

        What an earlier run left is hashed again and continued. While another process fetches the
        same blob, this one waits. IntegrityError for other bytes than promised, which are dropped;
        SourceError for too few, which are kept.
        """
        if self.has(digest, size):
            progress.advance(size)
            return
        place = self.location(digest)
        with self._alone(self._partial(digest.hex), progress) as partial:
            if self.has(digest, size):
                progress.advance(size)
                return
            before = partial.size()
            found = _fill(partial, size, what, read, progress)
            if found != digest and before:
                # Perhaps only what lay here was damaged, by a machine that lost its power.
                partial.clear()
                progress.advance(-size)
                found = _fill(partial, size, what, read, progress)
            if found != digest:
                partial.clear()
                raise IntegrityError(
                    f"{what}: expected {digest}, found {found}",
                    "its source gives other bytes than it promised",
                )
            self._finish(partial, place)

    def adopt(self, path: Path, digest: Digest, size: int, what: str) -> None:
        """Takes the finished file at `path`, on the same disk, into the store.

        IntegrityError when it has another size or digest; then it is removed.
        """
        with _naming(path, "read"), path.open("rb+") as file:
            found = Digest(hashlib.file_digest(file, "sha256").hexdigest())
            length = file.tell()
            if (found, length) == (digest, size):
                os.fsync(file.fileno())
        if (found, length) != (digest, size):
            path.unlink(missing_ok=True)
            raise IntegrityError(
                f"{what}: expected {digest} of {size} bytes, found {found} of {length}",
                "its source gives other bytes than it promised",
            )
        place = self.location(digest)
        self._prepare(place.parent)
        with _naming(place, "written"):
            path.replace(place)
            sync_folder(place.parent)

    def drop_damaged(self, blobs: Iterable[tuple[Digest, int]]) -> tuple[Path, ...]:
        """Reads those of `blobs` (digest, size) that are here, and removes what has other bytes.

        For whoever found out that something he read is not what it was; returns what is gone.
        """
        gone = []
        for digest, size in blobs:
            if self.has(digest, size):
                place = self.location(digest)
                with _naming(place, "read"), place.open("rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
                if found != digest.hex:
                    place.unlink(missing_ok=True)
                    gone.append(place)
        return tuple(gone)

    @contextmanager
    def staging(self, key: str) -> Iterator[Path]:
        """The folder of `key`, for this process alone; what is in it stays for the next run."""
        folder = self._folder / "staging" / Digest.of(key.encode()).hex
        with self._alone(folder.with_name(f"{folder.name}.lock"), SILENT, stays=True):
            self._prepare(folder)
            yield folder

    def require_room(self, size: int) -> None:
        """SourceError unless the disk has room for `size` more bytes."""
        with _naming(self._folder, "read"):
            status = os.statvfs(self._existing())
        free = status.f_bavail * status.f_frsize
        if free < size:
            raise SourceError(
                shortage(str(self._folder), size, free),
                f"make room, or use another disk: {_HINT}",
            )

    def shares_disk(self, folder: Path) -> bool:
        """Whether what is kept here takes its room from the disk of `folder`."""
        with _naming(self._folder, "read"):
            return self._existing().stat().st_dev == folder.stat().st_dev

    def remember(self, key: Digest, data: bytes) -> None:
        """Keeps a small result by the digest of all that it follows from."""
        line = f"{Digest.of(data)}\n".encode()
        self._write(self._note(key), f"note-{key.hex}", line + data)

    def recall(self, key: Digest) -> bytes | None:
        """What was remembered under `key`; None when there is nothing, or it is damaged.

        None as well when somebody else may write there: unlike a blob's, a result's digest does
        not say whether it is true.
        """
        stored = _read(self._note(key)) if self._is_ours() else None
        line, _, data = (stored or b"").partition(b"\n")
        return data if line == str(Digest.of(data)).encode() else None

    def _existing(self) -> Path:
        """The folder, or the one above it that is there."""
        folder = self._folder.absolute()
        while not folder.exists():
            folder = folder.parent
        return folder

    def _is_ours(self) -> bool:
        try:
            found = [folder.stat() for folder in (self._folder, self._folder / "notes")]
        except OSError:
            return False
        return all(
            status.st_uid == os.geteuid() and not status.st_mode & _WRITABLE_BY_OTHERS
            for status in found
        )

    def _note(self, key: Digest) -> Path:
        return self._folder / "notes" / key.hex

    def _partial(self, name: str) -> Path:
        return self._folder / "partial" / name

    def _prepare(self, folder: Path) -> None:
        for each in (self._folder, folder.parent, folder):
            with _naming(each, "made"):
                each.mkdir(0o700, parents=True, exist_ok=True)

    def _write(self, place: Path, name: str, data: bytes) -> None:
        with self._alone(self._partial(name), SILENT) as partial:
            partial.clear()
            partial.append(data)
            self._finish(partial, place)

    def _finish(self, partial: _Held, place: Path) -> None:
        self._prepare(place.parent)
        with _naming(place, "written"):
            os.fsync(partial.fd)
            partial.path.replace(place)
            sync_folder(place.parent)

    @contextmanager
    def _alone(self, path: Path, progress: Progress, stays: bool = False) -> Iterator[_Held]:
        """The file at `path`, which no other process holds; removed in the end when empty."""
        self._prepare(path.parent)
        held = _hold(path, progress)
        try:
            yield held
        finally:
            if not stays and not held.size():
                held.path.unlink(missing_ok=True)
            os.close(held.fd)


@dataclass(frozen=True)
class _Held:
    """A file under way, open and locked."""

    fd: int
    path: Path

    def size(self) -> int:
        return os.fstat(self.fd).st_size

    def clear(self) -> None:
        with _naming(self.path, "written"):
            os.ftruncate(self.fd, 0)
            os.lseek(self.fd, 0, os.SEEK_SET)

    def append(self, data: bytes) -> None:
        view = memoryview(data)
        with _naming(self.path, "written"):
            while view:
                view = view[os.write(self.fd, view) :]

    def hand_over(self, start: int, end: int) -> None:
        """Lets the disk begin to write these bytes, so that to sync them all is short in the end.

        Where they lie on the disk already, they may leave the memory; Linux begins to write the
        others (posix_fadvise(2)).
        """
        os.posix_fadvise(self.fd, start, end - start, os.POSIX_FADV_DONTNEED)

    def hash(self, progress: Progress) -> _Hash:
        """The state of all that is there already; what comes next is appended."""
        state = hashlib.sha256()
        with _naming(self.path, "read"):
            os.lseek(self.fd, 0, os.SEEK_SET)
            while chunk := os.read(self.fd, CHUNK):
                state.update(chunk)
                progress.advance(len(chunk))
        return state


def _hold(path: Path, progress: Progress) -> _Held:
    while True:
        with _naming(path, "written"):
            fd = os.open(path, _FLAGS, 0o600)
        try:
            _lock(fd, path, progress)
            if _is_at(fd, path):
                return _Held(fd, path)
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _is_at(fd: int, path: Path) -> bool:
    """False when whoever held the file while we waited gave it its final name, or removed it."""
    with _naming(path, "read"):
        try:
            return os.path.samestat(os.fstat(fd), os.stat(path, follow_symlinks=False))
        except FileNotFoundError:
            return False


def _lock(fd: int, path: Path, progress: Progress) -> None:
    while True:
        with _naming(path, "locked"):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                return
        progress.advance(0)  # Whoever wants this to end says so here.
        time.sleep(_PAUSE)


def _fill(partial: _Held, size: int, what: str, read: Read, progress: Progress) -> Digest:
    """Continues the file to its end; the digest of all of it."""
    if partial.size() > size:
        partial.clear()
    state, offset = partial.hash(progress), partial.size()
    handed = offset
    for chunk in read(offset) if offset < size else ():
        offset += len(chunk)
        if offset > size:
            partial.clear()
            raise IntegrityError(f"{what}: expected {size} bytes, found more")
        state.update(chunk)
        partial.append(chunk)
        if offset - handed >= _BEHIND:
            partial.hand_over(handed, offset)
            handed = offset
        progress.advance(len(chunk))
    if offset < size:
        raise SourceError(
            f"{what}: expected {size} bytes, it ended after {offset}",
            "run the command again: it goes on where it stopped",
        )
    return Digest(state.hexdigest())


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_INDEX + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _refused(path, "read", error) from error
    return data if len(data) <= MAX_INDEX else None


@contextmanager
def _naming(path: Path, done: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _refused(path, done, error) from error


def _refused(path: Path, done: str, error: OSError) -> SourceError:
    return SourceError(f"{path}: can't be {done}: {error.strerror}", _HINT)
