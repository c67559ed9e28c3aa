"""What can't be judged as it lies there: arrays of objects, zips, compressed content."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import pytest

from bundler.core.findings import Finding
from bundler.scan import npy, zipped
from bundler.scan.compressed import kind
from bundler.scan.opcodes import begins_as_pickle
from bundler.scan.pickled import PickleScanner
from bundler.scan.scanner import ScanSubject


class Evil:
    """Runs a command when it is loaded."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return eval, ("1 + 1",)


EVIL = pickle.dumps(Evil())


def _scan(data: bytes, name: str = "model.safetensors") -> list[Finding]:
    subject = ScanSubject(name, len(data), lambda: io.BytesIO(data))
    return list(PickleScanner().scan(subject))


def _array(header: str | bytes, version: bytes = b"\x01\x00", length: int | None = None) -> bytes:
    text = header.encode() if isinstance(header, str) else header
    form = "<H" if version == b"\x01\x00" else "<I"
    size = struct.pack(form, len(text) if length is None else length)
    return npy.MAGIC + version + size + text + bytes(24)


def _of(descr: str) -> bytes:
    return _array(f"{{'descr': {descr}, 'fortran_order': False, 'shape': (3,), }}\n")


@pytest.mark.parametrize(
    "descr",
    [
        "'<f4'", "'|b1'", "'>i8'", "'=u2'", "'<c16'", "'<U10'", "'|S0'", "'|V2'", "'<M8[ns]'",
        "[('a', '<f4'), ('b', '|u1', (2, 2))]", "[('a', [('b', '<i4')])]", "('<f4', (2,))",
        "[(('title', 'a'), '<f4')]",
    ],
)  # fmt: skip
def test_an_array_of_plain_values_passes(descr: str) -> None:
    assert _scan(_of(descr)) == []
    assert _scan(_array(f"{{'descr':{descr},'fortran_order':True,'shape':()}}", b"\3\0")) == []


@pytest.mark.parametrize(
    "descr",
    [
        "'|O'", "'O'", "'|O8'", "'|\\x4f'", "'|\\117'", "'object'", "'O,f4'", "'f4,O'", "'|' 'O'",
        "[('a', '<f4'), ('b', '|O')]", "[('a', [('b', 'object')])]", "('|O', (2,))", "['|O']",
        "[('a', ('<f4', '|O', 1))]", "{'names': ['a'], 'formats': ['O']}", "3", "None", "b'<f4'",
        "'<f4\\n'",
    ],
)  # fmt: skip
def test_an_array_of_anything_else_is_refused(descr: str) -> None:
    (finding,) = _scan(_of(descr))
    assert "a NumPy array of objects, or of" in finding.message


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}"


@pytest.mark.parametrize(
    "data",
    [
        npy.MAGIC,
        npy.MAGIC + b"\x04\x00" + struct.pack("<H", len(GOOD)) + GOOD.encode(),
        _array(GOOD, length=5),
        _array(GOOD[:-1], b"\2\0"),
        _array(GOOD, length=1000),
        _array(GOOD + " " * npy.MAX_HEADER),
        _array(GOOD, b"\2\0", length=1 << 31),
        _array("[" * 9000),
        _array("-" * 9000),
        _array(GOOD.replace("'shape'", "'more': 1, 'shape'")),
        _array("{'descr': '<f4'}"),
        _array("{[]: 1}"),
        _array("f()"),
        _array("1or 2"),
        _array(b"\xff"),
    ],
    ids=range(15),
)
def test_an_array_whose_header_can_not_be_read_is_refused(data: bytes) -> None:
    (finding,) = _scan(data)
    assert "a NumPy array whose header can't be read" in finding.message


def _tar(form: int) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        member = tarfile.TarInfo("pickle")
        member.size = len(EVIL)
        archive.addfile(member, io.BytesIO(EVIL))
    return stream.getvalue()


