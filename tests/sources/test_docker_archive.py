"""What `docker save` wrote, and what somebody wrote who pretends to be it."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import subprocess
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from bundler.core import strictjson
from bundler.core.digest import Digest
from bundler.core.errors import IntegrityError, SourceError
from bundler.sources.images import SourceImage, resolve_image
from tests.sources.complete import check_complete
from tests.sources.layouts import (
    CONFIG,
    LAYER,
    MANIFEST,
    Json,
    Layout,
    docker_save,
    dump,
    layer_tar,
    member_of,
    named,
    platform,
    reach,
    sha256,
)

AMD = "linux/amd64"
ONE, TWO = layer_tar("one"), layer_tar("two")
Extra = list[tuple[tarfile.TarInfo, bytes]]


def _resolve(source: str, root: Path, platform: str = AMD) -> SourceImage:
    return resolve_image(source, reach(root), (platform,))


def _read(image: SourceImage, digest: Digest) -> bytes:
    with image.open(digest) as stream:
        return stream.read()


def test_plain_layers_become_an_oci_image(tmp_path: Path) -> None:
    image = _resolve(docker_save(tmp_path / "a.tar", [ONE, TWO]), tmp_path)
    manifest = strictjson.parse(image.metadata[image.descriptor.digest], "manifest")
    config = next(
        data for digest, data in image.metadata.items() if digest != image.descriptor.digest
    )
    assert manifest == {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": sha256(config), "size": len(config)},
        "layers": [
            {"mediaType": LAYER, "digest": sha256(data), "size": len(data)} for data in (ONE, TWO)
        ],
    }
    assert strictjson.canonical(manifest) == image.metadata[image.descriptor.digest]
    assert image.platforms == ((AMD, image.descriptor.digest),)
    assert [_read(image, layer.digest) for layer in image.layers] == [ONE, TWO]
    assert _read(image, image.descriptor.digest) == image.metadata[image.descriptor.digest]


def test_the_order_of_members_changes_nothing(tmp_path: Path) -> None:
    one = _resolve(docker_save(tmp_path / "a.tar", [ONE, TWO]), tmp_path)
    with tarfile.open(tmp_path / "a.tar") as old, tarfile.open(tmp_path / "b.tar", "w") as new:
        for member in reversed(old.getmembers()):
            member.mtime = 7
            new.addfile(member, old.extractfile(member))
    other = _resolve("docker-archive:b.tar", tmp_path)
    assert (other.descriptor, other.metadata, other.layers) == (
        one.descriptor,
        one.metadata,
        one.layers,
    )


def test_gzip_layers_stay_compressed(tmp_path: Path) -> None:
    # Two members, as parallel compressors write them, and zeros behind.
    packed = gzip.compress(ONE[:100], mtime=1) + gzip.compress(ONE[100:], mtime=1) + bytes(64)
    source = docker_save(tmp_path / "a.tar", [packed, TWO], diffs=[ONE, TWO])
    image = _resolve(source, tmp_path)
    assert [layer.media_type for layer in image.layers] == [f"{LAYER}+gzip", LAYER]
    assert _read(image, image.layers[0].digest) == packed


def test_a_layer_that_stands_twice_is_read_once(tmp_path: Path) -> None:
    link = (member_of("1/layer.tar", kind=tarfile.SYMTYPE, link="../0/layer.tar"), b"")
    listed = [{"Config": "c.json", "RepoTags": None, "Layers": ["0/layer.tar", "1/layer.tar"]}]
    config = {**platform(AMD), "rootfs": {"diff_ids": [sha256(ONE)] * 2}}
    extra = [link, (member_of("c.json", dump(config)), dump(config))]
    image = _resolve(docker_save(tmp_path / "a.tar", [ONE], extra=extra, listed=listed), tmp_path)
    manifest = strictjson.parse(image.metadata[image.descriptor.digest], "manifest")
    assert len(manifest["layers"]) == 2
    assert [layer.digest for layer in image.layers] == [Digest.of(ONE)]


def _two_images(tmp_path: Path) -> str:
    """Two images of one config."""
    config = dump({**platform(AMD), "rootfs": {"diff_ids": [sha256(ONE)]}})
    images = [
        {"Config": "c.json", "RepoTags": tags, "Layers": ["0/layer.tar"]}
        for tags in (["app:1", "app:latest"], ["web:2"])
    ]
    extra = [(member_of("c.json", config), config)]
    return docker_save(tmp_path / "two.tar", [ONE], extra=extra, listed=images)


def test_an_image_by_its_name(tmp_path: Path) -> None:
    source = _two_images(tmp_path)
    assert _resolve(f"{source}:app:latest", tmp_path).layers
    with pytest.raises(SourceError, match=r"found 2; there is app:1 = app:latest, web:2") as info:
        _resolve(source, tmp_path)
    assert info.value.hint is not None
    with pytest.raises(SourceError, match=r"expected one image 'app:2', found 0"):
        _resolve(f"{source}:app:2", tmp_path)


def test_another_platform_is_refused(tmp_path: Path) -> None:
    source = docker_save(tmp_path / "a.tar", [ONE])
    with pytest.raises(SourceError, match="has no linux/arm64; there is linux/amd64"):
        _resolve(source, tmp_path, "linux/arm64")


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> Extra:
    return [(member_of(name, kind=kind, link=link), b"")]


def _sparse() -> Extra:
    member = member_of("sparse")
    member.pax_headers = {
        "GNU.sparse.map": "0,1",
        "GNU.sparse.size": "9",
        "GNU.sparse.realsize": "9",
    }
    return [(member, b"")]


HOSTILE: dict[str, tuple[Extra, str]] = {
    "absolute name": (_member("/etc/passwd"), "no plain name"),
    "name with ..": (_member("../x"), "no plain name"),
    "name with .. within": (_member("a/../../x"), "no plain name"),
    "name of another spelling": (_member("./manifest.json"), "no plain name"),
    "member twice": (_member("a") + _member("a"), "'a' stands twice"),
    "manifest.json twice": (_member("manifest.json"), "'manifest.json' stands twice"),
    "folder and file of one name": (
        _member("manifest.json/", tarfile.DIRTYPE),
        "'manifest.json' stands twice",
    ),
    "hard link": (_member("h", tarfile.LNKTYPE, "manifest.json"), "hard link"),
    "character device": (_member("d", tarfile.CHRTYPE), "device"),
    "block device": (_member("d", tarfile.BLKTYPE), "device"),
    "pipe": (_member("p", tarfile.FIFOTYPE), "device"),
    "contiguous file": (_member("c", tarfile.CONTTYPE), "member of type"),
    "unknown type": (_member("u", b"Z"), "member of type"),
    "sparse file": (_sparse(), "sparse file"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_member_is_refused(name: str, tmp_path: Path) -> None:
    extra, problem = HOSTILE[name]
    before = sorted(tmp_path.parent.iterdir())
    source = docker_save(tmp_path / "a.tar", [ONE], extra=extra)
    with pytest.raises(SourceError, match=problem):
        _resolve(source, tmp_path)
    assert sorted(tmp_path.iterdir()) == [tmp_path / "a.tar"]
    assert sorted(tmp_path.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("/etc/passwd", "a link out of the archive"),
        ("../../etc/passwd", "a link out of the archive"),
        ("../x/../..", "a link out of the archive"),
        ("gone", "has no file 'x/layer.tar'"),
        ("layer.tar", "has no file 'x/layer.tar'"),
        ("folder", "has no file 'x/layer.tar'"),
    ],
)
def test_a_link_leads_to_another_member_or_nowhere(link: str, problem: str, tmp_path: Path) -> None:
    extra = [
        (member_of("x/layer.tar", kind=tarfile.SYMTYPE, link=link), b""),
        (member_of("x/folder", kind=tarfile.DIRTYPE), b""),
    ]
    config = dump({**platform(AMD), "rootfs": {"diff_ids": [sha256(ONE)]}})
    extra += [(member_of("c.json", config), config)]
    listed = [{"Config": "c.json", "Layers": ["x/layer.tar"]}]
    source = docker_save(tmp_path / "a.tar", [ONE], extra=extra, listed=listed)
    with pytest.raises(SourceError, match=problem):
        _resolve(source, tmp_path)


def _listed(**change: object) -> list[Json]:
    return [{"Config": "c.json", "RepoTags": ["a:1"], "Layers": [], **change}]


@pytest.mark.parametrize(
    ("listed", "problem"),
    [
        ([], "expected a list of images"),
        ({}, "expected a list of images"),
        (["x"], "expected an object"),
        (_listed(Config=1), "expected Config, Layers and RepoTags"),
        (_listed(Layers="x"), "expected Config, Layers and RepoTags"),
        (_listed(Layers=[1]), "expected Config, Layers and RepoTags"),
        (_listed(RepoTags=[{}]), "expected Config, Layers and RepoTags"),
        (_listed(layers=[]), "stands twice"),
        (_listed(), "has no file 'c.json'"),
        (_listed(Config="manifest.json"), "expected an object"),
        (_listed(Config="/etc/passwd"), "has no file '/etc/passwd'"),
    ],
)
def test_a_bad_list_is_refused(listed: object, problem: str, tmp_path: Path) -> None:
    source = docker_save(tmp_path / "a.tar", [ONE], listed=listed)
    with pytest.raises(SourceError, match=problem):
        _resolve(source, tmp_path)


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"rootfs": {}}, "expected rootfs.diff_ids"),
        ({"rootfs": {"diff_ids": [1]}}, "expected rootfs.diff_ids"),
        ({"rootfs": {"diff_ids": ["md5:x"]}}, "expected sha256"),
        ({"rootfs": {"diff_ids": []}}, r"lists 0 layers, manifest\.json 1"),
        ({"rootfs": {"diff_ids": [sha256(ONE)] * 2}}, r"lists 2 layers, manifest\.json 1"),
        ({"os": ""}, "expected a platform"),
    ],
)
def test_a_bad_config_is_refused(config: Json, problem: str, tmp_path: Path) -> None:
    source = docker_save(tmp_path / "a.tar", [ONE], config)
    with pytest.raises(SourceError, match=problem):
        _resolve(source, tmp_path)


OTHER = {
    "other": TWO,
    "other gzip": gzip.compress(TWO, mtime=0),
    "empty": b"",
    "bzip2": b"BZh91AY",
    "longer": ONE + b"x",
}


@pytest.mark.parametrize("layer", OTHER.values(), ids=OTHER)
def test_a_layer_that_is_not_what_the_config_says(layer: bytes, tmp_path: Path) -> None:
    source = docker_save(tmp_path / "a.tar", [layer], diffs=[ONE])
    with pytest.raises(IntegrityError, match=f"0/layer.tar: .* the config says {sha256(ONE)}"):
        _resolve(source, tmp_path)


def _damaged() -> dict[str, bytes]:
    packed = gzip.compress(ONE, mtime=0)
    return {
        "cut off": packed[:-1],
        "cut off early": packed[:30],
        "magic alone": packed[:2],
        "another checksum": packed[:-8] + b"!!!!" + packed[-4:],
        "garbage within": packed[:40] + b"!!!!" + packed[44:],
        "garbage behind": packed + b"garbage",
    }


@pytest.mark.parametrize("name", _damaged())
def test_damaged_gzip_is_refused(name: str, tmp_path: Path) -> None:
    source = docker_save(tmp_path / "a.tar", [_damaged()[name]], diffs=[ONE])
    with pytest.raises(SourceError, match="is damaged gzip"):
        _resolve(source, tmp_path)


def test_a_layer_that_zstd_compressed_is_refused_by_name(tmp_path: Path) -> None:
    source = docker_save(tmp_path / "a.tar", [zstandard.compress(ONE)], diffs=[ONE])
    with pytest.raises(SourceError, match=r"0/layer\.tar: is compressed with zstd") as caught:
        _resolve(source, tmp_path)
    assert "OCI layout" in str(caught.value.hint)


def test_an_archive_that_newer_engines_write(tmp_path: Path) -> None:
    """From version 25 on it is an OCI layout besides, whose blobs manifest.json names."""
    layout = Layout(tmp_path / "layout")
    entry = layout.image(AMD)
    layout.finish(entry)
    manifest = json.loads((layout.folder / "blobs" / "sha256" / entry["digest"][7:]).read_bytes())
    config, *layers = (
        f"blobs/sha256/{found['digest'][7:]}" for found in (manifest["config"], *manifest["layers"])
    )
    listed = [{"Config": config, "RepoTags": ["app:1"], "Layers": layers, "LayerSources": {}}]
    (layout.folder / "manifest.json").write_bytes(dump(listed))
    with tarfile.open(tmp_path / "new.tar", "w") as archive:
        for path in layout.folder.iterdir():
            archive.add(path, arcname=path.name)
    image = _resolve("docker-archive:new.tar:app:1", tmp_path)
    assert [str(layer.digest) for layer in image.layers] == [
        layer["digest"] for layer in manifest["layers"]
    ]
    check_complete(image)


def test_a_gzip_bomb_takes_no_memory(tmp_path: Path) -> None:
    packed = gzip.compress(bytes(64 * 1024**2), mtime=0)
    source = docker_save(tmp_path / "a.tar", [packed], diffs=[bytes(64 * 1024**2)])
    tracemalloc.start()
    try:
        assert _resolve(source, tmp_path).layers[0].size == len(packed)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * 1024**2


def _header(change: Callable[[tarfile.TarInfo], None], body: bytes = b"") -> bytes:
    member = tarfile.TarInfo("x")
    change(member)
    return member.tobuf(tarfile.GNU_FORMAT) + body


def _size(size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    def change(member: tarfile.TarInfo) -> None:
        member.size, member.type = size, kind

    return _header(change)


GIB = 1024**3
BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is no readable tar"),
    "compressed": (gzip.compress(ONE, mtime=0), "is no readable tar"),
    "text": (b"hello" * 1000, "is no readable tar"),
    "two zero blocks": (bytes(1024), "has no file 'manifest.json'"),
    "member beyond the end": (_size(GIB), "reaches beyond the end|is no readable tar"),
    "member of negative size": (_size(-1024), "beyond the end|is no readable tar"),
    "endless PAX header": (_size(3 * GIB, tarfile.XHDTYPE), "header of more than"),
    "PAX header of negative size": (_size(-512, tarfile.XHDTYPE), "is no readable tar"),
    "endless name": (_size(3 * GIB, tarfile.GNUTYPE_LONGNAME), "header of more than"),
    "endless global header": (_size(3 * GIB, tarfile.XGLTYPE), "header of more than"),
    "many headers for one member": (_size(0, tarfile.XHDTYPE) * 5000, "is no readable tar"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_archive_is_refused(name: str, tmp_path: Path) -> None:
    data, problem = BROKEN[name]
    (tmp_path / "a.tar").write_bytes(data + (bytes(1024) if data else b""))
    with pytest.raises(SourceError, match=problem):
        _resolve("docker-archive:a.tar", tmp_path)


def test_what_the_system_says_is_an_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("bundler.sources.docker_archive.read_members", broken)
    with pytest.raises(SourceError, match=r"a\.tar: input/output error"):
        _resolve("docker-archive:a.tar", tmp_path)


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bundler.sources.tar_members.MAX_MEMBERS", 10)
    extra = [item for number in range(20) for item in _member(f"m{number}")]
    source = docker_save(tmp_path / "a.tar", [ONE], extra=extra)
    with pytest.raises(SourceError, match="one member too many"):
        _resolve(source, tmp_path)


@pytest.mark.parametrize("name", ["manifest.json", "c.json"])
def test_too_long_a_document_is_refused(name: str, tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        small = dump(_listed())
        for each in ("manifest.json", "c.json"):
            data = b" " * (4 * 1024**2 + 1) if each == name else small
            archive.addfile(member_of(each, data), io.BytesIO(data))
    (tmp_path / "a.tar").write_bytes(stream.getvalue())
    with pytest.raises(SourceError, match="expected at most 4194304 bytes"):
        _resolve("docker-archive:a.tar", tmp_path)


def test_an_archive_that_is_a_link_is_refused(tmp_path: Path) -> None:
    docker_save(tmp_path / "a.tar", [ONE])
    (tmp_path / "link.tar").symlink_to("a.tar")
    with pytest.raises(SourceError, match="found a symbolic link"):
        _resolve("docker-archive:link.tar", tmp_path)


def test_an_archive_that_changed_since_is_refused(tmp_path: Path) -> None:
    image = _resolve(docker_save(tmp_path / "a.tar", [ONE]), tmp_path)
    docker_save(tmp_path / "a.tar", [TWO])
    with pytest.raises(SourceError, match="changed while it was being read"):
        image.open(image.layers[0].digest)


@pytest.mark.needs("skopeo")
def test_an_archive_that_skopeo_wrote(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout")
    layout.finish(named(layout.image(AMD, count=3), "app"))
    skopeo = shutil.which("skopeo")
    assert skopeo is not None
    target = f"docker-archive:{tmp_path / 'save.tar'}:example.com/app:1"
    command = [skopeo, "--insecure-policy", "copy", f"oci:{layout.folder}:app", target]
    subprocess.run(command, check=True, capture_output=True)
    ours = _resolve("docker-archive:save.tar:example.com/app:1", tmp_path)
    theirs = resolve_image("oci:layout", reach(tmp_path), (AMD,))
    assert [layer.digest for layer in ours.layers] == [layer.digest for layer in theirs.layers]
