"""Writing a bundle: all of it or nothing, and only the bytes that were locked."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import shutil
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from bundler.archive import format as fmt
from bundler.archive.newfile import FileRange, new_file
from bundler.archive.writer import Origins, Packed, write_bundle
from bundler.core.digest import Digest
from bundler.core.errors import BundlerError, IntegrityError, PolicyError, UsageError
from bundler.core.lock import Lock, LockedFile
from bundler.sign.open import open_bundle
from tests.making import KEY, Contents, draft_of, locked, make_bundle, seal

WORDS = b"one\ntwo\n" * 300
CONTENTS = Contents(models={"mini": {"words.txt": WORDS}}, files={"data": {"a": b"12345"}})
Change = Callable[[LockedFile], LockedFile]


def write(
    path: Path,
    lock: Callable[[Lock], Lock] = lambda lock: lock,
    origins: Callable[[Origins], Origins] = lambda origins: origins,
    inspect: Callable[[Packed], None] = lambda packed: None,
) -> None:
    """Writes CONTENTS with another lock or from other origins."""
    draft, good = draft_of(CONTENTS)
    draft = replace(draft, lock=lock(draft.lock))
    write_bundle(path, draft, origins(good), seal(CONTENTS, KEY), inspect)


def model_file(change: Change) -> Callable[[Lock], Lock]:
    """The model's file, locked in another way."""

    def changed(lock: Lock) -> Lock:
        [model] = lock.models
        return replace(lock, models=(replace(model, files=tuple(map(change, model.files))),))

    return changed


def data_file(change: Change) -> Callable[[Lock], Lock]:
    """The file set's file, locked in another way."""

    def changed(lock: Lock) -> Lock:
        [files] = lock.files
        return replace(lock, files=(replace(files, files=tuple(map(change, files.files))),))

    return changed


def instead(digest: Digest, stream: Callable[[], BinaryIO]) -> Callable[[Origins], Origins]:
    """Other bytes for those of `digest`."""

    def changed(origins: Origins) -> Origins:
        def other(known: object) -> dict[Digest, Callable[[], BinaryIO]]:
            assert isinstance(known, dict)
            return known | ({digest: stream} if digest in known else {})

        return Origins(other(origins.files), other(origins.blobs))

    return changed


@pytest.mark.parametrize("difference", [-1, 1, -512, 512, 10_000])
@pytest.mark.parametrize(("lock", "name"), [(model_file, "words.txt"), (data_file, "layer a")])
def test_a_file_of_another_size_than_locked_is_refused(
    lock: Callable[[Change], Callable[[Lock], Lock]], name: str, difference: int, tmp_path: Path
) -> None:
    """Its digest is right, so that only counting finds it."""
    with pytest.raises(IntegrityError, match=f"{name}: changed since it was locked"):
        write(
            tmp_path / "b.tar",
            lock(lambda file: replace(file, size=max(0, file.size + difference))),
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [WORDS[:-1], WORDS + b"\n", b"", WORDS.upper(), 2 * WORDS])
def test_a_source_with_other_bytes_than_locked_is_refused(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"models/mini: layer 0: words\.txt: changed since"):
        write(tmp_path / "b.tar", origins=instead(Digest.of(WORDS), lambda: io.BytesIO(data)))
    assert list(tmp_path.iterdir()) == []


def test_a_layer_with_other_bytes_than_locked_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"team/server.*layer 1: changed since it was locked"):
        write(
            tmp_path / "b.tar",
            origins=instead(Digest.of(b"second"), lambda: io.BytesIO(b"secomd")),
        )
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_shrinks_while_it_is_read_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "words.txt"
    large = os.urandom(3 * fmt.CHUNK)
    source.write_bytes(large)

    class Shrinking(io.FileIO):
        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            os.truncate(source, fmt.CHUNK)
            return super().readinto(buffer)

    with pytest.raises(IntegrityError, match="changed since it was locked"):
        write(
            tmp_path / "b.tar",
            model_file(lambda file: LockedFile(file.path, len(large), Digest.of(large))),
            lambda good: replace(
                good,
                files={Digest.of(large): lambda: Shrinking(source)},
            ),
        )
    assert list(tmp_path.iterdir()) == [source]


def test_what_was_there_stays_when_the_new_one_fails(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "b.tar")
    before = path.read_bytes()
    with pytest.raises(IntegrityError):
        write(path, origins=instead(Digest.of(WORDS), lambda: io.BytesIO(b"")))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_packed_files_are_looked_at_before_there_is_a_bundle(tmp_path: Path) -> None:
    path = tmp_path / "b.tar"

    def refuse(packed: Packed) -> None:
        assert not path.exists()
        with packed.open(Digest.of(WORDS)) as file:
            assert file.read() == WORDS
        raise PolicyError("not this one")

    with pytest.raises(PolicyError, match="not this one"):
        write(path, inspect=refuse)
    assert list(tmp_path.iterdir()) == []