def _v7() -> bytes:
    """A header of before there was a magic."""
    data = bytearray(_tar(tarfile.USTAR_FORMAT))
    data[257:345] = bytes(88)
    data[148:156] = b"%06o\0 " % sum(b" " * 8 + data[:148] + data[156:512])
    return bytes(data)


PACKED: dict[str, bytes] = {
    "gzip": gzip.compress(EVIL),
    "bzip2": bz2.compress(EVIL),
    "bzip2 of nothing": bz2.compress(b""),
    "xz": lzma.compress(EVIL),
    "lzma": lzma.compress(EVIL, lzma.FORMAT_ALONE),
    "lz4": b"\x04\x22\x4d\x18" + EVIL,
    "lz4 of old": b"\x02\x21\x4c\x18" + EVIL,
    "lz4 behind a frame to skip": b"\x50\x2a\x4d\x18" + bytes(4) + b"\x04\x22\x4d\x18",
    "zstd": b"\x28\xb5\x2f\xfd" + EVIL,
    "7z": b"7z\xbc\xaf\x27\x1c" + EVIL,
    **{f"zlib {level}": zlib.compress(EVIL, level) for level in (0, 1, 5, 6, 9)},
    "zlib cut off": zlib.compress(EVIL * 9, 5)[:-20],
    "zlib, then garbage": zlib.compress(EVIL, 5)[:-5] + b"\xff" * 99,
    "zlib of much": zlib.compress(bytes(9_000_000), 5),
    "zlib of a small window": zlib.compress(EVIL, 9, wbits=9),
    "tar of GNU": _tar(tarfile.GNU_FORMAT),
    "tar of POSIX": _tar(tarfile.PAX_FORMAT),
    "tar of before": _v7(),
    "tar with a broken sum": _tar(tarfile.USTAR_FORMAT).replace(b"pickle", b"tickle", 1),
}


@pytest.mark.parametrize("name", PACKED)
def test_packed_content_is_refused_whatever_the_name(name: str) -> None:
    (finding,) = _scan(PACKED[name], "model.z")
    kind = name.split(maxsplit=1)[0].rstrip(",")
    assert finding.message == f"{kind} content, which can't be looked into: unpack it"


def test_a_safetensors_file_is_not_packed_whatever_its_length() -> None:
    header = b'{"__metadata__":{"format":"pt"},"embeddings.weight":{"dtype":"F32","shape":[3]'
    for low in range(1 << 16):
        for high in (0, 1, 0x52, 0x62, 0x81):
            assert _kinds(struct.pack("<Q", low | high << 16) + header) == (None, False)


def _kinds(data: bytes) -> tuple[str | None, bool]:
    return kind(data), begins_as_pickle(io.BytesIO(data), len(data))


def _zip(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members.items():
            member = zipfile.ZipInfo(name)  # of 1980: the same bytes whenever it is made
            member.compress_type = method
            archive.writestr(member, data)
    return stream.getvalue()


def _zip64(shift: int = 0, count: int | None = None, short: int = 0xFFFF) -> bytes:
    """A zip whose end is zip64's; `shift` is how far the locator is off."""
    data = _zip({"a": b"harmless"})
    number, size, offset = struct.unpack("<HLL", data[-12:-2])
    place = len(data) - 22
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, number, number, size, offset)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, place + shift, 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, short, short, 0xFFFFFFFF, offset, 0)
    return data[:place] + record + locator + end


