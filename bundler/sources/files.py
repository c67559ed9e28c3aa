"""Files from a path: listed, chosen, hashed, opened."""

from __future__ import annotations

import hashlib
import io
import stat
import threading
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO, Protocol

from bundler.core.digest import Digest
from bundler.core.errors import SourceError
from bundler.core.progress import SILENT, Progress
from bundler.sources.steady import Stamp, look, open_steady, unreadable
from bundler.sources.tree import check_name, walk

CHUNK = 1024**2
# More would only make a spinning disk seek; two keep one busy while the other is hashed.
THREADS = 2

# The digests of a lock, by path and size.
Known = Mapping[tuple[str, int], Digest]
NOTHING_KNOWN: Known = {}


class ModelFile(Protocol):
    """A file that a bundle will carry, wherever its bytes are; whoever reads them compares."""

    @property
    def path(self) -> str:
        """Its path in the bundle."""

    @property
    def size(self) -> int:
        """How many bytes it has."""

    @property
    def digest(self) -> Digest:
        """What its bytes hash to."""

    def open(self) -> BinaryIO:
        """The bytes, seekable; SourceError when they are not there."""


@dataclass(frozen=True)
class SourceFile:
    """A file as it was when it was hashed: `path` in the bundle, where it lies, size, digest."""

    path: str
    location: Path
    size: int
    digest: Digest
    stamp: Stamp = field(compare=False, repr=False)

    def open(self) -> BinaryIO:
        """The file, seekable; SourceError, now or on closing, when it is not what was hashed."""
        return io.BufferedReader(open_steady(self.location, self.stamp), CHUNK)


def list_files(
    folder: Path,
    include: tuple[str, ...] = (),
    progress: Progress = SILENT,
    known: Known = NOTHING_KNOWN,
    exclude: tuple[str, ...] = (),
) -> tuple[SourceFile, ...]:
    """The files below `folder` that `choose` takes, hashed, sorted by bytes.

    `.git` and the hub client's `.cache/huggingface` are left out. SourceError for what
    `tree.walk` refuses, for a pattern that leaves the folder, when nothing matches, when a file
    changes while it is hashed. A file in `known` is not hashed: whoever reads it compares.
    """
    found = dict(walk(folder))
    chosen = choose(found, include, exclude, folder)
    return _hash_all([(path, folder / path, found[path]) for path in chosen], progress, known)


def choose(
    paths: Collection[str], include: tuple[str, ...], exclude: tuple[str, ...], where: Path | str
) -> tuple[str, ...]:
    """Those of `paths` that a pattern of `include` matches (all if it is empty), none of `exclude`.

    A pattern is matched against the whole path, and `*` matches `/` too, as the hub's
    `allow_patterns` does: ``*.json`` means every JSON file at any depth, ``onnx/`` all of a folder.
    SourceError, naming `where`, for a pattern that leaves the folder, and when nothing is left.
    """
    taken = tuple(_pattern("include", text, where) for text in include)
    left = tuple(_pattern("exclude", text, where) for text in exclude)
    chosen = tuple(
        path for path in paths if (not taken or _matches(path, taken)) and not _matches(path, left)
    )
    if not chosen:
        wanted = f"files that match {', '.join(map(repr, include))}" if include else "files"
        without = f" and not {', '.join(map(repr, exclude))}" if exclude else ""
        count = f"{len(paths)} file{'' if len(paths) == 1 else 's'}"
        raise SourceError(
            f"{where}: expected {wanted}{without}, found none among {count}",
            "patterns are relative to the folder, and case matters" if paths else None,
        )
    return chosen


def list_source(
    location: Path,
    include: tuple[str, ...] = (),
    progress: Progress = SILENT,
    known: Known = NOTHING_KNOWN,
) -> tuple[SourceFile, ...]:
    """The files of a folder, as `list_files`, or the one file at `location` under its own name."""
    try:
        is_file = stat.S_ISREG(location.lstat().st_mode)
    except FileNotFoundError as error:
        raise unreadable(location, error, "a file or a folder") from error
    except OSError:
        is_file = False  # list_files says what is wrong
    if not is_file:
        return list_files(location, include, progress, known)
    check_name(location.name, location.parent)
    return _hash_all([(location.name, location, look(location))], progress, known)


def _pattern(kind: str, text: str, where: Path | str) -> str:
    if not text or text.startswith("/") or "\\" in text or ".." in text.split("/"):
        raise SourceError(
            f"{where}: {kind} {text!r} is no pattern below the folder",
            "write it relative to the folder, with `/` between folders",
        )
    return text + "*" if text.endswith("/") else text


def _matches(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def _hash_all(
    files: list[tuple[str, Path, Stamp]], progress: Progress, known: Known
) -> tuple[SourceFile, ...]:
    unknown = [stamp.size for path, _, stamp in files if (path, stamp.size) not in known]
    if unknown:
        progress.phase("hashing files", sum(unknown))
    stopped = threading.Event()

    def hashed(item: tuple[str, Path, Stamp]) -> SourceFile:
        path, location, stamp = item
        locked = known.get((path, stamp.size))
        digest = locked or _hash(location, stamp, progress, stopped)
        return SourceFile(path, location, stamp.size, digest, stamp)

    with ThreadPoolExecutor(THREADS, thread_name_prefix="hash") as pool:
        try:
            return tuple(pool.map(hashed, files))
        finally:
            # After a failure or Ctrl-C nobody waits for the other thread's hundred gigabytes.
            stopped.set()


def _hash(location: Path, stamp: Stamp, progress: Progress, stopped: threading.Event) -> Digest:
    state = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK))
    rest = stamp.size
    with open_steady(location, stamp) as stream:
        # A file that grows faster than it is read has more than its size, and fails on closing.
        while rest >= 0 and not stopped.is_set() and (count := stream.readinto(buffer)):
            state.update(buffer[:count])
            progress.advance(count)
            rest -= count
    return Digest(state.hexdigest())
