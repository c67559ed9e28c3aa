"""The store: nothing wrong is ever under a final name, whoever dies, and whoever else is at it."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bundler.archive.store import Store
from bundler.core.digest import Digest
from bundler.core.errors import IntegrityError, SourceError
from bundler.core.progress import SILENT

DATA = bytes(range(256)) * 20
DIGEST = Digest.of(DATA)
CHUNK = 1000
ROOT = Path(__file__).resolve().parents[2]

# A child that fetches DATA in pieces, and does `{deed}` just before the piece at 2000.
CHILD = """
import os, signal, sys
from pathlib import Path
from bundler.archive import store
from tests.archive.test_store import DATA, DIGEST, CHUNK

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

class Telling:
    def phase(self, label, total): pass
    def advance(self, count):
        if count == 0:
            print("waiting", flush=True)

def read(offset):
    print("reads from", offset, flush=True)
    for place in range(offset, len(DATA), CHUNK):
        if place == 2000:
            {deed}
        yield DATA[place : place + CHUNK]

{before}
store.Store(Path(sys.argv[1])).fetch(DIGEST, len(DATA), "the blob", read, Telling())
print("has it", flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache" / "store")


def child(store: Store, deed: str = "pass", before: str = "") -> subprocess.Popen[str]:
    script = CHILD.format(deed=deed, before=before)
    return subprocess.Popen(
        [sys.executable, "-c", script, str(store._folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


class Source:
    """Gives `data` from an offset on, and remembers the offsets."""

    def __init__(self, data: bytes = DATA, end: int | None = None) -> None:
        self.data = data
        self.end = end
        self.asked: list[int] = []

    def read(self, offset: int) -> Iterator[bytes]:
        self.asked.append(offset)
        for place in range(offset, len(self.data), CHUNK):
            if self.end is not None and place >= self.end:
                raise SourceError("the line was cut")
            yield self.data[place : place + CHUNK]


class Counting:
    def __init__(self) -> None:
        self.done = 0

    def phase(self, label: str, total: int | None) -> None:
        raise AssertionError("the store begins no phase")

    def advance(self, count: int) -> None:
        self.done += count


def fetch(store: Store, source: Source, size: int = len(DATA)) -> int:
    """Fetches DATA from `source`; how many bytes of progress that were."""
    progress = Counting()
    store.fetch(DIGEST, size, "model.bin of acme/nli", source.read, progress)
    return progress.done


def content(store: Store) -> bytes:
    with store.open(DIGEST, len(DATA)) as stream:
        return stream.read()


def files(store: Store) -> set[str]:
    return {path.relative_to(store._folder).as_posix() for path in store._folder.rglob("*")}


def test_a_blob_is_fetched_once_and_seekable(store: Store) -> None:
    source = Source()
    assert not store.has(DIGEST, len(DATA))
    assert [fetch(store, source), fetch(store, source)] == [len(DATA), len(DATA)]
    assert source.asked == [0]
    assert store.has(DIGEST, len(DATA))
    assert content(store) == DATA
    with store.open(DIGEST, len(DATA)) as stream:
        stream.seek(-1, os.SEEK_END)
        assert stream.read() == DATA[-1:]
    assert files(store) == {"blobs", f"blobs/{DIGEST.hex}", "partial"}


def test_it_is_for_its_owner_alone(store: Store) -> None:
    fetch(store, Source())
    for path in (store._folder, *store._folder.rglob("*")):
        assert not path.stat().st_mode & 0o077


def test_an_empty_blob_needs_no_source(store: Store) -> None:
    empty, source = Digest.of(b""), Source()
    store.fetch(empty, 0, "empty", source.read, SILENT)
    assert store.has(empty, 0)
    assert source.asked == []


def test_what_was_cut_off_goes_on_where_it_stopped(store: Store) -> None:
    with pytest.raises(SourceError, match="the line was cut"):
        fetch(store, Source(end=3000))
    assert store.held(DIGEST) == 3000
    source = Source()
    assert fetch(store, source) == len(DATA)
    assert source.asked == [3000]
    assert content(store) == DATA
    assert store.held(DIGEST) == 0


def test_too_few_bytes_are_kept_and_said(store: Store) -> None:
    with pytest.raises(SourceError, match="acme/nli: expected 5120 bytes, it ended after 4000"):
        fetch(store, Source(DATA[:4000]))
    assert not store.has(DIGEST, len(DATA))
    assert store.held(DIGEST) == 4000


WRONG = {"other": b"x" * len(DATA), "longer": DATA + b"x", "last byte": DATA[:-1] + b"x"}


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_wrong_bytes_are_dropped_and_named(store: Store, data: bytes) -> None:
    with pytest.raises(IntegrityError, match=r"model\.bin of acme/nli: expected .*, found"):
        fetch(store, Source(data))
    assert not files(store) - {"blobs", "partial"}
    assert store.held(DIGEST) == 0
    fetch(store, Source())
    assert content(store) == DATA


def test_a_source_that_does_not_end_is_left_at_the_first_byte_too_many(store: Store) -> None:
    given: list[int] = []

    def read(offset: int) -> Iterator[bytes]:
        for chunk in Source(DATA * 100).read(offset):
            given.append(len(chunk))
            yield chunk

    with pytest.raises(IntegrityError, match=r"the blob: expected 5120 bytes, found more"):
        store.fetch(DIGEST, len(DATA), "the blob", read, SILENT)
    assert sum(given) == 6000
    assert store.held(DIGEST) == 0


LEFT = {"shorter": b"y" * 3000, "whole": b"y" * len(DATA), "longer": DATA + b"y"}


@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT)
def test_a_damaged_beginning_is_fetched_anew(store: Store, left: bytes) -> None:
    fetch(store, Source())
    store.location(DIGEST).unlink()
    (store._folder / "partial" / DIGEST.hex).write_bytes(left)
    source = Source()
    assert fetch(store, source) == len(DATA)
    assert source.asked[-1] == 0
    assert content(store) == DATA


def test_a_blob_of_another_size_is_none(store: Store) -> None:
    fetch(store, Source())
    os.truncate(store.location(DIGEST), 10)
    assert not store.has(DIGEST, len(DATA))
    with pytest.raises(SourceError, match="expected a blob of 5120 bytes, found none") as caught:
        store.open(DIGEST, len(DATA))
    assert caught.value.hint
    fetch(store, Source())
    assert content(store) == DATA


KILLS = {
    "amid the bytes": ("die()", "", 2000),
    "before the sync": ("pass", "store.os.fsync = die", len(DATA)),
    "before the name": ("pass", "store.Path.replace = die", len(DATA)),
    "before the folder's sync": ("pass", "store.sync_folder = die", None),
}


@pytest.mark.parametrize(("deed", "before", "held"), KILLS.values(), ids=KILLS)
def test_killed_at_any_moment_it_ends_the_same(
    store: Store, deed: str, before: str, held: int | None
) -> None:
    first = child(store, deed, before)
    first.communicate()
    assert first.returncode == -signal.SIGKILL
    assert store.has(DIGEST, len(DATA)) == (held is None)
    source = Source()
    assert fetch(store, source) == len(DATA)
    assert source.asked == ([held] if held == 2000 else [])
    assert content(store) == DATA
    assert store.held(DIGEST) == 0


def test_of_two_processes_one_fetches_and_one_waits(store: Store) -> None:
    first = child(store, "sys.stdin.readline()")
    assert first.stdout is not None
    assert first.stdout.readline() == "reads from 0\n"
    second = child(store)
    assert second.stdout is not None
    assert second.stdout.readline() == "waiting\n"
    first.communicate("\n")
    rest, _ = second.communicate()
    assert rest.replace("waiting\n", "") == "has it\n"
    assert content(store) == DATA


def test_who_waits_goes_on_when_the_other_dies(store: Store) -> None:
    first = child(store, "sys.stdin.readline(); die()")
    assert first.stdout is not None
    assert first.stdout.readline() == "reads from 0\n"
    second = child(store)
    assert second.stdout is not None
    assert second.stdout.readline() == "waiting\n"
    first.communicate("\n")
    rest, _ = second.communicate("\n")
    assert rest.replace("waiting\n", "") == "reads from 2000\nhas it\n"
    assert content(store) == DATA


def test_who_waits_does_not_write_over_what_the_other_finished(store: Store) -> None:
    first = child(store, "sys.stdin.readline()")
    assert first.stdout is not None
    assert first.stdout.readline() == "reads from 0\n"
    put = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from bundler.archive import store\n"
        "from tests.archive.test_store import DATA\n"
        "sleep = time.sleep\n"
        "time.sleep = lambda pause: (print('waiting', flush=True), sleep(pause))\n"
        "store.Store(Path(sys.argv[1])).put(DATA)\n"
    )
    argv = [sys.executable, "-c", put, str(store._folder)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT) as second:
        assert second.stdout is not None
        assert second.stdout.readline() == "waiting\n"
        first.communicate("\n")
    assert second.returncode == 0
    assert content(store) == DATA


@pytest.mark.parametrize("look", [1, 2])
def test_a_file_may_go_while_somebody_looks_whether_it_is_still_there(
    look: int, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Path] = []
    stat = os.stat

    def gone(path: Path, **how: bool) -> os.stat_result:
        if Path(path) == store._folder / "partial" / DIGEST.hex:
            looks.append(path)
            if len(looks) == look:
                os.unlink(path)
        return stat(path, **how)

    monkeypatch.setattr(os, "stat", gone)
    store.put(DATA)
    assert looks
    assert content(store) == DATA


def test_small_blobs_are_checked_whenever_they_are_read(store: Store) -> None:
    assert store.get(DIGEST) is None
    assert store.put(DATA) == DIGEST
    assert store.get(DIGEST) == DATA
    store.location(DIGEST).write_bytes(DATA[:-1] + b"x")
    assert store.get(DIGEST) is None
    store.put(DATA)
    assert store.get(DIGEST) == DATA
    assert files(store) == {"blobs", f"blobs/{DIGEST.hex}", "partial"}


def test_a_finished_file_is_adopted(store: Store, tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    beside.write_bytes(DATA)
    store.adopt(beside, DIGEST, len(DATA), "model.bin")
    assert content(store) == DATA
    assert not beside.exists()


@pytest.mark.parametrize("data", [DATA[:-1], b"x" * len(DATA)], ids=["shorter", "other"])
def test_a_wrong_file_is_not_adopted(store: Store, tmp_path: Path, data: bytes) -> None:
    beside = tmp_path / "beside"
    beside.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"model\.bin: expected sha256:"):
        store.adopt(beside, DIGEST, len(DATA), "model.bin")
    assert not beside.exists()
    assert not store.has(DIGEST, len(DATA))


def test_staging_stays_and_belongs_to_one(store: Store) -> None:
    with store.staging("hub acme/nli") as folder:
        (folder / "half").write_bytes(b"x")
        script = (
            "import fcntl, os, sys\n"
            "fd = os.open(sys.argv[1] + '.lock', os.O_RDWR)\n"
            "fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        )
        argv = [sys.executable, "-c", script, str(folder)]
        assert b"BlockingIOError" in subprocess.run(argv, capture_output=True).stderr
        with store.staging("another key") as other:
            assert other != folder
    with store.staging("hub acme/nli") as again:
        assert again == folder
        assert (again / "half").read_bytes() == b"x"
    assert subprocess.run(argv, capture_output=True).returncode == 0


def test_room_is_asked_for_where_the_store_will_be(store: Store) -> None:
    store.require_room(1)
    with pytest.raises(SourceError, match=r"needs [0-9,.]+ MiB, its disk has [0-9,.]+ MiB free"):
        store.require_room(1 << 62)
    assert not store._folder.exists()


def test_results_are_remembered(store: Store) -> None:
    assert store.recall(DIGEST) is None
    store.remember(DIGEST, b"two\nlines")
    assert store.recall(DIGEST) == b"two\nlines"
    store.remember(DIGEST, b"")
    assert store.recall(DIGEST) == b""


DAMAGE = {"empty": b"", "no line": b"x", "other digest": b"sha256:00\nfindings", "lines": b"\n\n"}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_result_is_none(store: Store, damage: bytes) -> None:
    store.remember(DIGEST, b"findings")
    (store._folder / "notes" / DIGEST.hex).write_bytes(damage)
    assert store.recall(DIGEST) is None


@pytest.mark.parametrize("name", [".", "notes"])
def test_a_result_is_not_believed_where_others_may_write(store: Store, name: str) -> None:
    store.remember(DIGEST, b"findings")
    (store._folder / name).chmod(0o777)
    assert store.recall(DIGEST) is None


@contextmanager
def _nobody() -> Iterator[None]:
    """Without root's right to everything."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_can_not_be_written_is_named() -> None:
    with TemporaryDirectory() as name:
        Path(name).chmod(0o555)
        store = Store(Path(name) / "store")
        with _nobody(), pytest.raises(SourceError, match=r"store: can't be made: Perm") as made:
            store.put(DATA)
    assert "AIRBUNDLE_STORE" in str(made.value.hint)


def test_a_folder_that_can_not_be_read_is_named() -> None:
    with TemporaryDirectory() as name:
        store = Store(Path(name))
        fetch(store, Source())
        (Path(name) / "blobs").chmod(0)
        asks: tuple[Callable[[], object], ...] = (
            lambda: store.has(DIGEST, len(DATA)),
            lambda: store.get(DIGEST),
        )
        for ask in asks:
            with _nobody(), pytest.raises(SourceError, match=f"{DIGEST.hex}: can't be read: Perm"):
                ask()


def test_a_store_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = Store(tmp_path / "file")
    assert not store.has(DIGEST, len(DATA))
    assert store.get(DIGEST) is None
    with pytest.raises(SourceError, match="file: can't be made"):
        fetch(store, Source())


def test_a_full_disk_is_named_and_what_was_written_stays(store: Store) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2500, hard))
    try:
        with pytest.raises(SourceError, match="can't be written: File too large"):
            fetch(store, Source())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    source = Source()
    fetch(store, source)
    assert source.asked == [2500]
