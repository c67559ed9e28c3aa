"""Files that the hub keeps in git itself: many, small, known by git's SHA-1 of the blob alone.

Each is fetched into a folder of the store's, hashed both ways on its way, compared with git's
name, and then given to the store by its SHA-256. What is whole there when a run ends is not asked
for again, and the store remembers which SHA-256 belongs to which blob.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.archive.store import Store
from bundler.core.digest import Digest
from bundler.core.errors import BundlerError, IntegrityError, SourceError
from bundler.core.progress import Progress
from bundler.tools.hub import HubFile

if TYPE_CHECKING:
    from bundler.tools.hub.client import Repo

# Small files take the time of a request each, whatever the line can carry.
THREADS = 8
_CHUNK = 1024**2

# The SHA-256 of blobs, by git's name for them.
Blobs = dict[str, Digest]


def fetch_blobs(
    repo: Repo, commit: str, files: Sequence[HubFile], store: Store, progress: Progress
) -> Blobs:
    """Gets `files` of `commit` into `store`; what each blob hashes to, by its `oid`.

    IntegrityError for bytes that are not the blob that the hub listed; SourceError when they can't
    be had. Two processes that want blobs of one model go one after the other.
    """
    key = Digest.of(f"blobs of {repo.what}".encode())
    found = _recall(store, key)
    if not _missing(files, found, store):
        return found
    with store.staging(repo.what) as folder:
        found = _recall(store, key)  # another process may have been faster
        missing = _missing(files, found, store)
        store.require_room(sum(file.size for file in missing.values()))
        progress.phase("downloading", sum(file.size for file in missing.values()))
        work = _Work(repo, commit, folder, progress, threading.Event())
        fetched = _fetch(work, list(missing.values()))
        wanted = {file.oid for file in files}
        found = {oid: digest for oid, digest in found.items() if oid in wanted} | fetched
        store.remember(key, json.dumps({oid: str(each) for oid, each in found.items()}).encode())
        for oid, file in missing.items():
            store.adopt(folder / oid, found[oid], file.size, f"{repo.what}: {file.path}")
    return found


def _missing(
    files: Sequence[HubFile], found: Mapping[str, Digest], store: Store
) -> dict[str, HubFile]:
    """By `oid`, the files of which the store has no blob, or does not know which."""
    return {
        file.oid: file
        for file in files
        if file.oid not in found or not store.has(found[file.oid], file.size)
    }


def _recall(store: Store, key: Digest) -> Blobs:
    try:
        note = json.loads(store.recall(key) or b"{}")
        return {oid: Digest.parse(text) for oid, text in note.items()}
    except (AttributeError, TypeError, ValueError, BundlerError):
        return {}  # what another version wrote


def _fetch(work: _Work, files: Sequence[HubFile]) -> Blobs:
    with ThreadPoolExecutor(THREADS, thread_name_prefix="hub") as pool:
        try:
            found = list(pool.map(work.stage, files))
        finally:
            # After a failure or Ctrl-C nobody waits for what is left.
            work.stopped.set()
    return {file.oid: digest for file, digest in zip(files, found, strict=True) if digest}


def _write(stream: FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[stream.write(view) :]


class _Hashes:
    """Both names of the bytes so far, of which there will be `size`."""

    def __init__(self, size: int) -> None:
        self.length = 0
        self._sha256 = hashlib.sha256()
        # Git's object format; what it protects against here is damage.
        self._git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)

    def update(self, chunk: bytes) -> None:
        self.length += len(chunk)
        self._sha256.update(chunk)
        self._git.update(chunk)

    @property
    def oid(self) -> str:
        return self._git.hexdigest()

    @property
    def digest(self) -> Digest:
        return Digest(self._sha256.hexdigest())


@dataclass(frozen=True)
class _Work:
    """What the threads share."""

    repo: Repo
    commit: str
    folder: Path
    progress: Progress
    stopped: threading.Event

    def stage(self, file: HubFile) -> Digest | None:
        """Has `file`, whole and compared, under its `oid` in the folder; None if nobody waits."""
        try:
            return self._staged(file)
        except OSError as error:
            self.stopped.set()
            raise SourceError(
                f"{self.folder}: can't be written: {error.strerror}",
                "AIRBUNDLE_STORE names the folder to use",
            ) from error
        except BaseException:
            self.stopped.set()
            raise

    def _staged(self, file: HubFile) -> Digest | None:
        place = self.folder / file.oid
        # Without a buffer, what was received is there after SIGKILL, too.
        with place.open("ab+", buffering=0) as stream:
            before = stream.tell()
            found = self._fill(stream, file)
            if before and found.oid != file.oid:
                # Perhaps only what lay here was damaged, by a machine that lost its power.
                stream.truncate(0)
                self.progress.advance(-found.length)
                found = self._fill(stream, file)
        if self.stopped.is_set():
            return None
        if found.oid != file.oid:
            place.unlink()
            raise IntegrityError(
                f"{self._name(file)}: expected the git blob {file.oid}, found {found.oid}",
                "its source gives other bytes than it promised",
            )
        return found.digest

    def _fill(self, stream: FileIO, file: HubFile) -> _Hashes:
        """Continues `stream` to the size of `file`; what it has then."""
        found = _Hashes(file.size)
        stream.seek(0)
        while not self.stopped.is_set() and (chunk := stream.read(_CHUNK)):
            found.update(chunk)
            self.progress.advance(len(chunk))
        for chunk in self.repo.read(self.commit, file.path, found.length, file.size):
            if self.stopped.is_set():
                break
            _write(stream, chunk)
            found.update(chunk)
            self.progress.advance(len(chunk))
        if found.length < file.size and not self.stopped.is_set():
            raise SourceError(
                f"{self._name(file)}: expected {file.size} bytes, it ended after {found.length}",
                "run the command again: it goes on where it stopped",
            )
        return found

    def _name(self, file: HubFile) -> str:
        return f"{self.repo.what}: {file.path}"
