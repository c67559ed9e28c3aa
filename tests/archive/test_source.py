"""A bundle on disk, read at places through one descriptor."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bundler.archive.format import CHUNK
from bundler.archive.source import BundleFile
from bundler.core.errors import IntegrityError, UsageError
from bundler.sign.open import open_bundle
from tests.making import KEY, make_bundle


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "b.tar"
    path.write_bytes(bytes(range(256)))
    return path


def test_reads_exactly_what_was_asked_for(file: Path) -> None:
    with BundleFile(file) as source:
        assert source.size == 256
        assert source.read_at(10, 3) == b"\x0a\x0b\x0c"
        assert source.read_at(256, 0) == b""


def test_reads_more_than_one_piece(tmp_path: Path) -> None:
    data = os.urandom(2 * CHUNK + 5)
    path = tmp_path / "b.tar"
    path.write_bytes(data)
    with BundleFile(path) as source:
        assert source.read_at(1, len(data) - 1) == data[1:]
        buffer = bytearray(len(data) - 1)
        source.read_into(1, memoryview(buffer))
        assert buffer == data[1:]


@pytest.mark.parametrize(("offset", "size"), [(255, 2), (256, 1), (10_000, 1)])
def test_what_lies_behind_the_end_can_t_be_read(file: Path, offset: int, size: int) -> None:
    with BundleFile(file) as source, pytest.raises(IntegrityError, match=r"b\.tar: .* too early"):
        source.read_at(offset, size)
    with BundleFile(file) as source, pytest.raises(IntegrityError, match=r"b\.tar: .* too early"):
        source.read_into(offset, memoryview(bytearray(size)))


def test_the_first_byte_that_differs_is_named(file: Path) -> None:
    with BundleFile(file) as source:
        source.expect(16, b"\x10\x11", "the header")
        message = "the header: byte 17: expected 0x00, found 0x11"
        with pytest.raises(IntegrityError, match=message):
            source.expect(16, b"\x10\0", "the header")


def test_a_file_that_is_not_there_can_t_be_opened(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"b\.tar: can't be opened: No such file"):
        BundleFile(tmp_path / "b.tar")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "b.tar")
    with pytest.raises(UsageError, match=r"b\.tar: expected a regular file"):
        BundleFile(tmp_path / "b.tar")


def test_another_file_under_its_name_changes_nothing(file: Path) -> None:
    with BundleFile(file) as source:
        other = file.with_name("other")
        other.write_bytes(b"other")
        other.replace(file)
        assert source.read_at(0, 2) == b"\x00\x01"


def test_a_bundle_that_shrinks_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "b.tar")
    with open_bundle(path, KEY.public) as bundle:
        blob = bundle.blobs[-1]
        os.truncate(path, bundle.size - 4096)
        with pytest.raises(IntegrityError, match="too early"):
            list(bundle.open(blob))


def test_a_bundle_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "b.tar")
    with open_bundle(path, KEY.public) as bundle:
        blob = bundle.blobs[0]
        at = path.read_bytes().index(b"first layer")
        with path.open("r+b") as file:
            file.seek(at)
            file.write(b"F")
        with pytest.raises(IntegrityError, match="another digest"):
            list(bundle.open(blob))
