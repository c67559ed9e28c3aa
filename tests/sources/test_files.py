"""Files: chosen, hashed, and held to what they were."""

from __future__ import annotations

import hashlib
import os
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from bundler.core.digest import Digest
from bundler.core.errors import SourceError
from bundler.sources.files import SourceFile, list_files, list_source
from bundler.sources.steady import open_steady

MIB = 1024**2


class Hook:
    """A Progress that does something once, while the first file is open and partly read."""

    def __init__(self, deed: Callable[[], object]) -> None:
        self.deed = deed
        self.done = False
        self.total: int | None = None
        self.advanced = 0

    def phase(self, label: str, total: int | None) -> None:
        self.total = total

    def advance(self, count: int) -> None:
        self.advanced += count
        if not self.done:
            self.done = True
            self.deed()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("model.safetensors", "config.json", "1_Pooling/config.json", "vocab.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode() * 1000)
    return tmp_path


def test_lists_sizes_and_digests(folder: Path) -> None:
    files = list_files(folder)
    assert [file.path for file in files] == [
        "1_Pooling/config.json", "config.json", "model.safetensors", "vocab.txt",
    ]  # fmt: skip
    for file in files:
        data = (folder / file.path).read_bytes()
        assert (file.size, file.digest) == (len(data), Digest.of(data))
        with file.open() as stream:
            assert stream.read() == data


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        (("*.json",), ["1_Pooling/config.json", "config.json"]),
        (("1_Pooling/",), ["1_Pooling/config.json"]),
        (("config.json",), ["config.json"]),
        (("*.txt", "*.safetensors", "*.md"), ["model.safetensors", "vocab.txt"]),
        (("[cv]*",), ["config.json", "vocab.txt"]),
    ],
)
def test_include_matches_whole_paths(
    include: tuple[str, ...], expected: list[str], folder: Path
) -> None:
    assert [file.path for file in list_files(folder, include)] == expected


def test_nothing_matched_is_refused(folder: Path) -> None:
    with pytest.raises(SourceError, match=r"files that match '\*\.JSON', found none among 4"):
        list_files(folder, ("*.JSON",))


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="expected files, found none"):
        list_files(tmp_path)


@pytest.mark.parametrize("pattern", ["/etc/*", "../*", "a/../../b", "a\\b", ""])
def test_include_out_of_the_folder_is_refused(pattern: str, folder: Path) -> None:
    with pytest.raises(SourceError, match="no pattern below the folder"):
        list_files(folder, ("*", pattern))


def test_exclude_out_of_the_folder_is_refused(folder: Path) -> None:
    with pytest.raises(SourceError, match=r"exclude '\.\./\*' is no pattern below the folder"):
        list_files(folder, exclude=("../*",))


def test_exclude_takes_away_from_what_include_takes(folder: Path) -> None:
    def paths(include: tuple[str, ...], exclude: tuple[str, ...]) -> list[str]:
        return [file.path for file in list_files(folder, include, exclude=exclude)]

    assert paths((), ("*.json",)) == ["model.safetensors", "vocab.txt"]
    assert paths(("*.json",), ("1_Pooling/",)) == ["config.json"]
    with pytest.raises(SourceError, match=r"files that match 'v\*' and not '\*\.txt', found none"):
        paths(("v*",), ("*.txt",))


def _append(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"!")


def _truncate(path: Path) -> None:
    os.truncate(path, MIB)


def _overwrite(path: Path) -> None:
    status = path.stat()
    with path.open("r+b") as stream:
        stream.write(b"!")
    # As a careful forger would: size and mtime are as before.
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    os.replace(other, path)


