"""Pickles by name and by content; and what only looks like one."""

from __future__ import annotations

import collections
import io
import json
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bundler.core.findings import Finding
from bundler.scan.opcodes import MAX_OPCODES
from bundler.scan.pickled import EXTENSIONS, PickleScanner
from bundler.scan.scanner import ScanSubject


def _scan(data: bytes, name: str = "file") -> list[Finding]:
    subject = ScanSubject(name, len(data), lambda: io.BytesIO(data))
    assert PickleScanner().reads(subject)
    return list(PickleScanner().scan(subject))


class Evil:
    """Runs a command when it is loaded."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return eval, ("1 + 1",)


def _zip(*names: str, prefix: bytes = b"", content: bytes = b"x") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return prefix + stream.getvalue()


def _npy(descr: str) -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (3,), }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(24)


@pytest.mark.parametrize(
    "name", [f"a/b/Model{ext}" for ext in sorted(EXTENSIONS)] + ["x.PT", "y.Bin"]
)
def test_refused_by_name_whatever_it_holds(name: str) -> None:
    (finding,) = _scan(b"harmless text", name)
    assert (finding.rule, finding.severity, finding.subject) == ("pickle", "error", name)
    assert "files are pickles, as a rule" in finding.message


def test_the_list_of_names() -> None:
    assert {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".joblib"} <= EXTENSIONS


VALUES: dict[str, object] = {
    "call": Evil(),
    "call within": {"weights": [1, 2, Evil()]},
    "class": collections.OrderedDict(a=1),
    "numbers": list(range(3000)),
    "texts": [{"word": "w" * 300, "\u00fc": "\u00fc" * 70_000}] * 3,
    "bytes": [bytes(300), bytes(70_000)],
    "nothing": None,
    "nested": (1, (2.5, {3: frozenset([4])}), True, -1, 2**80, "a\nb", b""),
    "empty": [{}, (), [], set()],
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", VALUES)
def test_every_pickle_is_found(name: str, protocol: int) -> None:
    data = pickle.dumps(VALUES[name], protocol)
    (finding,) = _scan(data, "vocab.txt")
    assert finding.message == "its content is a pickle"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_runs_before_the_garbage_is_found(protocol: int) -> None:
    data = pickle.dumps(["x" * 1000, Evil()], protocol)
    for tail in (b"garbage", b"\x00" * 9000):
        assert _scan(data + tail)
        assert _scan(data[:-1] + tail)


HOSTILE: dict[str, bytes] = {
    "legacy torch": pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + bytes(99),
    "call without magic": b"cos\nsystem\n(S'true'\ntR.",
    "call without magic or end": b"cos\nsystem\n(S'true'\ntR\x00\x00",
    "instance": b"(S'true'\nios\nsystem\n\0",
    "object": b"(cos\nsystem\nS'true'\no\0",
    "build": b"cos\nsystem\n}b\0",
    "new object": b"cos\nsystem\n)\x81\0",
    "new object with keywords": b"cos\nsystem\n)}\x92\0",
    "import, then trailing bytes": b"csys\npath\nS'x'\na0cevilmod\nx\n.\n# notes\n",
    "import, and the end": b"cevilmod\nx\n.",
    "import of a name with a space": b"cevil mod\nx\n.\n# notes\n",
    "instance of a name with a space": b"(S'x'\nievil mod\nx\n.\n# notes\n",
    "import by the stack": b"S'evilmod'\nS'x'\n\x93.\n# notes\n",
    "import behind a pickle": b"I1\n.cevilmod\nx\n.\n# notes\n",
    "call behind a pickle": b"L1950L\n.I1\n.cos\nsystem\n(S'true'\ntR.garbage",
    "call given an import": b"cos\nsystem\ncmod\nARGUMENTS\nR.\n# notes\n",
    "magic and a name with a space": b"\x80\x02cevil mod\nx\ngarbage",
    "magic behind a constant": b"N0\x80\x02cevilmod\nx\ngarbage",
    "magic later": b"(\x80\x02cos\nsystem\n(S'true'\ntR.",
    "hexadecimal number first": b"I0x1f\n0cos\nsystem\n(S'true'\ntR.",
    "number with a NUL first": b"I1\x00x\n0cos\nsystem\n(S'true'\ntR.",
    "memo first": b"(p1_0\n0cos\nsystem\n(S'true'\ntR.",
    "float first": b"F inf\n0cos\nsystem\n(S'true'\ntR.",
    "long text first": b"V" + b"x" * 300_000 + b"\n0cos\nsystem\n(S'true'\ntR.",
    "long bytes first": b"B" + struct.pack("<I", 300_000) + bytes(300_000) + b"0cos\nx\n)R.",
    "longer than we look": b"N0" * MAX_OPCODES + b"cos\nsystem\n(S'true'\ntR.",
    "import alone": b"\x80\x04\x8c\x02os\x8c\x06system\x93garbage",
    "persistent": b"\x80\x02U\x01xQgarbage",
    "extension code": b"\x80\x02\x82\x01garbage",
    "a later protocol": b"\x80\x09" + pickle.dumps(Evil(), 4)[2:],
    "zip with data.pkl": _zip("data.pkl"),
    "zip with data.pkl below": _zip("archive/data.pkl", "archive/data/0"),
    "zip with DATA.PKL": _zip("a/b/DATA.PKL"),
    "zip with another pickle": _zip("weights.joblib"),
    "zip behind other bytes": _zip("archive/data.pkl", prefix=b"#!/bin/sh\n"),
    "zip cut off": _zip("archive/data.pkl")[:-30],
    "zip with a broken directory": _zip("archive/data.pkl").replace(b"PK\x01\x02", b"PK\x09\x09"),
    "zip of another version": _zip("x").replace(b"PK\1\2\x14\3\x14", b"PK\1\2\x14\3\xff"),
    "array of objects": _npy("'|O'"),
    "array with an object in it": _npy("[('a', '<f4'), ('b', '|O8')]"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_content_is_found_whatever_the_name(name: str) -> None:
    (finding,) = _scan(HOSTILE[name], "model.safetensors")
    assert finding.severity == "error"


HARMLESS: dict[str, bytes] = {
    "empty": b"",
    "json": json.dumps({"a": [1, 2, {"b": None}]}, indent=1).encode(),
    "card": b"---\nlicense: mit\n---\n# Model\n" * 50,
    "vocabulary": b"[PAD]\n[unused0]\n[CLS]\nthe\n" * 500,
    "words with c": b"cat\ndog\ncow\nbird\nrabbit\n" * 300,
    "words with c and R": b"cat\ndog\ncow\nbird\nRabbit\n" * 300,
    "words with c and b": b"cat\ndog\ncow\nbear\nbird\n" * 300,
    "prose with c": b"chat template\nfor models\ncan be used\nhere\nRight.\n",
    "source of classes": b"class A(B):\n    x = 1\n\n    def y(self): return 1.\n",
    "source of imports": b"import os\nimport sys\n.5\n",
    "shell": b"cd build\ncmake ..\nmake install\n./run.\n",
    "merges": b"#version: 0.2\ni n\nt h\na n\nR e\n. .\n",
    "letters": "\n".join(map(chr, range(33, 127))).encode(),
    "letters from c": "\n".join(map(chr, range(99, 127))).encode() + b"\n.\n",
    "licence": b"                     Apache License\n               Version 2.0\n",
    "notes": b"N. B. this is text.\nI. First.\n",
    "yaml": b"config:\n  a: 1\n  b: [2.]\n",
    "formula": b"x^2 + y^2 = z^2, as everybody knows who has ever seen a triangle.\n" * 40,
    "formula alone": b"x^2",
    "hC": b"hC is no compression, and HGH neither.\n" * 40,
    "words with b": b"cat\ndog\nbird\nbuild\n" * 300,
    "prose with I": b"If you have\nIt is\nRunning.\n.",
    "prose with V": b"Very long prose\nReally\n" + b"V" * 100_000,
    "prose with N": b"N. B. this is no pickle, it is prose.\n",
    "prose in brackets": b"(in this repository\nis a model)\n(to be read).",
    "numbers": b"0.5 0.25\n" * 100,
    "a magic alone": b"\x80\x02",
    "constants, then garbage": b"\x80\x02K\x01\x00",
    "utf-8": "\u20ac uro".encode(),
    "png": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "gguf": b"GGUF\x03\x00\x00\x00" + bytes(100),
    "tar": bytes(10240),
    "zip of texts": _zip("a.txt", "b/c.json"),
    "array of numbers": _npy("'<f4'"),
    "stack underflow": b"R.",
    "no mark": b"t.",
    "mark as an argument": b"(R.",
    "argument beyond the end": b"X\xff\xff\xff\x7f" + b"cos\nsystem\n)R.",
    "argument cut off": b"X\xff",
    "line without end": b"V" + b"x" * 300_000,
    "eocd by chance": bytes(100) + b"PK\x05\x06" + b"\xff" * 18,
}


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_content_passes(name: str) -> None:
    assert _scan(HARMLESS[name]) == []
    assert _scan(HARMLESS[name], "model.safetensors") == []


@pytest.mark.parametrize("low", range(256))
def test_a_safetensors_file_is_no_pickle_whatever_its_length(low: int) -> None:
    """Its first bytes are the header's length, which may well read 80 02, 80 03, …"""
    for high in (2, 3, 4, 5):
        length = 0x80 | high << 8 | low << 16
        header = b'{"__metadata__":{"format":"pt"},"embeddings.weight":{"dtype":"F32"'
        assert _scan(struct.pack("<Q", length) + header, "m.safetensors") == []


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A sparse gigabyte that says it is one argument of a pickle; a zip with a huge directory."""
    location = tmp_path / "big"
    for head in (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 30), b"PK\x03\x04"):
        with location.open("wb") as stream:
            stream.write(head)
            stream.truncate((1 << 30) + 20)
            stream.seek(0, 2)
            # End of central directory: one entry, 2^30 bytes long, from byte 0.
            stream.write(b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, 1 << 30, 20, 0))
        size = location.stat().st_size
        tracemalloc.start()
        try:
            subject = ScanSubject("big", size, lambda: location.open("rb"))
            (finding,) = PickleScanner().scan(subject)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 20 * 1024**2
        assert finding.message == "a zip that can't be read: its directory is too large to look at"


def test_the_real_model_holds_no_pickle(minilm: Path) -> None:
    for location in sorted(path for path in minilm.rglob("*") if path.is_file()):
        name, size = location.relative_to(minilm).as_posix(), location.stat().st_size
        subject = ScanSubject(name, size, lambda path=location: path.open("rb"))  # type: ignore[misc]
        assert list(PickleScanner().scan(subject)) == []
