"""A folder that gets its name when it is whole, and of which a killed process leaves what it had.

Beside the name-to-be stands ``.NAME.partial`` with ``tree``, the content so far, and notes about
what of it is whole. Files in it are 0444, and on the disk before anything is noted about them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bundler.archive.newfile import sync_folder
from bundler.core.errors import IntegrityError, SourceError, UsageError
from bundler.core.room import shortage

_FILE_MODE = 0o444
_FOLDER_MODE = 0o755
# What says of one layer which files it has.
_LONGEST_NOTE = 64 * 1024**2


@dataclass(frozen=True)
class NewFolder:
    """A folder that is being filled; every failure to write is a UsageError that names the file."""

    partial: Path

    @property
    def tree(self) -> Path:
        """What will have the final name."""
        return self.partial / "tree"

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """The new file `name`, to the disk; IntegrityError when it is there already."""
        path = self.tree / name
        with _naming(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                fd = os.open(path, flags, 0o600)
            except FileExistsError as error:
                raise IntegrityError(f"{name[:200]!r}: stands twice in one model") from error
        try:
            for chunk in chunks:
                with _naming(path):
                    _write_all(fd, chunk)
            with _naming(path):
                os.fchmod(fd, _FILE_MODE)
                os.fsync(fd)
        finally:
            os.close(fd)

    def notes(self) -> dict[str, bytes]:
        """What was noted, also by a process that is gone."""
        return {path.stem: _noted(path) for path in self.partial.glob("*.note")}

    def note(self, name: str, text: bytes) -> None:
        """Keep `text` under `name`, once the files that it is about are on the disk."""
        path = self.partial / f"{name}.note"
        with _naming(path):
            path.write_bytes(text)

    def keep(self, names: Iterable[str]) -> None:
        """Remove every file but those with these `names`."""
        kept = set(names)
        for name in names_in(self.tree):
            if name not in kept:
                (self.tree / name).unlink()

    def require_room(self, size: int) -> None:
        """UsageError unless the disk has room for `size` bytes more."""
        free = shutil.disk_usage(self.partial).free
        if free < size:
            raise UsageError(
                shortage(str(self.partial.parent), size, free),
                "make the volume larger, or remove what nobody needs on it",
            )


@contextmanager
def new_folder(path: Path) -> Iterator[NewFolder]:
    """A folder that becomes `path` in one move when all went well; else it is gone on with.

    UsageError when it can't be written, SourceError while another process is writing it.
    """
    folder = NewFolder(path.with_name(f".{path.name}.partial"))
    with _naming(folder.partial):
        for each in (folder.partial, folder.tree):
            with suppress(FileExistsError):
                each.mkdir(0o700)
            _require_ours(each)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(folder.partial, flags)
    try:
        _lock_alone(fd, folder.partial)
        yield folder
        with _naming(path):
            _settle(folder.tree)
            # An empty folder of that name gives way: a kubelet makes one for whom it is to mount.
            folder.tree.rename(path)
            sync_folder(path.parent)
        shutil.rmtree(folder.partial, ignore_errors=True)
    finally:
        os.close(fd)


def is_filled(path: Path) -> bool:
    """Whether something is in the folder at `path`; UsageError when it is something else."""
    with _naming(path):
        try:
            return any(path.iterdir())
        except FileNotFoundError:
            return False


def names_in(folder: Path) -> list[str]:
    """Every file below `folder` by its path, sorted; UsageError for what is no regular file."""
    found = []
    for place, folders, files in os.walk(folder):
        for each in (*folders, *files):
            path = Path(place, each)
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise UsageError(f"{path}: expected only files and folders, found something else")
        found += [Path(place, each).relative_to(folder).as_posix() for each in files]
    return sorted(found, key=str.encode)


def _require_ours(folder: Path) -> None:
    """UsageError for what somebody else has put where a loader that is gone may have left its own.

    Files are removed below it: through a link, those would be another folder's.
    """
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or not _is_our_id(found.st_uid, folder.parent):
        raise UsageError(
            f"{folder}: expected a folder of this user, as a load that was cut off leaves one, "
            "found something else, or another user's",
            "nothing was changed: look whose it is, and remove it",
        )


def _is_our_id(uid: int, folder: Path) -> bool:
    """Whether what we make in `folder` belongs to `uid`: a share may give us the id of another."""
    if uid == os.geteuid():
        return True
    probe = tempfile.mkdtemp(prefix=".airbundle-", dir=folder)
    try:
        return os.lstat(probe).st_uid == uid
    finally:
        os.rmdir(probe)


def _noted(path: Path) -> bytes:
    """The note at `path`; UsageError for what is none of ours."""
    try:
        found = os.lstat(path)
        if stat.S_ISREG(found.st_mode) and found.st_size <= _LONGEST_NOTE:
            return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}") from error
    raise UsageError(
        f"{path}: expected a regular file of at most {_LONGEST_NOTE} bytes, found something else",
        f"remove {path.parent}: it holds what a load that was cut off left",
    )


def _settle(tree: Path) -> None:
    """Every folder open for readers, and on the disk."""
    for place, _, _ in os.walk(tree, topdown=False):
        os.chmod(place, _FOLDER_MODE)
        sync_folder(Path(place))


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _lock_alone(fd: int, partial: Path) -> None:
    alone = False
    with suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between open and lock the other one may have ended, and taken it away.
        alone = os.path.samestat(os.fstat(fd), os.stat(partial))
    if not alone:
        # Not the exit code of what stays wrong: the next attempt may find it ended.
        raise SourceError(f"{partial}: another loader is writing it", "wait for it to end")


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path}: can't be written: {error.strerror}") from error