def test_too_little_room_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "free")
    size = make_bundle(tmp_path / "size.tar", CONTENTS).stat().st_size
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(size))
    write(tmp_path / "fits.tar")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(size - 1))
    with pytest.raises(UsageError, match=r"b\.tar: needs [0-9.]+ MiB, its disk has [0-9.]+ MiB"):
        write(tmp_path / "b.tar", origins=lambda good: Origins({}, {}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fits.tar", "size.tar"]


@pytest.mark.parametrize("call", ["pwrite", "ftruncate", "fsync", "replace"])
def test_a_disk_that_fails_leaves_nothing_behind(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(UsageError, match=r"b\.tar.*: can't be written: No space left on device"):
        write(tmp_path / "b.tar")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_takes_little_at_once_gets_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = make_bundle(tmp_path / "good.tar").read_bytes()
    whole = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: whole(fd, data[:1000], at))
    assert make_bundle(tmp_path / "b.tar").read_bytes() == good


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere/b\.tar: can't be written: No such file"):
        write(tmp_path / "nowhere" / "b.tar")


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "b.tar").mkdir()
    with pytest.raises(UsageError, match=r"b\.tar: can't be written"):
        write(tmp_path / "b.tar")
    assert [path.name for path in tmp_path.iterdir()] == ["b.tar"]


def test_holes_in_a_source_stay_holes(tmp_path: Path) -> None:
    zeros = bytes(8 * fmt.CHUNK)
    path = make_bundle(tmp_path / "b.tar", Contents(files={"data": {"zeros": zeros}}))
    assert path.stat().st_blocks * 512 < len(zeros) / 4
    with open_bundle(path, KEY.public) as bundle:
        bundle.verify_blobs()


def test_a_new_file_gets_its_name_last(tmp_path: Path) -> None:
    path = tmp_path / "b.tar"
    with new_file(path) as file:
        file.clear(5)
        file.write_at(b"xy", 2)
        assert not path.exists()
    assert path.read_bytes() == b"\0\0xy\0"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_run_left_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "b.tar.partial").write_bytes(b"half a bundle that was longer than this one" * 9000)
    path = make_bundle(tmp_path / "b.tar")
    assert path.read_bytes() == make_bundle(tmp_path / "good.tar").read_bytes()
    assert not (tmp_path / "b.tar.partial").exists()


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "b.tar.partial").symlink_to(victim)
    with pytest.raises(UsageError, match=r"b\.tar\.partial: can't be written"):
        make_bundle(tmp_path / "b.tar")
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "b.tar").exists()


def test_a_second_writer_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "b.tar"
    with new_file(path) as first:
        with pytest.raises(UsageError, match="another build is writing the same file"):
            make_bundle(path)
        first.write_at(b"first", 0)
    assert path.read_bytes() == b"first"


def test_a_second_writer_that_comes_just_as_the_first_ends_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its open and its lock the file got its final name: it would write into that."""
    path = tmp_path / "b.tar"
    lock = fcntl.flock

    def late(fd: int, operation: int) -> None:
        (tmp_path / "b.tar.partial").rename(path)
        lock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(BundlerError, match="another build is writing the same file"):
        make_bundle(path)
    assert path.read_bytes() == b""


def test_a_second_writer_that_comes_just_as_a_third_begins_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b.tar"
    partial = tmp_path / "b.tar.partial"
    lock = fcntl.flock

    def late(fd: int, operation: int) -> None:
        partial.rename(path)
        partial.write_bytes(b"third")
        lock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(UsageError, match="another build is writing the same file"):
        make_bundle(path)
    assert (path.read_bytes(), partial.read_bytes()) == (b"", b"third")


@pytest.fixture
def run_of_bytes(tmp_path: Path) -> FileRange:
    """The bytes 5 to 9 of a file: `56789`."""
    path = tmp_path / "file"
    path.write_bytes(b"0123456789abcdef")
    return FileRange(os.open(path, os.O_RDONLY), 5, 5)


def test_a_run_of_bytes_ends_where_it_should(run_of_bytes: FileRange) -> None:
    assert run_of_bytes.readable()
    assert run_of_bytes.seekable()
    assert io.BufferedReader(run_of_bytes).read() == b"56789"


@pytest.mark.parametrize(
    ("offset", "whence", "place", "rest"),
    [
        (0, io.SEEK_SET, 0, b"56789"),
        (2, io.SEEK_SET, 2, b"789"),
        (1, io.SEEK_CUR, 2, b"789"),
        (-2, io.SEEK_END, 3, b"89"),
        (0, io.SEEK_END, 5, b""),
        (7, io.SEEK_SET, 7, b""),
        (-9, io.SEEK_END, 0, b"56789"),
    ],
)
def test_a_run_of_bytes_can_be_moved_in(
    run_of_bytes: FileRange, offset: int, whence: int, place: int, rest: bytes
) -> None:
    assert run_of_bytes.read(1) == b"5"
    assert run_of_bytes.seek(offset, whence) == place
    assert run_of_bytes.tell() == place
    assert run_of_bytes.read() == rest


def test_files_are_read_back_from_their_place_in_the_bundle(tmp_path: Path) -> None:
    files = {"a": b"first", "b/c": b"", "z": WORDS}
    contents = Contents(models={"m": files})
    draft, origins = draft_of(contents)
    seen = {}

    def look(packed: Packed) -> None:
        for file in locked(files):
            with packed.open(file.digest) as stream:
                seen[file.path] = stream.read()

    write_bundle(tmp_path / "b.tar", draft, origins, seal(contents, KEY), look)
    assert seen == files