OBJECTS = _of("'|O'") + EVIL
HOSTILE: dict[str, tuple[bytes, str]] = {
    "array of objects": (_zip({"a.npy": OBJECTS}), "'a.npy': a NumPy array of objects"),
    "second of two": (_zip({"a": _of("'<f4'"), "b": OBJECTS}), "'b': a NumPy array of objects"),
    "pickle": (_zip({"a": EVIL}), "'a': its content is a pickle"),
    "pickle in store": (_zip({"a": EVIL}, zipfile.ZIP_STORED), "'a': its content is a pickle"),
    "pickle behind much": (
        _zip({"a": b"B" + struct.pack("<I", 3_000_000) + bytes(3_000_000) + b"0" + EVIL}),
        "'a': its content is a pickle",
    ),
    "pickle by name": (_zip({"a.PKL": b"x"}), "'a.PKL': .pkl files are pickles"),
    "zip": (_zip({"a": _zip({"b": b"x"})}), "a zip within the zip"),
    "empty zip": (_zip({"a": _zip({})}), "a zip within the zip"),
    "gzip": (_zip({"a": gzip.compress(EVIL)}), "'a': gzip content"),
    "tar": (_zip({"a": _v7()}), "'a': tar content"),
    "lzma": (_zip({"a": b"x"}, zipfile.ZIP_LZMA), "packed in a way that can't be looked into"),
    "encrypted": (
        _zip({"a": b"x"}).replace(b"PK\1\2\x14\3\x14\0\0", b"PK\1\2\x14\3\x14\0\1"),
        "packed in a way",
    ),
    "two names": (_zip({"aa": b"x"}).replace(b"aa", b"bb", 1), "File name in directory"),
    "damaged": (_zip({"a": b"x" * 99}).replace(zlib.compress(b"x" * 99)[2:5], b"\xff" * 3), "zip"),
    "locator before the record": (_zip64(-1), "in more than one way: its locator|Corrupt"),
    "locator behind the record": (_zip64(1), "in more than one way: its locator|Corrupt"),
    "ends that differ": (_zip64(short=2), "in more than one way: its two ends differ"),
    "comment": (_zip({"a": b"x"})[:-2] + b"\x01\x00!", "way: something stands behind"),
    "bytes before": (b"PK\x03\x04" + _zip({"a": b"x"}), "directory is not where, or what"),
    "bytes before it all": (b"MZ" + _zip({"a": b"x"}), "directory is not where, or what"),
    "other count": (_zip({"a": b"x"})[:-12] + b"\2" + _zip({"a": b"x"})[-11:], "not where"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_zip_is_refused(name: str) -> None:
    data, problem = HOSTILE[name]
    (finding,) = _scan(data)
    with pytest.raises(AssertionError, match=problem):
        raise AssertionError(finding.message)


@pytest.mark.parametrize(
    "data",
    [
        _zip({}),
        _zip({"a.npy": _of("'<f4'"), "b": b"text", "c/d.json": b"{}"}),
        _zip({"a": _of("'<f4'")}, zipfile.ZIP_STORED),
        _zip64(),
        _zip64(short=1),
    ],
)
def test_a_harmless_zip_passes(data: bytes) -> None:
    assert _scan(data) == []


def test_a_zip_that_unpacks_to_much_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some bytes of each member are enough, unless it goes on like a pickle."""
    harmless = _zip({"a": bytes(30_000_000)})
    like_a_pickle = _zip({"a": b"B" + struct.pack("<I", 30_000_000) + bytes(30_000_000)})
    monkeypatch.setattr(zipped, "MAX_UNPACKED", 20_000_000)
    tracemalloc.start()
    try:
        assert _scan(harmless) == []
        (finding,) = _scan(like_a_pickle)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "more than 20000000 bytes of it would have to be unpacked" in finding.message
    assert peak < 2 * 1024**2


def test_a_directory_without_end_is_not_read() -> None:
    data = _zip({"n" * 60_000 + str(number): b"" for number in range(20)}, zipfile.ZIP_STORED)
    (finding,) = _scan(data)
    assert finding.message == "a zip that can't be read: its directory is too large to look at"


def test_a_locator_that_points_elsewhere() -> None:
    """Also where Python's own reader would not mind (CVE-2025-8291)."""
    data = _zip64(1)
    found = zipped._ambiguity(io.BytesIO(data), len(data), 1)
    assert found is not None
    assert "its locator points elsewhere" in found
