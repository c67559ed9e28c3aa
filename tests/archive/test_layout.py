"""An OCI layout on disk: what `tests/conformance` doesn't say of destinations in general."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bundler.archive import format as fmt
from bundler.archive.layout import LayoutDestination
from bundler.core import strictjson
from bundler.core.digest import Descriptor
from bundler.core.errors import BundlerError, IntegrityError, SourceError
from tests.making import image

LAYERS = (b"first", b"second")


def put(folder: Path, tag: str | None = "v1", layers: tuple[bytes, ...] = LAYERS) -> Descriptor:
    destination = LayoutDestination(folder)
    manifest, metadata = image(layers)
    config = next(data for digest, data in metadata.items() if digest != manifest.digest)
    for data in (config, *layers):
        destination.put_blob("team/x", Descriptor.of(fmt.OCI_LAYER, data), (data,))
    destination.put_manifest("team/x", tag, manifest, metadata[manifest.digest])
    return manifest


def index(folder: Path) -> list[dict[str, object]]:
    entries: list[dict[str, object]] = strictjson.parse(
        (folder / "index.json").read_bytes(), "index.json"
    )["manifests"]
    return entries


def test_it_is_a_layout_of_the_specification(tmp_path: Path) -> None:
    manifest = put(tmp_path / "new")
    assert json.loads((tmp_path / "new" / "oci-layout").read_text()) == {
        "imageLayoutVersion": "1.0.0"
    }
    assert index(tmp_path / "new") == [
        manifest.to_json() | {"annotations": {fmt.REF_NAME: name}}
        for name in ("team/x:v1", f"team/x@{manifest.digest}")
    ]


def test_nothing_is_made_by_asking(tmp_path: Path) -> None:
    destination = LayoutDestination(tmp_path / "new")
    assert destination.tagged("team/x", "v1") is None
    assert not destination.has_blob("team/x", Descriptor.of(fmt.OCI_LAYER, b"x"))
    assert not (tmp_path / "new").exists()


def test_a_moved_tag_leaves_the_earlier_name(tmp_path: Path) -> None:
    first, second = put(tmp_path), put(tmp_path, layers=(b"other",))
    names = {entry["annotations"]["org.opencontainers.image.ref.name"] for entry in index(tmp_path)}  # type: ignore[index]
    assert names == {"team/x:v1", f"team/x@{first.digest}", f"team/x@{second.digest}"}


def test_a_manifest_that_is_an_artifact_says_so_in_the_index(tmp_path: Path) -> None:
    data = strictjson.canonical({"schemaVersion": 2, "artifactType": "a/b", "layers": []})
    LayoutDestination(tmp_path).put_manifest("x", "v1", Descriptor.of(fmt.OCI_MANIFEST, data), data)
    assert [entry["artifactType"] for entry in index(tmp_path)] == ["a/b", "a/b"]


def test_what_others_put_into_it_stays(tmp_path: Path) -> None:
    put(tmp_path)
    foreign = Descriptor.of(fmt.OCI_MANIFEST, b"{}").to_json() | {"platform": {"os": "linux"}}
    content = {"schemaVersion": 2, "manifests": [foreign]}
    (tmp_path / "index.json").write_bytes(strictjson.canonical(content))
    put(tmp_path)
    assert foreign in index(tmp_path)
    assert len(index(tmp_path)) == 3


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("notes.txt", b"", "neither empty nor an OCI image layout"),
        ("oci-layout", b'{"imageLayoutVersion":"2.0.0"}', "expected imageLayoutVersion 1.0.0"),
        ("oci-layout", b"not JSON", "is not JSON"),
    ],
)
def test_a_folder_that_is_something_else_is_refused(
    tmp_path: Path, name: str, content: bytes, expected: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BundlerError, match=expected):
        LayoutDestination(tmp_path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SourceError, match="expected a folder"):
        LayoutDestination(tmp_path / "file")


@pytest.mark.parametrize("content", [b"[]", b"{}", b'{"manifests":[{}]}', b'{"manifests":[3]}'])
def test_an_index_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    put(tmp_path)
    (tmp_path / "index.json").write_bytes(content)
    with pytest.raises(SourceError, match="expected an OCI index"):
        LayoutDestination(tmp_path).tagged("team/x", "v1")


def test_a_blob_that_was_cut_off_is_refused_not_repaired(tmp_path: Path) -> None:
    put(tmp_path)
    layer = Descriptor.of(fmt.OCI_LAYER, LAYERS[0])
    (tmp_path / "blobs" / "sha256" / layer.digest.hex).write_bytes(b"fir")
    with pytest.raises(IntegrityError, match="expected 5 bytes, found 3"):
        LayoutDestination(tmp_path).has_blob("team/x", layer)


@pytest.mark.parametrize("what", ["layer", "manifest", "tag"])
def test_other_bytes_under_a_blob_s_name_are_refused(tmp_path: Path, what: str) -> None:
    manifest = put(tmp_path)
    layer = Descriptor.of(fmt.OCI_LAYER, LAYERS[0])
    damaged = layer if what == "layer" else manifest
    place = tmp_path / "blobs" / "sha256" / damaged.digest.hex
    place.write_bytes(bytes(byte ^ 1 for byte in place.read_bytes()))
    destination = LayoutDestination(tmp_path)
    asked: dict[str, Callable[[], object]] = {
        "layer": lambda: destination.has_blob("team/x", layer),
        "manifest": lambda: destination.has_manifest("team/x", manifest.digest),
        "tag": lambda: destination.tagged("team/x", "v1"),
    }
    with pytest.raises(IntegrityError, match=f"{damaged.digest.hex}: expected sha256:") as caught:
        asked[what]()
    assert "remove that file and push again" in str(caught.value.hint)
    place.unlink()
    assert put(tmp_path) == manifest


def test_a_tag_of_a_manifest_that_is_gone_is_none(tmp_path: Path) -> None:
    manifest = put(tmp_path)
    (tmp_path / "blobs" / "sha256" / manifest.digest.hex).unlink()
    assert LayoutDestination(tmp_path).tagged("team/x", "v1") is None


def test_a_killed_push_leaves_nothing_under_a_blob_s_name(tmp_path: Path) -> None:
    layer = Descriptor.of(fmt.OCI_LAYER, b"whole")
    seen: list[list[str]] = []

    def chunks() -> Iterator[bytes]:
        yield b"who"
        seen.append([path.name for path in (tmp_path / "blobs" / "sha256").iterdir()])
        yield b"le"

    destination = LayoutDestination(tmp_path)
    destination.put_blob("x", layer, chunks())
    assert seen == [[f".{layer.digest.hex}.partial"]]
    assert [path.name for path in (tmp_path / "blobs" / "sha256").iterdir()] == [layer.digest.hex]


def test_a_push_that_was_killed_at_its_beginning_can_be_run_again(tmp_path: Path) -> None:
    (tmp_path / "blobs" / "sha256").mkdir(parents=True)
    (tmp_path / ".oci-layout.partial").write_bytes(b"{")
    (tmp_path / "blobs" / "sha256" / ".0.partial").write_bytes(b"")
    manifest = put(tmp_path)
    assert LayoutDestination(tmp_path).tagged("team/x", "v1") == manifest.digest
    assert not (tmp_path / ".oci-layout.partial").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    destination = LayoutDestination(tmp_path / "file" / "below")
    with pytest.raises(SourceError, match="can't be written"):
        destination.put_blob("x", Descriptor.of(fmt.OCI_LAYER, b"x"), (b"x",))


@pytest.mark.needs("skopeo")
def test_skopeo_reads_it_by_both_names(tmp_path: Path, tool: Callable[[str], Path]) -> None:
    folder = tmp_path / "layout"
    manifest = put(folder)
    for name in ("team/x:v1", f"team/x@{manifest.digest}"):
        command = [str(tool("skopeo")), "inspect", "--raw", f"oci:{folder}:{name}"]
        raw = subprocess.run(command, capture_output=True, check=True).stdout
        assert Descriptor.of(fmt.OCI_MANIFEST, raw) == manifest
