"""Layers of models: what goes where, and that size and framing follow from the list of files."""

from __future__ import annotations

import io
import tarfile
import unicodedata

import pytest

from bundler.archive.framing import ALIGNMENT, END
from bundler.archive.layers import LARGE, MOST_LARGE_LAYERS, Layer, model_layers
from bundler.core.digest import Digest
from bundler.core.lock import LockedFile
from tests.making import locked, tar_of

FILES = {"a.txt": b"a", "b/c": b"x" * 512, "empty": b"", "größe": b"y" * 5000, 150 * "n": b"z"}


def file(path: str, size: int) -> LockedFile:
    return LockedFile(path, size, Digest.of(path.encode()))


def paths(*layers: Layer) -> list[list[str]]:
    return [[file.path for file in layer.files] for layer in layers]


def test_a_file_of_16_mib_is_large_and_one_byte_less_is_small() -> None:
    layers = model_layers([file("large", LARGE), file("small", LARGE - 1)])
    assert paths(*layers) == [["small"], ["large"]]
    assert [layer.small for layer in layers] == [True, False]
    assert LARGE == 16_777_216


def test_small_files_share_the_first_layer_in_the_order_of_their_bytes() -> None:
    layers = model_layers([file(path, 1) for path in ("ü", "a/b", "a.b", "Z", "a")])
    assert paths(*layers) == [["Z", "a", "a.b", "a/b", "ü"]]


def test_only_large_files_have_no_layer_of_small_ones() -> None:
    assert paths(*model_layers([file("b", LARGE), file("a", LARGE)])) == [["a"], ["b"]]


@pytest.mark.parametrize(("count", "layers"), [(1, 1), (96, 96), (97, 96), (191, 96), (1000, 96)])
def test_large_files_share_at_most_96_layers(count: int, layers: int) -> None:
    """File i of n goes to layer floor(96 i / n), docs/format.md "Models"."""
    found = model_layers([file(f"{n:04}", LARGE) for n in range(count)])
    assert len(found) == layers
    numbers = [number for number, layer in enumerate(found) for _ in layer.files]
    most = min(count, MOST_LARGE_LAYERS)
    assert numbers == [most * n // count for n in range(count)]
    assert [path for layer in paths(*found) for path in layer] == [f"{n:04}" for n in range(count)]


def test_python_reads_a_layer() -> None:
    layer = Layer("models/", locked(FILES))
    with tarfile.open(fileobj=io.BytesIO(written(layer))) as tar:
        found = {member.name: tar.extractfile(member) for member in tar}
        assert {name: data.read() for name, data in found.items() if data} == {
            f"models/{path}": data for path, data in FILES.items()
        }


def test_size_and_framing_are_those_of_the_bytes() -> None:
    layer = Layer("models/", locked(FILES))
    data = written(layer)
    assert layer.size == len(data)
    runs = list(layer.framing())
    assert all(data[offset : offset + len(run)] == run for offset, run in runs)
    assert sum(len(run) for _, run in runs) + sum(map(len, FILES.values())) == len(data)
    assert runs[-1] == (len(data) - len(END), END)


def test_every_content_is_aligned() -> None:
    assert {placed.offset % ALIGNMENT for placed in Layer("models/", locked(FILES)).placed} == {0}


def test_no_files_are_an_empty_tar() -> None:
    assert tar_of({}) == END
    assert Layer("", ()).size == len(END)


@pytest.mark.parametrize(
    "other",
    [
        Layer("", locked({"a": b"1", "b": b"2"})),
        Layer("models/", locked({"a": b"1", "c": b"2"})),
        Layer("models/", locked({"a": b"1", "b": b"3"})),
        Layer("models/", locked({"a": b"1"})),
    ],
)
def test_other_layers_have_other_keys(other: Layer) -> None:
    layer = Layer("models/", locked({"a": b"1", "b": b"2"}))
    assert layer.key == Layer("models/", locked({"b": b"2", "a": b"1"}), small=True).key
    assert layer.key != other.key


def test_names_are_taken_as_they_are() -> None:
    """NFC is the business of the sources: here another form is another name."""
    composed, apart = (unicodedata.normalize(form, "ü") for form in ("NFC", "NFD"))
    keys = {Layer("", (file(path, 1),)).key for path in (composed, apart)}
    assert len(keys) == 2


def written(layer: Layer) -> bytes:
    """The bytes of `layer`, with the contents of FILES."""
    parts = (
        placed.framing + FILES[file.path] + placed.filler
        for file, placed in zip(layer.files, layer.placed, strict=True)
    )
    return b"".join(parts) + END
