"""What is not here yet: fetched into the store, several at a time, before anything is packed."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bundler.archive.store import Store
from bundler.core.digest import Digest
from bundler.core.progress import Progress

# Enough to keep a line busy while one connection is being made; more would only divide it.
THREADS = 4


class Remote(Protocol):
    """A blob somewhere else: its digest, its size in bytes, and `what` to call it in an error."""

    @property
    def digest(self) -> Digest:
        """The digest that its bytes must have."""

    @property
    def size(self) -> int:
        """How many bytes it has."""

    @property
    def what(self) -> str:
        """Its name, as a person knows it."""

    def fetch(self, store: Store, progress: Progress) -> None:
        """Gets it into `store`, and `advance`s `progress` by every byte; SourceError."""


@dataclass(frozen=True)
class Reach:
    """What a source may use.

    Paths are relative to `root`; `mirrors` has, for a registry's host, the ``HOST[:PORT][/PREFIX]``
    to ask instead.
    """

    root: Path
    store: Store
    mirrors: Mapping[str, str] = field(default_factory=dict)


def fetch_all(remotes: Iterable[Remote], store: Store, progress: Progress) -> None:
    """Gets every one of `remotes` into `store`: each digest once, what is there not again.

    SourceError before the first byte when the disk has no room for them. The first error ends the
    others, which go on another time where they stopped.
    """
    wanted = {each.digest: each for each in remotes if not store.has(each.digest, each.size)}
    if not wanted:
        return
    total = sum(each.size for each in wanted.values())
    store.require_room(total - sum(store.held(digest) for digest in wanted))
    progress.phase("downloading", total)
    work = _Work(store, progress)
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            # The largest first: a small one fills the gap at the end, a large one makes it.
            wait([pool.submit(work.fetch, each) for each in sorted(wanted.values(), key=_order)])
        finally:
            work.ended.set()
    if work.errors:
        raise work.errors[0]


def _order(remote: Remote) -> tuple[int, Digest]:
    return -remote.size, remote.digest


class _EndedError(Exception):
    """Another download failed, or the user has had enough."""


class _Work:
    """What the threads share. It is a Progress, too, whose `advance` ends them."""

    def __init__(self, store: Store, progress: Progress) -> None:
        self.ended = threading.Event()
        self.errors: list[BaseException] = []
        self._store = store
        self._progress = progress

    def fetch(self, remote: Remote) -> None:
        if self.ended.is_set():
            return
        try:
            remote.fetch(self._store, self)
        except _EndedError:
            pass
        except BaseException as error:
            self.errors.append(error)
            self.ended.set()
            raise

    def phase(self, label: str, total: int | None) -> None:
        self._progress.phase(label, total)

    def advance(self, count: int) -> None:
        if self.ended.is_set():
            raise _EndedError
        self._progress.advance(count)
