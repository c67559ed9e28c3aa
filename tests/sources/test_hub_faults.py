"""Models of the hub when something goes wrong: cut, killed, lied to, shared, refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from bundler.archive.store import Store
from bundler.core.digest import Digest
from bundler.core.errors import IntegrityError, SourceError
from bundler.core.progress import SILENT
from tests.parts.components import ROOT
from tests.parts.hub import Hub
from tests.sources.test_hub import SOURCE, TINY, WEIGHTS, fetch, lock

CHILD = """
import sys
from pathlib import Path
from bundler.archive.store import Store
from bundler.sources.remote import Reach, fetch_all
from bundler.sources.model import resolve
from tests.sources.test_hub import model

class Told:
    def phase(self, label, total):
        pass

    def advance(self, count):
        if count:
            print("kept", count, flush=True)

store, told = Store(Path(sys.argv[1])), Told()
found = resolve(model(), Reach(Path("/"), store), told)
fetch_all(found.remotes, store, told)
print(*(file.path for file in found.files if store.has(file.digest, file.size)))
"""
Start = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> Store:
    return Store(folder)


@pytest.fixture
def start(folder: Path) -> Start:
    """Starts another process that locks and fetches into the same store."""

    def started() -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        argv = [sys.executable, "-c", CHILD, str(folder)]
        return subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True)

    return started


def _left(folder: Path) -> list[str]:
    """What the store holds of unfinished and of finished files."""
    places = [
        path for name in ("blobs", "partial", "staging") for path in folder.glob(f"{name}/**/*")
    ]
    return [path.name for path in places if path.is_file() and not path.name.endswith(".lock")]


def test_a_fetch_that_was_cut_off_goes_on_where_it_stopped(hub: Hub, store: Store) -> None:
    hub.add("org/tiny", TINY)
    found = lock(store)
    hub.fault("/model.safetensors", status=403, times=99)
    hub.fault("/blobs/", cut=100_000)
    hub.fault("/resolve/")
    with pytest.raises(SourceError, match="the token may not read it"):
        fetch(found, store)
    hub.mend()
    hub.forget()
    assert fetch(lock(store), store) == TINY
    assert [(a.begin, a.sent) for a in hub.asked("/blobs/")] == [(100_000, len(WEIGHTS) - 100_000)]
    assert not hub.asked("config.json")


def test_small_files_that_were_cut_off_go_on_too(hub: Hub, store: Store) -> None:
    data = os.urandom(300_000)
    hub.add("org/tiny", {"README.md": TINY["README.md"], "vocab.txt": data})
    hub.fault("/vocab.txt", status=403, times=99)
    hub.fault("/resolve-cache/models/org/tiny", cut=100_000, times=2)
    hub.fault("/resolve/", times=2)
    with pytest.raises(SourceError, match="the token may not read it"):
        lock(store)
    hub.mend()
    hub.forget()
    assert fetch(lock(store), store)["vocab.txt"] == data
    # The card may have been on its way, too, when the other thread failed.
    bodies = [asked for asked in hub.asked("/resolve-cache/") if "vocab.txt" in asked.path]
    assert [(asked.begin, asked.sent) for asked in bodies] == [(100_000, 200_000)]


@pytest.mark.parametrize("path", ["model.safetensors", "config.json"])
def test_wrong_bytes_of_the_right_length_are_refused(
    path: str, hub: Hub, store: Store, folder: Path
) -> None:
    hub.add("org/tiny", {path: TINY[path]})
    place = "/blobs/" if path.endswith("safetensors") else "/resolve-cache/"
    hub.fault(place, corrupt=True)
    with pytest.raises(IntegrityError, match=rf"hf://org/tiny: {path}: expected .*, found"):
        fetch(lock(store), store)
    assert _left(folder) == []
    assert fetch(lock(store), store) == {path: TINY[path]}


@pytest.mark.parametrize("path", ["model.safetensors", "config.json"])
@pytest.mark.parametrize("more", [-1, 1])
def test_a_size_that_is_not_the_files_is_refused(
    more: int, path: str, hub: Hub, store: Store, folder: Path
) -> None:
    repo = hub.add("org/tiny", {path: TINY[path]})
    size = len(TINY[path])
    repo.misstate(path, size + more, repo.refs["main"])
    with pytest.raises(IntegrityError, match=f"expected {size + more} bytes, found {size}"):
        fetch(lock(store), store)
    assert not list(folder.glob("blobs/*"))


def test_a_small_file_does_not_fill_the_disk(hub: Hub, store: Store, folder: Path) -> None:
    hub.add("org/tiny", {"config.json": b"{}"})
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(WEIGHTS), WEIGHTS)
    endless = {"Transfer-Encoding": "chunked", "Content-Length": "2"}
    hub.fault("/resolve-cache/", status=200, headers=endless, body=body)
    with pytest.raises(IntegrityError, match=r"config\.json: expected 2 bytes, found more"):
        lock(store)
    assert sum(path.stat().st_size for path in folder.glob("staging/*/*")) <= 2
    hub.mend()
    assert fetch(lock(store), store) == {"config.json": b"{}"}


def test_what_lay_damaged_in_the_store_is_fetched_anew(
    hub: Hub, store: Store, folder: Path
) -> None:
    repo = hub.add("org/tiny", TINY)
    hub.fault("/README.md", status=403)
    with pytest.raises(SourceError):
        lock(store)
    hub.mend()
    oid = repo.commits[repo.refs["main"]]["config.json"].oid
    (staging,) = (path for path in folder.glob("staging/*") if path.is_dir())
    for damaged in (b"[]", b"{", b"{}{}"):
        (staging / oid).write_bytes(damaged)
        assert fetch(lock(store), store) == TINY
        for blob in folder.glob("blobs/*"):
            blob.unlink()


@pytest.mark.parametrize("note", [b"[]", b"{", b'{"a": 1}', b'{"a": "b"}', b"\xff"])
def test_an_unreadable_note_only_costs_a_download(note: bytes, hub: Hub, store: Store) -> None:
    hub.add("org/tiny", TINY)
    store.remember(Digest.of(f"blobs of {SOURCE}".encode()), note)
    assert fetch(lock(store), store) == TINY


def test_a_disk_without_room_is_said_before(
    hub: Hub, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("org/tiny", TINY)

    class Full:
        f_bavail, f_frsize = 1, 1

    monkeypatch.setattr("os.statvfs", lambda _: Full)
    with pytest.raises(SourceError, match=r"store: needs .* MiB, its disk has "):
        lock(store)
    assert not hub.asked("/resolve/")


def test_the_first_error_ends_the_others(hub: Hub, store: Store) -> None:
    hub.add("org/tiny", {f"{n:03}.json": b"{%d}" % n for n in range(200)})
    hub.fault("/resolve-cache/models/org/tiny", corrupt=True)
    with pytest.raises(IntegrityError):
        lock(store)
    assert len(hub.asked("/resolve/")) < 100


@pytest.mark.parametrize("limit", ["private", "gated"])
def test_a_token_opens_what_it_may(
    limit: str, hub: Hub, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("org/tiny", TINY, readers=frozenset({"ada"}), **{limit: True})
    with pytest.raises(SourceError, match="no token is set"):
        lock(store)
    hub.tokens["hf_secret"] = "ada"
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert fetch(lock(store), store) == TINY
    assert not any(asked.authorized for asked in hub.asked(cdn=True))


@pytest.mark.parametrize(
    ("place", "path"), [("/blobs/", "model.safetensors"), ("/resolve-cache/models/", "vocab.txt")]
)
def test_a_process_that_was_killed_is_gone_on_with(
    place: str, path: str, hub: Hub, store: Store, start: Start
) -> None:
    """What it had received is not asked for again."""
    files = {"README.md": TINY["README.md"], path: WEIGHTS}
    hub.add("org/tiny", files)
    (commit,) = hub.repos["org/tiny"].commits
    held = hub.fault(f"{place}org/tiny/{commit}/{path}", hold=100_000)
    with start() as child:
        assert child.stdout is not None
        kept = 0
        while kept < 100_000 + len(TINY["README.md"]):
            kept += int(child.stdout.readline().split()[1])
        assert held.reached.wait(60)
        child.send_signal(signal.SIGKILL)
    hub.mend()
    hub.forget()
    assert fetch(lock(store), store) == files
    bodies = hub.asked("/blobs/") + hub.asked("/resolve-cache/")
    assert [(asked.begin, asked.path.rpartition("/")[2]) for asked in bodies] == [(100_000, path)]


def test_two_processes_at_once_fetch_everything_once(hub: Hub, start: Start) -> None:
    hub.add("org/tiny", TINY)
    with start() as one, start() as other:
        said = [each.communicate(timeout=60)[0].splitlines()[-1] for each in (one, other)]
    assert said == [" ".join(TINY)] * 2
    assert sum(asked.sent for asked in hub.asked("/blobs/")) == len(WEIGHTS)
    assert sum(asked.sent for asked in hub.asked("/resolve-cache/")) == len(TINY["README.md"]) + 2


def test_a_large_file_takes_little_memory(hub: Hub, store: Store, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as stream:
        stream.truncate(64 * 1024**2)
    hub.add("org/tiny", {"model.safetensors": large, "vocab.txt": b"x" * 9 * 1024**2})
    found = lock(store)
    tracemalloc.start()
    try:
        for remote in found.remotes:
            remote.fetch(store, SILENT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * 1024**2
