"""Layers that lie, break off or never end: what is said of each."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
from collections.abc import Iterator

import zstandard

from tests.scan.layers import STATUS, hard_link, info, member, metadata, paragraph, symlink, tar

GOOD = tar({info("a"): metadata("a"), STATUS: paragraph("b")})


def _header(name: str = "x", size: int = 0, kind: bytes = b"0", **fields: bytes) -> bytes:
    """A ustar header; `fields` are written over it, and then the sum is right."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    data = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    places = {"length": 124, "magic": 257, "prefix": 345}
    for field, value in fields.items():
        data[places[field] : places[field] + len(value)] = value
    data[148:156] = b" " * 8
    data[148:155] = b"%06o\0" % sum(data)
    return bytes(data)


def _pax(record: bytes, name: str = "x") -> bytes:
    body = record + bytes(-len(record) % 512)
    return _header("p", len(record), b"x") + body + _header(name) + bytes(1024)


def _sparse(form: int) -> bytes:
    """The old GNU form, or the one in PAX records."""
    if form == 0:
        return _header("s", 512, b"S") + bytes(512 + 1024)
    return _pax(b"22 GNU.sparse.major=1\n")


def broken_layers() -> Iterator[tuple[str, bytes, str]]:
    """Name, bytes, and what is said of the layer."""
    packed = gzip.compress(GOOD)
    frame = zstandard.ZstdCompressor().compress(GOOD)
    flipped = bytearray(GOOD)
    flipped[3] ^= 1
    yield "nothing", b"", "ends without two blocks of zeros"
    yield "text", b"first layer", "ends without two blocks of zeros"
    yield "no tar", b"x" * 4096, "has a header whose sum is wrong|has a number that is none"
    yield "another packing", b"\xfd7zXZ\x00" + bytes(2000), "has a header whose sum is wrong"
    yield "cut off in a header", GOOD[:600], "ends within a file|ends without"
    yield "cut off in a file", GOOD[:560], "ends within a file"
    yield "cut off in a file that is not read", tar({"x": bytes(2000)})[:1200], "ends within a file"
    yield "cut off between members", GOOD[:1024], "ends without two blocks of zeros"
    yield "a wrong sum", bytes(flipped), "has a header whose sum is wrong"
    yield "one block of zeros", GOOD[:1024] + bytes(512) + GOOD[1024:], "one block of zeros"
    yield "gzip cut off", packed[:-60], "ends within its gzip stream"
    yield "gzip damaged", packed[:30] + b"\xff" * 30 + packed[60:], "is damaged gzip"
    yield "gzip with a wrong sum", packed[:-8] + bytes(8), "is damaged gzip"
    yield "gzip, then garbage", gzip.compress(GOOD[:1024]) + b"garbage", "is damaged gzip"
    yield "zstd cut off", frame[:-40], "ends without two blocks|ends within|is damaged zstd"
    yield "zstd damaged", frame[:20] + b"\xff" * 9 + frame[29:], "is damaged zstd"
    yield "zstd with a huge window", b"\x28\xb5\x2f\xfd\x00\xf8" + bytes(99), "is damaged zstd"
    yield "a negative size", _header(length=b"\xff" * 12), "negative"
    yield "an endless size", _header(length=b"\x80\x00\x00\x00" + b"\xff" * 8), "too large"
    for length in (b"many bytes", b"1_000", b"+1000", b"0o1000", b"\t1000", b"1000\n", b"1800"):
        data = _header(length=length.ljust(12, b"\0"))
        yield f"the size {length!r}", data, "has a number that is none"
    yield "a sparse file", _sparse(0), "'s' is a sparse file"
    yield "a sparse file in PAX", _sparse(1), "'x' is a sparse file"
    yield "an old Go's prefix", _header(magic=b"ustar  \0", prefix=b"folder/x"), "number that is"
    data = _header(magic=b"ustar  \0", prefix=b"000000000000/../var/lib")
    yield "an old Go's prefix after a time", data, "number that is"
    yield "a long name that is too long", _header("l", 2 << 20, b"L"), "an extended header of 2097"
    yield "a PAX header that is too long", _header("l", 2 << 20, b"x"), "an extended header of 2097"
    yield "an extended header cut off", _header("l", 900, b"x") + bytes(512), "ends within an ext"
    yield "a PAX record without length", _pax(b"path=x\n"), "has a PAX header that is none"
    yield "a PAX record that is longer", _pax(b"99 path=x\n"), "has a PAX header that is none"
    yield "a PAX record without an end", _pax(b"10 path=xy"), "has a PAX header that is none"
    yield "a PAX record without a key", _pax(b"6 =ab\n"), "has a PAX header that is none"
    yield "a PAX record with a NUL", _pax(b"11 path=x\0\n"), "a PAX header with a NUL"
    yield "a PAX size in words", _pax(b"11 size=-5\n"), "has a size that is none"
    yield "a long path", tar([member("x/" * 3000)]), "a name of more than 4096 characters"
    yield "a long link", tar([symlink("a", "x/" * 3000)]), "a link of more than 4096 characters"
    long = [symlink("l", "y" * 4000), symlink("y" * 4000 + "/l", "z" * 4000), member("l/l/x")]
    yield "a path that links make long", tar(long), "a name of more than 4096 characters"
    yield "a deep path", tar([member("x/" * 300)]), "a name of more than 256 folders"
    circle = [symlink("a", "b"), symlink("b", "a"), member("a/x")]
    yield "links in a circle", tar(circle), "links that lead in a circle"
    yield "a whiteout of nothing", tar([member("usr/.wh.")]), r"a whiteout of nothing"
    yield "a whiteout of its folder", tar([member("usr/.wh..")]), r"a whiteout of nothing"
    yield "a whiteout of what is above", tar([member("usr/.wh...")]), r"a whiteout of nothing"


