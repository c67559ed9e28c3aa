"""One bit in each kind of framing and content, and bundles that nobody signed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bundler.archive import format as fmt
from bundler.archive.reader import Contents
from bundler.core.digest import Digest
from bundler.core.errors import IntegrityError, TrustError
from bundler.core.release import Release
from bundler.sign.open import open_bundle
from tests.hostile.case import change_blob
from tests.hostile.forging import Parts, make_parts
from tests.making import BOM, KEY, make_bundle


@dataclass(frozen=True)
class Good:
    """A valid bundle: its bytes, and where everything in it stands."""

    data: bytes
    contents: Contents

    def blob(self, content: bytes) -> int:
        """Where a blob with this content begins."""
        return self.contents.places[Digest.of(content)].offset

    def config(self) -> int:
        """Where the image's config begins, which is no JSON to us."""
        return next(
            place.offset
            for digest, place in self.contents.places.items()
            if str(self.contents.walk.owners[digest]).startswith("registry.corp")
            and b'"diff_ids"' in self.contents.walk.metadata.get(digest, b"")
        )

    def layer(self) -> int:
        """Where the model's layer begins."""
        [(digest, _), *_] = self.contents.inventory.model_layers
        return self.contents.places[digest].offset


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Good:
    path = make_bundle(tmp_path_factory.mktemp("good") / "b.tar")
    with open_bundle(path, KEY.public) as bundle:
        return Good(path.read_bytes(), bundle._contents)


def verify(path: Path) -> None:
    with open_bundle(path, KEY.public) as bundle:
        bundle.verify_blobs()


# What is changed, at which byte, and what the message says about it.
PLACES: dict[str, tuple[Callable[[Good], int], str]] = {
    "the slot's header": (lambda good: 300, r"airbundle\.sig\.json \(header\): byte 300"),
    "the header of oci-layout": (lambda good: 66_100, r"oci-layout \(header\): byte 66100"),
    "the text of oci-layout": (lambda good: 66_560 + 3, "oci-layout: byte 66563"),
    "the padding of oci-layout": (lambda good: 66_560 + 40, "oci-layout: byte 66600"),
    "the header of the index": (lambda good: 67_100, r"index\.json \(header\)"),
    "the index": (lambda good: 67_600, r"index\.json: its digest is"),
    "the padding of the index": (
        lambda good: 67_584 + len(good.contents.index),
        r"index\.json \(padding\)",
    ),
    "the header of a blob of metadata": (
        lambda good: good.blob(b"{}") - 100,
        r"blobs/sha256/.* \(bundle: layer report\.json\) \(header\)",
    ),
    "the padding of a blob of metadata": (
        lambda good: good.blob(b"{}") + 2,
        r"blobs/sha256/.* \(bundle: layer report\.json\) \(padding\)",
    ),
    "a config": (Good.config, r"blobs/sha256/.* \(registry\.corp.*: config\): its bytes"),
    "the header of a layer": (
        lambda good: good.blob(b"second") - 600,
        r"blobs/sha256/.*team/server.*: layer 1\) \(header\)",
    ),
    "the padding of a layer": (
        lambda good: good.blob(b"second") + 6,
        r"blobs/sha256/.*team/server.*: layer 1\) \(padding\)",
    ),
    "a layer": (
        lambda good: good.blob(b"second"),
        r"blobs/sha256/.*team/server.*: layer 1\): its bytes have another digest",
    ),
    "the first header in a model's layer": (
        lambda good: good.layer() + 5,
        r"models/mini: layer 0, tar header inside",
    ),
    "the padding of a model's file": (
        lambda good: good.layer() + 4096 + 3,
        r"models/mini: layer 0, tar header inside",
    ),
    "a model's file": (lambda good: good.layer() + 4096, "models/mini: layer 0.*another digest"),
    "the end": (lambda good: len(good.data) - 1, "the end of the file: byte"),
    "the end's first byte": (lambda good: len(good.data) - 1024, "the end of the file: byte"),
}


@pytest.mark.parametrize(("place", "message"), PLACES.values(), ids=PLACES)
def test_one_bit_is_found_and_named(
    place: Callable[[Good], int], message: str, good: Good, tmp_path: Path
) -> None:
    data = bytearray(good.data)
    data[place(good)] ^= 4
    path = tmp_path / "b.tar"
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=message):
        verify(path)


def test_whoever_reads_a_damaged_blob_is_told_at_its_end(good: Good, tmp_path: Path) -> None:
    data = bytearray(good.data)
    data[good.blob(b"second")] ^= 4
    path = tmp_path / "b.tar"
    path.write_bytes(data)
    with open_bundle(path, KEY.public) as bundle:
        [blob] = [each for each in bundle.blobs if each.digest == Digest.of(b"second")]
        pieces = bundle.open(blob)
        assert next(pieces) == b"wecond"
        with pytest.raises(IntegrityError, match=r"layer 1.*another digest"):
            next(pieces)


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b\x08", b"airbundle", 100_000 * b"x"])
def test_what_is_no_bundle_is_called_none(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "b.tar"
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"b\.tar: is no airbundle bundle"):
        verify(path)


