"""What is not here yet: fetched into the store, several at a time, before anything is packed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bundler.archive.store import Store
from bundler.archive.together import together
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
    # The largest first: a small one fills the gap at the end, a large one makes it.
    largest_first = sorted(wanted.values(), key=_order)
    together(lambda each, shared: each.fetch(store, shared), largest_first, progress, THREADS)


def _order(remote: Remote) -> tuple[int, Digest]:
    return -remote.size, remote.digest
