"""Files out of a small tar: what `tarfile` reads and we don't write is refused."""

from __future__ import annotations

import io
import tarfile

import pytest

from bundler.archive.framing import END, Member, place
from bundler.archive.packed import unpack
from bundler.core.errors import IntegrityError
from tests.making import tar_of

FILES = {"a": b"x" * 5000, "b/c.yaml": b"", "d/\u00e9": b"y", "e" * 120: b"z" * 512}


def other(kind: bytes, name: str = "a") -> bytes:
    """A tar of one member of `kind`, as `tarfile` writes it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo(name)
        member.type = kind
        member.linkname = "nowhere" if kind in (tarfile.LNKTYPE, tarfile.SYMTYPE) else ""
        archive.addfile(member)
    return out.getvalue()


def extended() -> bytes:
    """A PAX header that says nothing."""
    record = b"11 a=aaaaa\n"
    member = tarfile.TarInfo("x")
    member.type, member.size = tarfile.XHDTYPE, len(record)
    return member.tobuf(tarfile.USTAR_FORMAT) + record.ljust(512, b"\0")


def test_it_reads_what_is_written() -> None:
    assert unpack(tar_of(FILES), "a.tar") == FILES
    assert unpack(END, "a.tar") == {}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(512),
        bytes(4096),
        b"\xff" * 4096,
        other(tarfile.REGTYPE),
        other(tarfile.LNKTYPE),
        other(tarfile.SYMTYPE),
        other(tarfile.GNUTYPE_SPARSE),
        other(tarfile.CHRTYPE),
        extended() * 1500 + other(tarfile.REGTYPE),
        tar_of(FILES)[: -len(END)],
        tar_of(FILES)[:6000] + END,
        tar_of(FILES) + bytes(512),
        tar_of(FILES).replace(b"path=", b"hath="),
        tar_of(FILES).replace(b"0000644", b"0000755"),
        tar_of({"a": b"", "b": b""}).replace(b"b".ljust(100, b"\0"), b"a".ljust(100, b"\0")),
    ],
)
def test_other_framing_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError, match=r"a\.tar: at byte [0-9]+: expected a file"):
        unpack(data, "a.tar")


def test_a_name_twice_is_refused() -> None:
    first = place(Member("a", 0), 0)
    second = place(Member("a", 0), first.end)
    with pytest.raises(IntegrityError, match=f"at byte {first.end}: "):
        unpack(first.framing + second.framing + END, "a.tar")
