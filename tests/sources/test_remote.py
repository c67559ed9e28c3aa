"""Downloads, several at a time: each digest once, and the first error ends the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from bundler.archive import together
from bundler.archive.store import Store
from bundler.core.digest import Digest
from bundler.core.errors import SourceError
from bundler.core.progress import SILENT, Progress
from bundler.sources.remote import fetch_all


@dataclass
class Blob:
    """Something to fetch, in pieces of ten bytes; `before` is called ahead of the second one."""

    data: bytes
    before: threading.Event | None = None
    said: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None
    count: int = 0

    @property
    def digest(self) -> Digest:
        return Digest.of(self.data)

    @property
    def size(self) -> int:
        return len(self.data)

    @property
    def what(self) -> str:
        return f"blob {self.data[:4]!r}"

    def fetch(self, store: Store, progress: Progress) -> None:
        self.count += 1
        store.fetch(self.digest, self.size, self.what, self.read, progress)

    def read(self, offset: int) -> Iterator[bytes]:
        yield self.data[offset : offset + 10]
        self.said.set()
        if self.before:
            self.before.wait(5)
        if self.error:
            raise self.error
        for place in range(offset + 10, len(self.data), 10):
            yield self.data[place : place + 10]


class Telling:
    """Remembers the phases and the sum."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, int | None]] = []
        self.done = 0

    def phase(self, label: str, total: int | None) -> None:
        self.phases.append((label, total))

    def advance(self, count: int) -> None:
        self.done += count


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_each_digest_is_fetched_once_and_what_is_there_not_again(store: Store) -> None:
    here, one, twin, two = Blob(b"h" * 15), Blob(b"1" * 100), Blob(b"1" * 100), Blob(b"2" * 31)
    store.put(here.data)
    progress = Telling()
    fetch_all([here, one, twin, two], store, progress)
    assert (here.count, one.count + twin.count, two.count) == (0, 1, 1)
    assert progress.phases == [("downloading", 131)]
    assert progress.done == 131
    for blob in (here, one, two):
        with store.open(blob.digest, blob.size) as stream:
            assert stream.read() == blob.data
    fetch_all([here, one, twin, two], store, progress)
    assert len(progress.phases) == 1


def test_the_first_error_ends_the_others_which_go_on_later(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()
    monkeypatch.setattr(together, "threading", SimpleNamespace(Event=lambda: ended))
    slow = Blob(b"s" * 100, before=ended)
    bad = Blob(b"b" * 100, before=slow.said, error=SourceError("no more"))
    with pytest.raises(SourceError, match="no more"):
        fetch_all([slow, bad], store, SILENT)
    assert store.held(slow.digest) == 20
    monkeypatch.undo()
    fetch_all([slow], store, SILENT)
    assert store.has(slow.digest, slow.size)


def test_no_room_is_said_before_anything_is_fetched(store: Store) -> None:
    @dataclass
    class Huge(Blob):
        @property
        def size(self) -> int:
            return 1 << 62

    huge, small = Huge(b"x"), Blob(b"y")
    with pytest.raises(SourceError, match=r"store: needs .* MiB, its disk has "):
        fetch_all([small, huge], store, SILENT)
    assert (small.count, huge.count) == (0, 0)


def test_what_is_here_already_needs_no_room(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = Blob(b"x" * 100, error=SourceError("cut"))
    with pytest.raises(SourceError, match="cut"):
        fetch_all([blob], store, SILENT)
    asked: list[int] = []
    monkeypatch.setattr(store, "require_room", asked.append)
    blob.error = None
    fetch_all([blob], store, SILENT)
    assert asked == [90]


def test_an_interrupt_ends_the_threads(store: Store) -> None:
    class Impatient(Telling):
        def advance(self, count: int) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_all([Blob(b"1" * 100), Blob(b"2" * 100)], store, Impatient())
    assert not store.has(Digest.of(b"1" * 100), 100)
