"""Facts of a model: from the files that travel; what can't be read is refused, never guessed."""

from __future__ import annotations

import io
import json
import struct

import pytest

from bundler.core.bom.modelfacts import ModelFacts
from bundler.core.errors import DocumentError, PolicyError
from bundler.scan.modelfacts import read_facts
from bundler.scan.scanner import ScanSubject


def weights(**tensors: tuple[str, list[int], int]) -> bytes:
    """A safetensors file: each tensor's dtype, shape and bytes."""
    header, position = {}, 0
    for name, (dtype, shape, size) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [position, position + size]}
        position += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(position)


def facts(files: dict[str, bytes]) -> ModelFacts:
    subjects = [
        ScanSubject(name, len(data), lambda data=data: io.BytesIO(data))  # type: ignore[misc]
        for name, data in files.items()
    ]
    return read_facts("models/m", subjects)


def test_numbers_are_counted_over_all_files() -> None:
    one = weights(a=("F32", [2, 3], 24), b=("F4", [4], 2), c=("I64", [], 8))
    two = weights(a=("F32", [5], 20), d=("BF16", [7, 0], 0))
    found = facts({"x/1.safetensors": one, "2.SAFETENSORS": two})
    assert found.elements == {"F32": 11, "F4": 4, "I64": 1, "BF16": 0}
    assert found.parameters == 16


def test_a_count_of_some_is_no_count() -> None:
    found = facts({"1.safetensors": weights(a=("U8", [1], 1)), "2.safetensors": b"bad"})
    assert found.elements == {}
    assert found.parameters == 0


@pytest.mark.parametrize(
    ("config", "family", "architectures"),
    [
        (b'{"model_type": "bert", "architectures": ["A", "B"]}', "bert", ("A", "B")),
        (b'{"eps": NaN, "model_type": 3, "architectures": "A"}', None, ()),
        (b'{"model_type": "", "architectures": ["A", 1, "\\ud800"]}', None, ("A",)),
        (b"{}", None, ()),
    ],
)
def test_the_configuration(config: bytes, family: str | None, architectures: object) -> None:
    found = facts({"config.json": config, "x/config.json": b"not read"})
    assert (found.family, found.architectures) == (family, architectures)


def test_the_card() -> None:
    card = facts({"README.md": b"---\nlicense: mit\npipeline_tag: x\n---\n"}).card
    assert (card.licenses, card.task) == (("mit",), "x")


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (b"no", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "expected a JSON object, found list"),
        (b"\xff{}", "is not UTF-8"),
        (b" " * (4 * 1024**2 + 1), "expected at most 4194304 bytes, found 4194305"),
    ],
    ids=["no", "deep", "list", "latin", "long"],
)
def test_a_configuration_that_can_not_be_read_is_refused(config: bytes, problem: str) -> None:
    with pytest.raises(PolicyError, match=f"models/m: config.json: {problem}"):
        facts({"config.json": config})


def test_a_card_that_can_not_be_read_is_refused() -> None:
    with pytest.raises(DocumentError, match=r"models/m: README.md:2:10: license"):
        facts({"README.md": b"---\nlicense: 3\n---\n"})
    with pytest.raises(PolicyError, match=r"models/m: README.md: can't be read: gone"):
        read_facts("models/m", [ScanSubject("README.md", 1, _gone)])


def _gone() -> io.BytesIO:
    raise OSError("gone")