def _to_link(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


def _move_folder(path: Path) -> None:
    """Another folder of this name, in which a file of this name has the same content."""
    moved = path.parent.with_name(f"{path.parent.name} moved")
    path.parent.rename(moved)
    path.parent.mkdir()
    path.write_bytes((moved / path.name).read_bytes())


CHANGES: dict[str, Callable[[Path], None]] = {
    "appended": _append,
    "cut off": _truncate,
    "overwritten, times restored": _overwrite,
    "replaced by a copy": _replace,
    "replaced by a link": _to_link,
    "removed": Path.unlink,
    "in another folder": _move_folder,
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_file_changed_while_it_is_hashed_is_named(name: str, tmp_path: Path) -> None:
    target = tmp_path / "weights.safetensors"
    target.write_bytes(bytes(3 * MIB))
    hook = Hook(lambda: CHANGES[name](target))
    with pytest.raises(SourceError, match=r"weights\.safetensors: "):
        list_files(tmp_path, progress=hook)
    assert hook.done


@pytest.mark.parametrize("name", CHANGES)
def test_a_file_changed_after_it_was_hashed_is_not_opened(name: str, folder: Path) -> None:
    (folder / "big").write_bytes(bytes(3 * MIB))
    (file,) = list_files(folder, ("big",))
    CHANGES[name](folder / "big")
    with pytest.raises(SourceError, match="big: "):
        file.open()


@pytest.mark.parametrize("name", CHANGES)
def test_a_file_changed_while_it_is_open_fails_on_closing(name: str, folder: Path) -> None:
    (folder / "big").write_bytes(bytes(3 * MIB))
    (file,) = list_files(folder, ("big",))
    stream = file.open()
    CHANGES[name](folder / "big")
    with pytest.raises(SourceError, match="big: "):
        stream.close()


def test_a_file_changed_between_listing_and_hashing_is_named(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in "abc")
    for path in (first, second, third):
        path.write_bytes(bytes(2 * MIB))
    # Two threads have a and b; c is changed before anybody opens it.
    with pytest.raises(SourceError, match="c: changed while it was being read"):
        list_files(tmp_path, progress=Hook(lambda: _append(third)))


def test_an_endless_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    target = tmp_path / "log"
    target.write_bytes(bytes(MIB))

    class Growing(Hook):
        def advance(self, count: int) -> None:
            self.advanced += count
            if self.advanced < 10 * MIB:
                with target.open("ab") as stream:
                    stream.write(bytes(MIB))

    hook = Growing(lambda: None)
    with pytest.raises(SourceError, match="log: changed"):
        list_files(tmp_path, progress=hook)
    assert hook.advanced == 2 * MIB


def test_progress_counts_every_byte(folder: Path) -> None:
    hook = Hook(lambda: None)
    files = list_files(folder, progress=hook)
    assert hook.total == hook.advanced == sum(file.size for file in files)


def test_memory_does_not_grow_with_size(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(200 * MIB)
    tracemalloc.start()
    try:
        (file,) = list_files(tmp_path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * MIB
    state = hashlib.sha256()
    for _ in range(200):
        state.update(bytes(MIB))
    assert file.digest.hex == state.hexdigest()


def test_a_single_file_goes_by_its_own_name(folder: Path) -> None:
    (file,) = list_source(folder / "1_Pooling" / "config.json")
    assert file.path == "config.json"
    assert file.digest == Digest.of((folder / "1_Pooling" / "config.json").read_bytes())
    assert list_source(folder) == list_files(folder)


def test_a_single_file_is_no_link_and_has_a_good_name(folder: Path) -> None:
    (folder / "link").symlink_to("vocab.txt")
    with pytest.raises(SourceError, match="found a symbolic link"):
        list_source(folder / "link")
    (folder / "a:b").write_bytes(b"")
    with pytest.raises(SourceError, match="colon"):
        list_source(folder / "a:b")
    with pytest.raises(SourceError, match="expected a file or a folder, found none"):
        list_source(folder / "gone")


def test_opening_waits_for_no_pipe(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    found: list[SourceError] = []

    def attempt() -> None:
        with pytest.raises(SourceError) as info:
            open_steady(fifo)
        found.append(info.value)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join(10)
    if thread.is_alive():
        os.close(os.open(fifo, os.O_WRONLY))  # lets go of the thread
        pytest.fail("opening a pipe waited for somebody to write")
    assert "expected a regular file, found a named pipe" in found[0].message


def test_opening_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(SourceError, match="expected a regular file, found a symbolic link"):
        open_steady(tmp_path / "link")


def test_files_compare_by_what_they_are_not_when_they_were_touched(folder: Path) -> None:
    before = list_files(folder)
    os.utime(folder / "vocab.txt")
    after = list_files(folder)
    assert before == after
    assert isinstance(after[0], SourceFile)


def test_what_a_lock_knows_is_not_hashed_but_held_to_its_stamp(folder: Path) -> None:
    claimed = Digest.of(b"what the lock says")
    size = (folder / "vocab.txt").stat().st_size
    known = {("vocab.txt", size): claimed, ("config.json", 1): claimed}
    hook = Hook(lambda: None)
    files = {file.path: file for file in list_files(folder, (), hook, known)}
    assert files["vocab.txt"].digest == claimed
    assert files["config.json"].digest == Digest.of((folder / "config.json").read_bytes())
    assert hook.total == hook.advanced == sum(f.size for f in files.values()) - size
    _overwrite(folder / "vocab.txt")
    with pytest.raises(SourceError, match=r"vocab\.txt: changed"):
        files["vocab.txt"].open()
