"""The scan of a whole model: counts, and nothing passes because nobody looked."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import pytest

from bundler.core.errors import PolicyError
from bundler.core.findings import Finding
from bundler.scan.models import SCANNERS, scan_model, versions
from bundler.scan.scanner import ScanSubject

HEADER = json.dumps({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}).encode()
GOOD = struct.pack("<Q", len(HEADER)) + HEADER + b"x"


def _files(**contents: bytes) -> list[ScanSubject]:
    return [
        ScanSubject(name.replace("__", "."), len(data), lambda data=data: io.BytesIO(data))  # type: ignore[misc]
        for name, data in contents.items()
    ]


def test_a_good_model_and_its_counts() -> None:
    result = scan_model("models/m", _files(model__safetensors=GOOD, config__json=b"{}"))
    assert result.findings == ()
    assert result.scanned == {"safetensors": 1, "pickle": 2}


def test_all_findings_of_all_files() -> None:
    result = scan_model(
        "models/m", _files(model__safetensors=GOOD + b"x", training_args__bin=b"", x=b"cos\nx\n)R.")
    )
    assert [(finding.rule, finding.subject) for finding in result.findings] == [
        ("safetensors", "model.safetensors"),
        ("pickle", "training_args.bin"),
        ("pickle", "x"),
    ]


@pytest.mark.parametrize("files", [{}, {"config__json": b"{}"}, {"model__gguf": b"GGUF"}])
def test_a_model_of_which_nothing_was_scanned_fails(files: dict[str, bytes]) -> None:
    (finding,) = scan_model("models/m", _files(**files)).findings
    assert (finding.rule, finding.severity, finding.subject) == ("model-scan", "error", "models/m")
    assert "nothing was scanned" in finding.message


def test_no_scanner_at_all_fails() -> None:
    with pytest.raises(PolicyError, match="no scanner"):
        scan_model("models/m", _files(model__safetensors=GOOD), scanners=())


def test_a_file_that_can_not_be_read_fails() -> None:
    def broken() -> BinaryIO:
        raise OSError("input/output error")

    with pytest.raises(PolicyError, match="scanner safetensors could not read it: input/output"):
        scan_model("models/m", [ScanSubject("m.safetensors", 9, broken)])


def test_scanners_are_listed_once_with_a_version() -> None:
    assert set(versions()) == {"safetensors", "pickle"}
    assert len(versions()) == len(SCANNERS)
    assert all(versions().values())


def test_a_scanner_of_another_make_takes_part() -> None:
    class Names:
        id = "names"
        version = "7"
        covers_weights = True

        def reads(self, subject: ScanSubject) -> bool:
            return subject.name == "odd"

        def scan(self, subject: ScanSubject) -> Iterable[Finding]:
            return [Finding(self.id, "warning", subject.name, "is odd")]

    result = scan_model("models/m", _files(odd=b"", even=b""), (*SCANNERS, Names()))
    assert result.scanned == {"safetensors": 0, "pickle": 2, "names": 1}
    assert [finding.rule for finding in result.findings] == ["names"]


def test_the_real_model_passes(minilm: Path) -> None:
    files = [
        ScanSubject(str(path), path.stat().st_size, lambda path=path: path.open("rb"))  # type: ignore[misc]
        for path in minilm.rglob("*")
        if path.is_file()
    ]
    result = scan_model("models/minilm", files)
    assert result.findings == ()
    assert result.scanned == {"safetensors": 1, "pickle": len(files)}
