"""Headers of safetensors files, with the library that made the format as the oracle."""

from __future__ import annotations

import ctypes
import io
import json
import math
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import safetensors

from bundler.core.findings import Finding
from bundler.scan.safetensors_header import DTYPE_BITS, MAX_HEADER, SafetensorsScanner
from bundler.scan.scanner import ScanSubject

Json = dict[str, Any]


def _scan(data: bytes, name: str = "model.safetensors") -> list[Finding]:
    subject = ScanSubject(name, len(data), lambda: io.BytesIO(data))
    return list(SafetensorsScanner().scan(subject))


def _library_accepts(data: bytes) -> bool:
    try:
        safetensors.deserialize(data)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError:
        return False
    return True


def _file(header: Json | str | bytes, buffer: bytes = b"", length: int | None = None) -> bytes:
    """A file with this header; `length` is what the file says of it."""
    text = json.dumps(header) if isinstance(header, dict) else header
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(data) if length is None else length) + data + buffer


def _tensor(dtype: Any = "U8", shape: Any = (4,), offsets: Any = (0, 4), **more: Any) -> Json:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


@pytest.mark.parametrize("dtype", DTYPE_BITS)
@pytest.mark.parametrize("shape", [(), (0,), (8,), (2, 0, 4), (3, 8, 5)])
def test_accepts_what_the_library_accepts(dtype: str, shape: tuple[int, ...]) -> None:
    bits = DTYPE_BITS[dtype] * math.prod(shape)
    data = _file({"a": _tensor(dtype, shape, (0, bits // 8))}, bytes(bits // 8))
    assert (_scan(data) == []) is _library_accepts(data) is (bits % 8 == 0)


def test_accepts_what_the_library_writes() -> None:
    tensors = {
        "layer.0.weight": ("float32", [3, 7], 84),
        "LAYER.0.weight": ("bfloat16", [5], 10),
        '\u00fc "\\': ("int64", [], 8),
        "empty": ("bool", [0, 9], 0),
    }
    zeros = ctypes.create_string_buffer(100)
    specs = {
        name: safetensors.TensorSpec(
            dtype=dtype, shape=shape, data_ptr=ctypes.addressof(zeros), data_len=size
        )
        for name, (dtype, shape, size) in tensors.items()
    }
    assert _scan(safetensors.serialize(specs, {"format": "pt", "Format": "dtype"})) == []


@pytest.mark.parametrize(
    "data",
    [
        _file({}),
        _file("{}      "),
        _file({"__metadata__": {}}),
        _file({"a": _tensor(offsets=(0, 4)), "b": _tensor(offsets=(4, 8))}, bytes(8)),
        _file({"b": _tensor(offsets=(4, 8)), "a": _tensor(offsets=(0, 4))}, bytes(8)),
        _file({"a": _tensor(shape=(0,), offsets=(0, 0)), "b": _tensor()}, bytes(4)),
        _file({"__metadata__": {"dtype": "x", "shape": "y", "data_offsets": "z"}}),
        _file(
            {
                name: _tensor(shape=[0], offsets=[0, 0])
                for name in ("dtype", "shape", "data_offsets")
            }
        ),
    ],
)
def test_unusual_but_right(data: bytes) -> None:
    assert _library_accepts(data)
    assert _scan(data) == []


# What is broken, what we say of it, and whether the library refuses it too.
BROKEN: dict[str, tuple[bytes, str, bool]] = {
    "empty": (b"", "at least 8 bytes, found 0", True),
    "seven bytes": (b"\x02" + bytes(6), "at least 8 bytes, found 7", True),
    "no header": (_file(b""), "header of 2 to 0 bytes, found 0", True),
    "header beyond the file": (_file({}, length=9), "header of 2 to 2 bytes, found 9", True),
    "header of 2^63": (_file({}, length=2**63), "header of 2 to", True),
    "header over 100 MB": (_file({}, length=100_000_001), "header of 2 to", True),
    "not UTF-8": (_file(b'{"\xff": 1}'), "is not UTF-8", True),
    "not JSON": (_file("{nonsense}"), "is not JSON", True),
    "a list": (_file("[]"), "begins with '{'", True),
    "space before": (_file(" {}"), "begins with '{'", False),
    "byte order mark": (_file("\ufeff{}"), "begins with '{'", True),
    "two values": (_file("{}{}"), "is not JSON", True),
    "NUL behind": (_file("{}\0\0"), "is not JSON", True),
    "deep": (_file('{"a":' * 50_000), "is not JSON", True),
    "tensor twice": (
        _file('{"a":%s,"a":%s}' % ((json.dumps(_tensor()),) * 2), bytes(4)),
        "'a' stands twice",
        False,
    ),
    "dtype twice": (
        _file('{"a":{"dtype":"I8","dtype":"U8","shape":[4],"data_offsets":[0,4]}}', bytes(4)),
        "'dtype' stands twice",
        True,
    ),
    "metadata twice": (
        _file('{"__metadata__":{},"__metadata__":{}}'),
        "'__metadata__' stands twice",
        True,
    ),
    "key of metadata twice": (
        _file('{"__metadata__":{"a":"1","a":"2"}}'),
        "'a' stands twice",
        False,
    ),
    "metadata with a number": (_file({"__metadata__": {"a": 1}}), "strings to strings", True),
    "metadata that is a list": (_file({"__metadata__": []}), "strings to strings", True),
    "metadata that is a tensor": (
        _file({"__metadata__": _tensor()}, bytes(4)),
        "strings to strings",
        True,
    ),
    "header that is a tensor": (_file(_tensor(), bytes(4)), "tensor 'dtype': expected", True),
    "tensor that is a number": (_file({"a": 1}), "exactly dtype, shape", True),
    "tensor without shape": (
        _file({"a": {"dtype": "U8", "data_offsets": [0, 4]}}, bytes(4)),
        "exactly dtype, shape",
        True,
    ),
    "tensor with more": (_file({"a": _tensor(device="cuda")}, bytes(4)), "exactly dtype", False),
    "unknown dtype": (_file({"a": _tensor("O8")}, bytes(4)), "known dtype, found 'O8'", True),
    "dtype in lower case": (_file({"a": _tensor("u8")}, bytes(4)), "known dtype", True),
    "dtype that is a number": (_file({"a": _tensor(8)}, bytes(4)), "known dtype", True),
    "negative shape": (_file({"a": _tensor(shape=(-4,))}, bytes(4)), "integers from 0", True),
    "two negative": (_file({"a": _tensor(shape=(-2, -2))}, bytes(4)), "integers from 0", True),
    "boolean shape": (_file({"a": _tensor(shape=(4, True))}, bytes(4)), "integers from 0", True),
    "fraction in shape": (_file({"a": _tensor(shape=(4.0,))}, bytes(4)), "found 4.0", True),
    "exponent": (_file('{"a":{"shape":[4e0]}}'), "found 4e0", True),
    "NaN": (_file({"a": _tensor(shape=(math.nan,))}, bytes(4)), "found NaN", True),
    "huge number": (_file({"a": _tensor(shape=(10**30,))}, bytes(4)), "up to 2\\^53-1", True),
    "endless number": (_file('{"a":[' + "9" * 900 + "]}"), "up to 2\\^53-1", True),
    "overflowing shape": (
        _file({"a": _tensor(shape=(2**32, 2**32, 0))}, b""),
        "larger than any file",
        True,
    ),
    "shape that is a text": (_file({"a": _tensor(shape="4")}, bytes(4)), "integers from 0", True),
    "one offset": (_file({"a": _tensor(offsets=(4,))}, bytes(4)), "as .begin, end.", True),
    "three offsets": (_file({"a": _tensor(offsets=(0, 4, 8))}, bytes(4)), "as .begin, end.", True),
    "offsets backwards": (_file({"a": _tensor(offsets=(4, 0))}, bytes(4)), "as .begin, end.", True),
    "negative offset": (_file({"a": _tensor(offsets=(-4, 0))}, bytes(4)), "as .begin, end.", True),
    "too short": (_file({"a": _tensor(offsets=(0, 3))}, bytes(3)), "has 32 bits", True),
    "too long": (_file({"a": _tensor(offsets=(0, 5))}, bytes(5)), "has 32 bits", True),
    "half a byte": (_file({"a": _tensor("F4", (3,), (0, 1))}, bytes(1)), "has 12 bits", True),
    "gap at the beginning": (_file({"a": _tensor(offsets=(1, 5))}, bytes(5)), "a gap", True),
    "gap": (
        _file({"a": _tensor(), "b": _tensor(offsets=(5, 9))}, bytes(9)),
        "'b': a gap: begins at 5, expected 4",
        True,
    ),
    "overlap": (
        _file({"a": _tensor(), "b": _tensor(offsets=(3, 7))}, bytes(7)),
        "'b': an overlap: begins at 3, expected 4",
        True,
    ),
    "one place twice": (_file({"a": _tensor(), "b": _tensor()}, bytes(4)), "an overlap", True),
    "bytes behind": (_file({"a": _tensor()}, bytes(5)), "4 of the buffer, the file at 5", True),
    "cut off": (_file({"a": _tensor()}, bytes(3)), "byte 4 of the buffer, the file at 3", True),
    "half of a pair in a name": (_file({"\ud800": _tensor()}, bytes(4)), "surrogate", True),
    "half of a pair in metadata": (_file('{"__metadata__":{"a":"\\udfff"}}'), "surrogate", True),
    "text without end": (_file('{"a'), "expected a name in quotes", True),
    "value without end": (_file('{"a": "'), "expected a value", True),
    "no colon": (_file('{"a" 1}'), "expected ':'", True),
    "no value": (_file('{"a":}'), "expected a value", True),
    "comma at the end": (_file('{"__metadata__":{},}'), "a name in quotes", True),
    "brackets that do not match": (_file('{"a":[}]}'), "brackets do not match", True),
    "bracket without end": (_file('{"a":[[]'), "has no end", True),
    "endless shape": (_file({"a": _tensor(shape=[1] * 5000)}, b"x"), "exactly dtype", True),
    "no tensor, but bytes": (_file({}, bytes(1)), "end at byte 0 of the buffer", True),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_header_is_a_finding(name: str) -> None:
    data, problem, library_refuses = BROKEN[name]
    (finding,) = _scan(data)
    assert (finding.rule, finding.severity, finding.subject) == (
        "safetensors",
        "error",
        "model.safetensors",
    )
    with pytest.raises(AssertionError, match=problem):
        raise AssertionError(finding.message)
    assert _library_accepts(data) is not library_refuses


def test_a_file_that_shrank_is_a_finding() -> None:
    whole = _file({"a": _tensor()}, bytes(4))
    subject = ScanSubject("m.safetensors", len(whole), lambda: io.BytesIO(whole[:20]))
    (finding,) = SafetensorsScanner().scan(subject)
    assert "ends within its header" in finding.message


@pytest.mark.parametrize("name", ["m.safetensors", "a/M.SafeTensors", "x.SAFETENSORS"])
def test_reads_by_name(name: str) -> None:
    assert SafetensorsScanner().reads(ScanSubject(name, 0, io.BytesIO))
    assert not SafetensorsScanner().reads(ScanSubject(name + ".index.json", 0, io.BytesIO))


HOSTILE: dict[str, bytes] = {
    "lists": b'{"a":[' + b"[]," * 200_000 + b"[]]}",
    "lists in a tensor": b'{"a":{"shape":[' + b"[]," * 400_000 + b"[]]}}",
    "objects": b'{"a":[' + b"{}," * 200_000 + b"{}]}",
    "texts in metadata": b'{"__metadata__":{' + b'"ab":"cd",' * 100_000 + b'"x":1}}',
    "names in metadata": b'{"__metadata__":{'
    + b",".join(b'"%x":""' % number for number in range(150_000))
    + b"}}",
    "quotes": b'{"a":["' + b'\\"' * 300_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_memory_does_not_grow_with_what_a_header_holds(name: str) -> None:
    data = _file(HOSTILE[name])
    tracemalloc.start()
    try:
        assert len(_scan(data)) == 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * 1024**2


def test_more_tensors_than_anybody_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = {str(number): _tensor(shape=[0], offsets=[0, 0]) for number in range(3)}
    assert _scan(_file(empty)) == []
    monkeypatch.setattr("bundler.scan.safetensors_header.MAX_TENSORS", 2)
    (finding,) = _scan(_file(empty))
    assert finding.message == "expected at most 2 tensors in its header"


def test_more_metadata_than_anybody_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = _file({"__metadata__": {"a": "", "b": "", "c": ""}})
    assert _scan(data) == []
    monkeypatch.setattr("bundler.scan.safetensors_header.MAX_METADATA", 2)
    (finding,) = _scan(data)
    assert finding.message == "expected at most 2 members in __metadata__"


def test_a_header_that_is_too_large_is_not_read() -> None:
    class Counting(io.BytesIO):
        most = 0

        def read(self, size: int | None = -1) -> bytes:
            self.most = max(self.most, size or 0)
            return super().read(size)

    stream = Counting(_file({}, length=MAX_HEADER + 1))
    subject = ScanSubject("m.safetensors", 10**12, lambda: stream)
    (finding,) = SafetensorsScanner().scan(subject)
    assert f"header of 2 to {MAX_HEADER} bytes" in finding.message
    assert stream.most == 8


def test_a_header_of_many_tensors_takes_little_memory() -> None:
    rows = (
        f'"t{n:06}":{{"dtype":"U8","shape":[1],"data_offsets":[{n},{n + 1}]}}'
        for n in range(60_000)
    )
    data = _file("{" + ",".join(rows) + "}", bytes(60_000))
    tracemalloc.start()
    try:
        assert _scan(data) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 * len(data)


def test_the_real_model_has_a_right_header(minilm: Path) -> None:
    location = minilm / "model.safetensors"
    subject = ScanSubject(location.name, location.stat().st_size, lambda: location.open("rb"))
    assert list(SafetensorsScanner().scan(subject)) == []