def unread_files() -> Iterator[tuple[str, bytes, str, str]]:
    """Name, bytes, and of which file what is said."""
    dist = info("a")
    bad = "has a paragraph without Package or Version"
    files = {
        "status without a version": (STATUS, b"Package: a\n\n", bad),
        "status without a name": (STATUS, b"Version: 1\n\n", bad),
        "status that is none": (STATUS, b"\x7fELF\n", "has a line that is no field"),
        "status with a long name": (STATUS, paragraph("a" * 400), "'package' that is too long"),
        "status with an escape": (STATUS, paragraph("a\x1b[2J"), "can't be printed"),
        "a distroless package": ("var/lib/dpkg/status.d/a", b"Package: a\n", bad),
        "metadata without a name": (dist, b"Version: 1\n", "has no Name or no Version"),
        "metadata without a version": (dist, b"Name: a\n\nVersion: 1\n", "has no Name or no Ver"),
        "empty metadata": (dist, b"", "has no Name or no Version"),
        "odd letters": ("a.Dist-INFO/METADATA", b"", "has no Name or no Version"),
        "packages of Alpine": ("lib/apk/db/installed", b"", "package system that is not read"),
        "packages of Red Hat": ("var/lib/rpm/rpmdb.sqlite", b"", "system that is not read"),
        "packages of Fedora": ("usr/lib/sysimage/rpm/Packages.db", b"", "that is not read"),
        "packages of Arch": ("var/lib/pacman/local/ALPM_DB_VERSION", b"", "that is not read"),
    }
    for name, (path, content, problem) in files.items():
        yield name, tar({path: content}), path, problem
    behind = "leads to where nothing was read"
    links = {
        "metadata that are a link": ([symlink(dist, "/srv/x")], dist),
        "a folder that is a link": ([symlink("a.egg-info", "x"), member("x/y")], "a.egg-info"),
        "a link to itself": ([symlink("a.egg-info", "a.egg-info")], "a.egg-info"),
        "status that is a link": ([symlink(STATUS, "/x"), member("x", paragraph("a"))], STATUS),
        "dpkg's folder is a link": (
            [symlink("var/lib/dpkg", "/x"), member("x/status", paragraph("a"))], "var/lib/dpkg"),
        "the folder above is a link": (
            [symlink("var/lib", "/x"), member("x/dpkg/status", paragraph("a"))], "var/lib/dpkg"),
        "dpkg's folder is in a circle": ([symlink("var", "var")], "var/lib/dpkg"),
        "dpkg's files are behind a link": (
            [symlink(f"{STATUS}.d", "/x"), member("x/a", paragraph("a"))], f"{STATUS}.d"),
    }  # fmt: skip
    for name, (members, path) in links.items():
        yield name, tar(members), path, behind
    hard = [member("x", metadata("a")), hard_link(dist, "x")]
    yield "metadata that are a hard link", tar(hard), dist, "is a hard link to x, which is not"


def bomb(times: int) -> bytes:
    """Gzip of so many MiB of zeros behind a header that promises them."""
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=1) as packed:
        packed.write(_header(size=times << 20))
        for _ in range(times):
            packed.write(bytes(1 << 20))
        packed.write(bytes(1024))
    return stream.getvalue()


def skippable(data: bytes) -> bytes:
    """A zstd frame that is to be skipped, before the real one."""
    frame = struct.pack("<II", 0x184D2A50, 5) + b"notes"
    return frame + zstandard.ZstdCompressor().compress(data)
