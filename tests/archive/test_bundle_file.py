"""The whole file: written, read back, and every byte of it refused when it is another."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bundler.archive.framing import END
from bundler.core.errors import BundlerError, IntegrityError, TrustError, UsageError
from bundler.sign.open import open_bundle
from tests.hostile.forging import make_parts
from tests.making import KEY, Contents, make_bundle

SMALLEST = Contents(models={"m": {"a": b"weights"}}, files={}, images={})


def verify(path: Path) -> None:
    with open_bundle(path, KEY.public) as bundle:
        bundle.verify_blobs()


def test_reads_back_what_was_written(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "b.tar")
    with open_bundle(path, KEY.public) as bundle:
        assert (bundle.status, bundle.release.name) == ("TRUSTED", "movie-search")
        assert [entry.kind for entry in bundle.entries] == [
            "bundle",
            "image",
            "model",
            "modelpack",
            "files",
        ]
        files = bundle.tree(bundle.entries[-1]).blobs
        assert b"".join(bundle.open(files[-1])) == b'{"text": "a"}\n'
        bundle.verify_blobs()


def test_gnu_tar_lists_exactly_the_members(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "b.tar")
    listed = subprocess.run(["tar", "-tf", path], capture_output=True, text=True, check=True)
    names = listed.stdout.split()
    assert names[:3] == ["airbundle.sig.json", "oci-layout", "index.json"]
    with open_bundle(path, KEY.public) as bundle:
        assert len(names) == 3 + len(bundle.metadata) + len(bundle.blobs)


def test_the_same_draft_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = (make_bundle(tmp_path / f"{n}.tar").read_bytes() for n in (1, 2))
    assert one == two


def test_put_together_again_it_is_the_same_file(tmp_path: Path) -> None:
    """The forging tools of these tests change nothing by themselves."""
    parts = make_parts(tmp_path)
    assert parts.file() == (tmp_path / "parts.tar").read_bytes()


def test_two_models_with_a_file_in_common_share_its_layer(tmp_path: Path) -> None:
    same = {"a.txt": b"same"}
    path = make_bundle(tmp_path / "b.tar", Contents(models={"one": same, "two": same}))
    with open_bundle(path, KEY.public) as bundle:
        trees = [bundle.tree(e).blobs[-1] for e in bundle.entries if e.kind == "model"]
        assert trees[0] == trees[1]
        bundle.verify_blobs()


def test_a_layer_that_is_found_twice_only_while_packing_is_written_once(tmp_path: Path) -> None:
    """An image made of a model's layer: equal bytes that no name gives away."""
    with open_bundle(make_bundle(tmp_path / "a.tar"), KEY.public) as bundle:
        model = next(entry for entry in bundle.entries if entry.kind == "model")
        layer = b"".join(bundle.open(bundle.tree(model).blobs[-1]))
    path = make_bundle(tmp_path / "b.tar", Contents(images={"registry.corp/copy": (layer,)}))
    verify(path)
    assert path.read_bytes().count(b"one\ntwo\n" * 300) == 1


def test_several_platforms_share_the_layers_of_a_model(tmp_path: Path) -> None:
    platforms = ("linux/amd64", "linux/arm64/v8")
    path = make_bundle(tmp_path / "b.tar", Contents(platforms=platforms))
    verify(path)


def test_many_large_files_share_96_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bundler.archive.layers.LARGE", 10)
    files = {f"{n:03}.txt": b"%09d\n" % n for n in range(250)} | {"small": b"x"}
    path = make_bundle(tmp_path / "b.tar", Contents(models={"wide": files}))
    with open_bundle(path, KEY.public) as bundle:
        model = next(entry for entry in bundle.entries if entry.kind == "model")
        assert len(bundle.tree(model).blobs) == 1 + 1 + 96
        bundle.verify_blobs()


