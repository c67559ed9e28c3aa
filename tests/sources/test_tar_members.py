"""Headers of tars that take memory: none is kept, and none is long."""

from __future__ import annotations

import tarfile
import tracemalloc
from pathlib import Path

import pytest

from bundler.core.errors import SourceError
from bundler.sources import tar_members
from bundler.sources.tar_members import read_members
from tests.sources.layouts import member_of


def _pax(kind: bytes, key: str) -> bytes:
    """An extended header of 60 kB, which a member has to follow."""
    body = f"{key}=".encode() + b"x" * 60_000 + b"\n"
    record = b"%d " % (len(body) + 6) + body
    header = member_of("p", record, kind=kind).tobuf(tarfile.USTAR_FORMAT)
    return header + record + bytes(-len(record) % 512)


def test_extended_headers_are_not_kept(tmp_path: Path) -> None:
    data = b"".join(
        _pax(tarfile.XHDTYPE, "a") + member_of(f"m{number}").tobuf() for number in range(300)
    )
    (tmp_path / "a.tar").write_bytes(data + bytes(1024))
    tracemalloc.start()
    try:
        assert len(read_members(tmp_path / "a.tar").files) == 300
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * 1024**2


def test_an_extended_header_that_is_too_long_is_refused(tmp_path: Path) -> None:
    header = member_of("p", bytes(70_000), kind=tarfile.XHDTYPE).tobuf(tarfile.USTAR_FORMAT)
    (tmp_path / "a.tar").write_bytes(header + bytes(80_000))
    with pytest.raises(SourceError, match="header of more than 65536"):
        read_members(tmp_path / "a.tar")


def test_a_global_header_is_refused(tmp_path: Path) -> None:
    data = _pax(tarfile.XGLTYPE, "a") + member_of("m").tobuf()
    (tmp_path / "a.tar").write_bytes(data + bytes(1024))
    with pytest.raises(SourceError, match="has a global header"):
        read_members(tmp_path / "a.tar")


def test_names_without_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.tar").write_bytes(member_of("n" * 21).tobuf() + bytes(1024))
    monkeypatch.setattr(tar_members, "_MAX_NAMES", 21)
    assert read_members(tmp_path / "a.tar").files
    monkeypatch.setattr(tar_members, "_MAX_NAMES", 20)
    with pytest.raises(SourceError, match="its names take more than 20 bytes"):
        read_members(tmp_path / "a.tar")
