"""What lies in a folder of inputs: regular files with names that every system can hold."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from bundler.core.errors import IntegrityError, SourceError
from bundler.core.lock import check_path
from bundler.sources.steady import Stamp, kind_of, unreadable

MAX_DEPTH = 64
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

# What git and the hub's client leave behind; neither is part of what a user means by the folder.
_LEFT_OUT_ANYWHERE = ".git"
_LEFT_OUT_AT_TOP = ".cache/huggingface"


def below(root: Path, path: str) -> Path:
    """`path` below `root`; SourceError when a folder on the way is a link.

    Its end is for whoever opens it to look at; an absolute `path` is taken as it is.
    """
    if not Path(path).is_absolute():
        for folder in reversed(Path(path).parents):
            if os.path.islink(root / folder) and folder != Path():
                raise SourceError(
                    f"{root / folder}: is a symbolic link, which is not followed",
                    "put the files themselves there, or name the folder where they are",
                )
    return root / path


def walk(folder: Path) -> tuple[tuple[str, Stamp], ...]:
    """Every file below `folder` (path relative to it, stamp), sorted by the bytes of the path.

    The whole folder has to be clean, whatever of it will travel: SourceError for a link, a
    device, a pipe, a socket, a bad name (`check_name`), two names that differ only in case.
    """
    try:
        descriptor = os.open(folder, _FOLDER)
    except OSError as error:
        raise _no_folder(folder, error) from error
    try:
        entries = list(_entries(descriptor, folder, ""))
    except OSError as error:
        raise unreadable(folder, error) from error
    found = tuple(sorted(entries, key=lambda item: item[0].encode()))
    _refuse_twins(folder, (path for path, _ in found))
    return found


def check_names(paths: Collection[str], where: str) -> None:
    """SourceError unless `paths`, as somebody states them, could be those of a clean folder."""
    for path in paths:
        check_name(path, where)
        if path.count("/") > MAX_DEPTH:
            raise SourceError(f"{where}: folders are nested deeper than {MAX_DEPTH}: {path!r}")
    _refuse_twins(where, iter(paths))
    folders = {str(folder) for path in paths for folder in PurePosixPath(path).parents}
    for path in paths:
        if path in folders:
            raise SourceError(f"{where}: {path!r} is a file and a folder")


def check_name(path: str, where: Path | str) -> None:
    """SourceError unless `path` is UTF-8 in NFC that may stand in a bundle.

    No backslash, colon, control character, `..`, whiteout prefix `.wh.`; at most 1024 bytes
    (docs/format.md, "Models": a path).
    """
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        raise SourceError(f"{where}: name {path!r} is not UTF-8", "rename the file") from None
    if unicodedata.normalize("NFC", path) != path:
        raise SourceError(f"{where}: name {path!a} is not in Unicode's NFC", "rename the file")
    if any(unicodedata.category(char) == "Cc" for char in path):
        raise SourceError(f"{where}: name {path!a} has a control character", "rename the file")
    try:
        check_path(path, str(where))
    except IntegrityError as error:
        raise SourceError(error.message, error.hint) from error


def _entries(descriptor: int, folder: Path, prefix: str) -> Iterator[tuple[str, Stamp]]:
    """The files of the folder that is open as `descriptor`, which is closed in the end."""
    try:
        if prefix.count("/") > MAX_DEPTH:
            raise SourceError(f"{folder}: folders are nested deeper than {MAX_DEPTH}: {prefix!r}")
        with os.scandir(descriptor) as entries:
            for entry in entries:
                path = prefix + entry.name
                if entry.name != _LEFT_OUT_ANYWHERE and path != _LEFT_OUT_AT_TOP:
                    yield from _entry(descriptor, folder, path, entry)
    finally:
        os.close(descriptor)


def _entry(
    parent: int, folder: Path, path: str, entry: os.DirEntry[str]
) -> Iterator[tuple[str, Stamp]]:
    check_name(path, folder)
    status = entry.stat(follow_symlinks=False)
    if stat.S_ISREG(status.st_mode):
        yield path, Stamp.of(status)
    elif stat.S_ISDIR(status.st_mode):
        try:
            child = os.open(entry.name, _FOLDER, dir_fd=parent)
        except OSError as error:
            raise unreadable(folder / path, error) from error
        yield from _entries(child, folder, path + "/")
    else:
        kind = kind_of(status.st_mode)
        hint = "copy what it points to (cp -rL)" if "link" in kind else "remove it"
        raise SourceError(f"{folder / path}: expected a file or a folder, found {kind}", hint)


def _refuse_twins(folder: Path | str, paths: Iterator[str]) -> None:
    """A file system that ignores case would hold only one of the two."""
    known: dict[str, str] = {}
    for path in paths:
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            name = "/".join(parts[:depth])
            twin = known.setdefault(_fold(name), name)
            if twin != name:
                raise SourceError(
                    f"{folder}: {twin!r} and {name!r} differ only in case", "rename one of them"
                )


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())


def _no_folder(folder: Path, error: OSError) -> SourceError:
    if folder.is_symlink():
        return SourceError(
            f"{folder}: expected a folder, found a symbolic link", "name the folder itself"
        )
    return unreadable(folder, error, "a folder")