def test_every_bit_of_the_framing_is_checked(tmp_path: Path) -> None:
    """One bit of every byte that is no content, in process; the content is checked by digest.

    Where one byte fills much room, its ends and every 13th.
    """
    path = make_bundle(tmp_path / "b.tar", SMALLEST)
    good = path.read_bytes()
    with open_bundle(path, KEY.public) as bundle:
        content = _content(bundle)
    framing = [n for n in range(len(good)) if not any(a <= n < b for a, b in content)]
    framing = [n for n in framing if n % 13 == 0 or len(set(good[n - 32 : n + 33])) > 1]
    assert len(framing) > 5_000
    survivors = [n for n in framing if _accepted(path, good, n, 1 << (n % 8))]
    assert survivors == []


def test_every_bit_of_a_header_of_each_kind(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "b.tar")
    good = path.read_bytes()
    slot, layout, index, first_blob = 0, 66_048, 67_072, good.index(b"./@PaxHeader") - 2
    pax_end = good.index(b"blobs/sha256/", first_blob)
    for header in (slot, layout, index, first_blob, pax_end):
        survivors = [
            (byte, bit)
            for byte in range(header, header + 512)
            for bit in range(8)
            if _accepted(path, good, byte, 1 << bit)
        ]
        assert survivors == []


def test_every_byte_of_every_blob_is_checked(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "b.tar", Contents(models={"m": {"a": b"weights"}}))
    good = path.read_bytes()
    with open_bundle(path, KEY.public) as bundle:
        content = _content(bundle)
    places = [place for start, end in content[2:] for place in range(start, end, 97)]
    survivors = [n for n in places if _accepted(path, good, n, 1, content=True)]
    assert survivors == []
    assert len(places) > 100


def test_cut_off_by_up_to_1024_bytes(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "b.tar", SMALLEST)
    size = path.stat().st_size
    for cut in range(1, 1025):
        os.truncate(path, size - cut)
        with pytest.raises(IntegrityError, match="too early"):
            verify(path)


def test_cut_off_at_every_boundary(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "b.tar")
    good = path.read_bytes()
    for size in range(0, len(good), 512):
        path.write_bytes(good[:size])
        with pytest.raises(BundlerError):
            verify(path)


@pytest.mark.parametrize("tail", [b"\0", b"x", bytes(512), bytes(10240), END])
def test_bytes_after_the_end(tmp_path: Path, tail: bytes) -> None:
    path = make_bundle(tmp_path / "b.tar")
    path.write_bytes(path.read_bytes() + tail)
    with pytest.raises(IntegrityError, match=r"expected .* bytes, found"):
        verify(path)


def test_the_damaged_blob_and_its_owner_are_named(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "b.tar")
    good = bytearray(path.read_bytes())
    good[good.index(b"first layer")] ^= 1
    path.write_bytes(good)
    with pytest.raises(
        IntegrityError, match=r"blobs/sha256/.*registry.corp_5000/team/server.*layer"
    ):
        verify(path)


def test_a_folder_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="regular file"):
        open_bundle(tmp_path, None)


def _content(bundle: object) -> list[tuple[int, int]]:
    contents = bundle._contents  # type: ignore[attr-defined]
    places = [(67_584, 67_584 + len(contents.index))]
    inside = dict(contents.inventory.model_layers)
    for digest, placed in contents.places.items():
        if digest in inside:
            places += [
                (placed.offset + p.offset, placed.offset + p.offset + p.member.size)
                for p in inside[digest].placed
            ]
        else:
            places.append((placed.offset, placed.offset + placed.member.size))
    return [(512, 66_048), (66_560, 66_590), *places]


def _accepted(path: Path, good: bytes, place: int, mask: int, content: bool = False) -> bool:
    """Whether a bundle with one bit changed passes; the byte is put back."""
    with path.open("r+b") as file:
        file.seek(place)
        file.write(bytes([good[place] ^ mask]))
        file.flush()
        try:
            with open_bundle(path, KEY.public) as bundle:
                if content:
                    bundle.verify_blobs()
        except (IntegrityError, TrustError):
            return False
        finally:
            file.seek(place)
            file.write(good[place : place + 1])
            file.flush()
    return True