def test_a_byte_at_the_end_is_found(good: Good, tmp_path: Path) -> None:
    path = tmp_path / "b.tar"
    path.write_bytes(good.data + b"\0")
    size = len(good.data)
    with pytest.raises(IntegrityError, match=rf"b\.tar: expected {size} bytes, found {size + 1}"):
        verify(path)


def unsigned(parts: Parts, path: Path) -> Path:
    """The bundle of `parts`, signed by nobody."""
    parts.slot = b" " * fmt.SLOT_SIZE
    path.write_bytes(parts.file())
    return path


def test_an_unsigned_bundle_says_itself_what_it_is(tmp_path: Path) -> None:
    parts = make_parts(tmp_path)
    with open_bundle(unsigned(parts, tmp_path / "b.tar"), None) as bundle:
        assert (bundle.status, bundle.signers, bundle.envelope) == ("UNSIGNED", (), None)
        assert (bundle.release.name, bundle.release.version) == ("movie-search", "1.4.0")
        assert bundle.release.index == Digest.of(parts.index)
        bundle.verify_blobs()


@pytest.mark.parametrize("members", [{"name": "Movie"}, {"version": "1.4"}])
def test_an_unsigned_bundle_needs_a_name_and_version_as_well(
    members: dict[str, str], tmp_path: Path
) -> None:
    parts = make_parts(tmp_path)
    digest = parts.manifest("bundle")["config"]["digest"]
    change_blob(parts, digest, lambda config: config.update(members))
    with pytest.raises(IntegrityError, match="bundle config: "):
        open_bundle(unsigned(parts, tmp_path / "b.tar"), None)


def test_the_index_of_an_unsigned_bundle_has_a_bound(tmp_path: Path) -> None:
    parts = make_parts(tmp_path)
    parts.index = parts.index.ljust(fmt.MAX_INDEX)
    with open_bundle(unsigned(parts, tmp_path / "b.tar"), None) as bundle:
        assert len(bundle.index) == fmt.MAX_INDEX
    parts.index += b" "
    with pytest.raises(IntegrityError, match="expected a size of 1 byte to 16 MiB"):
        open_bundle(unsigned(parts, tmp_path / "b.tar"), None)


@pytest.mark.parametrize(
    "field",
    [
        b"00000000000\0",
        b"77777777777\0",
        b"0000000200 \0",
        b"-0000000200\0",
        b"00000000200 ",
        b"\x80\0\0\0\0\0\0\0\0\0\2\0",
    ],
)
def test_the_stated_size_of_the_index_is_octal_and_bounded(field: bytes, tmp_path: Path) -> None:
    path = unsigned(make_parts(tmp_path), tmp_path / "b.tar")
    data = bytearray(path.read_bytes())
    data[67_072 + 124 : 67_072 + 136] = field
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="expected a size of 1 byte to 16 MiB"):
        open_bundle(path, None)


def test_a_signed_bundle_that_nobody_asked_about_is_held_to_its_statement(tmp_path: Path) -> None:
    parts = make_parts(tmp_path)
    path = tmp_path / "b.tar"
    path.write_bytes(parts.file())
    with open_bundle(path, None) as bundle:
        assert (bundle.status, bundle.signers) == ("UNTRUSTED", ())
    parts.statement = parts.stated().replace(b"1.4.0", b"1.4.1")
    path.write_bytes(parts.file())
    with pytest.raises(IntegrityError, match=r"the signed statement says movie-search 1\.4\.1"):
        open_bundle(path, None)


def test_a_statement_about_another_index_is_found_without_a_key(tmp_path: Path) -> None:
    parts = make_parts(tmp_path)
    other = Release(parts.name, parts.version, Digest.of(b"another"), len(parts.index))
    parts.statement = other.statement()
    path = tmp_path / "b.tar"
    path.write_bytes(parts.file())
    with pytest.raises(IntegrityError, match=r"index\.json: its digest is .* signed is"):
        open_bundle(path, None)


def test_a_bent_statement_is_found_without_a_key(tmp_path: Path) -> None:
    parts = make_parts(tmp_path)
    parts.statement = parts.stated() + b" "
    path = tmp_path / "b.tar"
    path.write_bytes(parts.file())
    with pytest.raises(TrustError, match="canonical spelling"):
        open_bundle(path, None)


def test_a_layer_of_the_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    with open_bundle(make_bundle(tmp_path / "b.tar"), KEY.public) as bundle:
        assert bundle.layer("report.json") == b"{}"
        assert bundle.layer("bom.cdx.json") == BOM
        with pytest.raises(IntegrityError, match=r"expected a layer 'bom\.json', found lock\.json"):
            bundle.layer("bom.json")
