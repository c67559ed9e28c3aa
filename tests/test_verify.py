"""`verify`: every byte of a bundle is read, and what was found is counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bundler.core.digest import Digest
from bundler.core.errors import IntegrityError
from bundler.core.progress import SILENT
from bundler.sign.keys import Algorithm, PrivateKey
from bundler.sign.open import open_bundle
from bundler.verify import Verified, verify
from tests.making import KEY, Contents, make_bundle

OTHER = PrivateKey.generate(Algorithm.P384)


class Counting:
    """Progress that adds up."""

    def __init__(self) -> None:
        self.announced: list[int | None] = []
        self.read = 0

    def phase(self, label: str, total: int | None) -> None:
        self.announced.append(total)

    def advance(self, count: int) -> None:
        self.read += count


def test_it_counts_what_was_read(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "bundle.tar", None, KEY, OTHER)
    progress = Counting()
    with open_bundle(path, KEY.public) as bundle:
        found = verify(bundle, progress)
        sizes = sum(blob.size for blob in bundle.blobs)
        blobs = len(bundle.blobs) + len(bundle.metadata)
        index = Digest.of(bundle.index)
    assert found == Verified(
        status="TRUSTED",
        name="movie-search",
        version="1.4.0",
        index=index,
        signers=(KEY.public.fingerprint,),
        unknown=(OTHER.public.fingerprint,),
        revoked=(),
        entries=5,
        blobs=blobs,
        size=path.stat().st_size,
    )
    assert (progress.announced, progress.read) == ([sizes], sizes)


def test_the_count_is_that_of_the_file(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "bundle.tar")
    with open_bundle(path, None) as bundle:
        found = verify(bundle, SILENT)
        index = json.loads(bundle.index)
    assert (found.status, found.signers) == ("UNTRUSTED", ())
    assert found.entries == len(index["manifests"])
    assert found.blobs == path.read_bytes().count(b"blobs/sha256/")


@pytest.mark.parametrize("place", [lambda size: 0, lambda size: size // 2, lambda size: size - 1])
def test_every_layer_is_read_to_its_end(tmp_path: Path, place: Callable[[int], int]) -> None:
    contents = Contents(models={"mini": {"a.bin": bytes(range(256)) * 9000}})
    path = make_bundle(tmp_path / "bundle.tar", contents)
    data = path.read_bytes()
    with open_bundle(path, None) as bundle:
        layers = [(blob, b"".join(bundle.open(blob))) for blob in bundle.blobs]
    assert len(layers) == 4
    for blob, content in layers:
        at = data.index(content) + place(len(content))
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with (
            pytest.raises(IntegrityError, match=blob.digest.hex),
            open_bundle(path, None) as bundle,
        ):
            verify(bundle, SILENT)
