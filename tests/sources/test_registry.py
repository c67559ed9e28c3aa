"""Images of a real registry: every kind, once by tag, from then on by digest."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bundler.core import strictjson
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError, SourceError
from bundler.core.progress import SILENT
from bundler.sources import registry as module
from bundler.sources.images import SourceImage, resolve_image
from bundler.sources.registry import address
from bundler.sources.remote import Reach, fetch_all
from bundler.tools.registry import RegistrySource
from tests.parts.registry import Registry
from tests.sources.complete import check_complete
from tests.sources.hostile_layouts import REFUSED
from tests.sources.layouts import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    INDEX,
    LAYER,
    MANIFEST,
    Json,
    Layout,
    layer_tar,
    platform,
    reach,
)

AMD, ARM, ARMV7 = "linux/amd64", "linux/arm64", "linux/arm/v7"
ROOT = Path(__file__).resolve().parents[2]
Push = Callable[..., str]

pytestmark = pytest.mark.needs("docker-registry", "crane")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "layout")


@pytest.fixture
def push(
    registry: Registry, layout: Layout, tool: Callable[[str], Path], request: pytest.FixtureRequest
) -> Push:
    """`push(entry)` puts the entry of the layout into a repository of this test; its source."""

    def pushed(entry: Json, tag: str = "1", *options: str) -> str:
        name = f"{registry.host}/images/{Digest.of(request.node.name.encode()).hex}:{tag}"
        layout.finish(entry)
        argv = [str(tool("crane")), "push", *options, str(layout.folder), name]
        subprocess.run(argv, check=True, capture_output=True)
        return f"docker://{name}"

    return pushed


class NoNetwork:
    def __init__(self, address: str) -> None:
        raise AssertionError(f"{address} is asked")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Digest, int]]:
    """Every blob that a registry is asked for from now on, with the offset."""
    asked: list[tuple[Digest, int]] = []

    class Watched(RegistrySource):
        def blob(self, repository: str, blob: Descriptor, offset: int) -> Iterator[bytes]:
            asked.append((blob.digest, offset))
            return super().blob(repository, blob, offset)

    monkeypatch.setattr(module, "RegistrySource", Watched)
    return asked


def _resolve(source: str, root: Path, *platforms: str, known: Digest | None = None) -> SourceImage:
    return resolve_image(source, reach(root), platforms or (AMD,), known=known)


def _fetched(source: str, root: Path, *platforms: str) -> SourceImage:
    image = _resolve(source, root, *platforms)
    assert {remote.digest for remote in image.remotes} == {layer.digest for layer in image.layers}
    fetch_all(image.remotes, reach(root).store, SILENT)
    check_complete(image)
    assert _resolve(source, root, *platforms).remotes == ()
    return image


@pytest.mark.parametrize("docker", [False, True])
def test_a_single_manifest(docker: bool, layout: Layout, push: Push, tmp_path: Path) -> None:
    entry = layout.image(AMD, docker=docker)
    image = _fetched(push(entry), tmp_path)
    assert image.descriptor.to_json() == entry
    assert image.descriptor.media_type == (DOCKER_MANIFEST if docker else MANIFEST)
    assert image.resolved == image.descriptor.digest


@pytest.mark.parametrize("kind", [INDEX, DOCKER_LIST])
def test_an_index_whole(kind: str, layout: Layout, push: Push, tmp_path: Path) -> None:
    docker = kind == DOCKER_LIST
    children = [{**layout.image(at, docker=docker), "platform": platform(at)} for at in (AMD, ARM)]
    index = layout.index(*children, *([] if docker else [layout.attestation()]), kind=kind)
    image = _fetched(push(index), tmp_path, AMD, ARM)
    assert image.descriptor.to_json() == index
    assert len(image.layers) == (4 if docker else 5)
    assert image.resolved == image.descriptor.digest


def test_one_platform_of_an_index(layout: Layout, push: Push, tmp_path: Path) -> None:
    arm = layout.child(ARM)
    index = layout.index(layout.child(AMD), arm, layout.attestation())
    image = _fetched(push(index), tmp_path, ARM)
    assert str(image.descriptor.digest) == arm["digest"]
    assert str(image.resolved) == index["digest"]


def test_several_platforms_of_an_index(layout: Layout, push: Push, tmp_path: Path) -> None:
    index = layout.index(layout.child(ARMV7), layout.child(ARM), layout.child(AMD))
    image = _fetched(push(index), tmp_path, AMD, ARM)
    assert str(image.resolved) == index["digest"] != str(image.descriptor.digest)
    assert image.metadata[image.descriptor.digest] == strictjson.canonical(
        {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [layout.child(ARM), layout.child(AMD)],
        }
    )


def test_a_manifest_that_does_not_state_its_type(
    layout: Layout, push: Push, tmp_path: Path
) -> None:
    whole = layout.image(AMD)
    value: dict[str, Any] = strictjson.parse(
        (layout.folder / "blobs" / "sha256" / whole["digest"][7:]).read_bytes(), "manifest"
    )
    del value["mediaType"]
    entry = layout.descriptor(MANIFEST, strictjson.canonical(value))
    assert _fetched(push(entry), tmp_path).descriptor.to_json() == entry


@pytest.mark.needs("skopeo")
@pytest.mark.parametrize(("compression", "where"), [("gzip", "linux/ppc64le"), ("zstd", ARMV7)])
def test_layers_as_skopeo_compresses_them(
    compression: str, where: str, layout: Layout, registry: Registry, tmp_path: Path
) -> None:
    layout.finish(layout.image(where))  # Layers of its own: skopeo knows what it once compressed.
    name = f"{registry.host}/images/{compression}:1"
    argv = [shutil.which("skopeo") or "", "copy", "--quiet", "--dest-tls-verify=false"]
    argv += ["--dest-compress", f"--dest-compress-format={compression}", "--format=oci"]
    subprocess.run([*argv, f"oci:{layout.folder}", f"docker://{name}"], check=True)
    image = _fetched(f"docker://{name}", tmp_path, where)
    assert {layer.media_type for layer in image.layers} == {f"{LAYER}+{compression}"}


def test_what_was_locked_is_read_without_the_network(
    layout: Layout, push: Push, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The children say no platform: their configs are asked, of the one that stays behind, too.
    index = layout.index(layout.image(AMD), layout.image(ARM))
    source = push(index)
    before = _fetched(source, tmp_path)
    monkeypatch.setattr(module, "RegistrySource", NoNetwork)
    after = _resolve(source, tmp_path, known=before.resolved)
    assert after.descriptor == before.descriptor
    check_complete(after)
    by_digest = source.rpartition(":")[0] + f"@{before.resolved}"
    check_complete(_resolve(by_digest, tmp_path))


def test_a_tag_that_moves_after_the_lock_changes_nothing(
    layout: Layout, push: Push, tmp_path: Path
) -> None:
    source = push(layout.image(AMD))
    before = _resolve(source, tmp_path)
    push(layout.image(AMD, count=3))
    assert _resolve(source, tmp_path).descriptor != before.descriptor
    for root in (tmp_path, tmp_path / "another machine"):
        after = _resolve(source, root, known=before.resolved)
        assert after.descriptor == before.descriptor
        assert len(after.layers) == 2


def test_a_digest_in_the_reference_counts_before_a_lock(
    layout: Layout, push: Push, tmp_path: Path
) -> None:
    one, two = layout.image(AMD), layout.image(AMD, count=3)
    push(one, "1")
    source = push(two, "2")
    name = f"{source}@{one['digest']}"
    image = _resolve(name, tmp_path, known=Digest.parse(two["digest"]))
    assert str(image.resolved) == one["digest"]


def test_a_mirror_is_asked_instead(
    registry: Registry, layout: Layout, tmp_path: Path, tool: Callable[[str], Path]
) -> None:
    layout.finish(layout.image(AMD))
    name = f"{registry.host}/hub/library/app:1"
    subprocess.run(
        [tool("crane"), "push", str(layout.folder), name], check=True, capture_output=True
    )
    place = Reach(tmp_path, reach(tmp_path).store, {"docker.io": f"{registry.host}/hub"})
    image = resolve_image("docker://app:1", place, (AMD,))
    assert len(image.layers) == 2


def test_docker_hub_keeps_its_name_since_its_login_has_it() -> None:
    assert address("docker.io", {}) == "docker.io"
    assert address("ghcr.io", {"docker.io": "mirror.corp"}) == "ghcr.io"
    assert address("docker.io", {"docker.io": "mirror.corp/hub"}) == "mirror.corp/hub"


@pytest.mark.parametrize("what", ["tag", "digest"])
def test_an_image_that_is_not_there_is_named(what: str, registry: Registry, tmp_path: Path) -> None:
    reference = ":gone" if what == "tag" else f"@{Digest.of(b'gone')}"
    with pytest.raises(SourceError, match=f"expected an image images/gone{reference}, found none"):
        _resolve(f"docker://{registry.host}/images/gone{reference}", tmp_path)


def test_an_image_that_a_mirror_lacks_names_the_mirror(registry: Registry, tmp_path: Path) -> None:
    place = Reach(tmp_path, reach(tmp_path).store, {"docker.io": f"{registry.host}/hub"})
    with pytest.raises(SourceError, match="expected an image hub/library/gone:1, found") as caught:
        resolve_image("docker://gone:1", place, (AMD,))
    assert "because of spec.registries.docker.io.mirror" in str(caught.value.hint)


# What the tests of layouts refuse; here, what a registry takes and gives again.
HOSTILE = ("artifact", "nested index", "index that lies about a platform", "manifest with Layers")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_image_is_refused(name: str, layout: Layout, push: Push, tmp_path: Path) -> None:
    make, problem = REFUSED[name]
    source = push(make(layout))
    with pytest.raises(SourceError, match=problem):
        _resolve(source, tmp_path)


@pytest.mark.parametrize(
    "kind",
    [
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
    ],
)
def test_a_foreign_layer_is_refused_by_name(
    kind: str, layout: Layout, push: Push, tmp_path: Path
) -> None:
    layer = layout.descriptor(kind, b"licensed")
    source = push(layout.image(AMD, 0, layers=[layer]), "1", "--allow-nondistributable-artifacts")
    with pytest.raises(SourceError, match=f"{layer['digest']} is a foreign layer") as caught:
        _resolve(source, tmp_path)
    assert caught.value.hint


def test_schema_1_is_refused_with_a_hint(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b'{"schemaVersion": 1, "name": "old", "fsLayers": []}'
    monkeypatch.setattr(RegistrySource, "manifest", lambda *_: ("text/plain", data))
    with pytest.raises(SourceError, match=r"found .*manifest\.v1") as caught:
        _resolve(f"docker://{registry.host}/images/old:1", tmp_path)
    assert "schema 1 is not read" in str(caught.value.hint)


@pytest.mark.parametrize("data", [b"", b"[]", b"<html>"])
def test_what_is_no_manifest_is_refused(
    data: bytes, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RegistrySource, "manifest", lambda *_: ("", data))
    with pytest.raises(SourceError, match=r"images/old:1: (is not JSON|expected a manifest)"):
        _resolve(f"docker://{registry.host}/images/old:1", tmp_path)


def _stored(registry: Registry, digest: str) -> Path:
    blobs = registry.storage / "docker" / "registry" / "v2" / "blobs" / "sha256"
    return blobs / digest[7:9] / digest[7:] / "data"


def _config(layout: Layout, entry: Json) -> str:
    manifest = (layout.folder / "blobs" / "sha256" / entry["digest"][7:]).read_bytes()
    digest: str = strictjson.parse(manifest, "manifest")["config"]["digest"]
    return digest


def test_a_layer_that_the_registry_lost_is_named(
    layout: Layout, push: Push, registry: Registry, tmp_path: Path
) -> None:
    lost = layout.descriptor(LAYER, layer_tar(f"lost {tmp_path}"))
    source = push(layout.image(AMD, 0, layers=[lost]))
    _stored(registry, lost["digest"]).unlink()
    image = _resolve(source, tmp_path)
    with pytest.raises(SourceError, match=lost["digest"]):
        fetch_all(image.remotes, reach(tmp_path).store, SILENT)
    with pytest.raises(SourceError, match="expected a file, found none"):
        image.open(image.layers[0].digest)


def test_a_layer_with_wrong_bytes_is_refused(
    layout: Layout, push: Push, registry: Registry, tmp_path: Path
) -> None:
    layer = layout.descriptor(LAYER, layer_tar(f"wrong {tmp_path}"))
    source = push(layout.image(AMD, 0, layers=[layer]))
    stored = _stored(registry, layer["digest"])
    stored.write_bytes(b"!" * layer["size"])
    image = _resolve(source, tmp_path)
    with pytest.raises(IntegrityError, match=f"layer {layer['digest']}: expected .*, found"):
        fetch_all(image.remotes, reach(tmp_path).store, SILENT)
    assert image.remotes[0].digest == image.layers[0].digest
    assert not reach(tmp_path).store.has(image.layers[0].digest, image.layers[0].size)


def test_a_config_with_wrong_bytes_is_refused(
    layout: Layout, push: Push, registry: Registry, tmp_path: Path
) -> None:
    entry = layout.image("linux/s390x")
    source = push(entry)
    digest = _config(layout, entry)
    stored = _stored(registry, digest)
    stored.write_bytes(b"!" * stored.stat().st_size)
    for _ in "once", "twice":  # Nothing of it is believed out of the store, either.
        with pytest.raises(IntegrityError, match=f"expected {digest}"):
            _resolve(source, tmp_path, "linux/s390x")


class Impatient:
    """Has enough after so many bytes."""

    def __init__(self, most: int) -> None:
        self.left = most

    def phase(self, label: str, total: int | None) -> None:
        pass

    def advance(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise KeyboardInterrupt


def _large(layout: Layout, seed: int) -> Json:
    return layout.descriptor(LAYER, random.Random(seed).randbytes(5 * 1024**2))


def test_an_interrupted_layer_goes_on_where_it_stopped(
    layout: Layout, push: Push, tmp_path: Path, reads: list[tuple[Digest, int]]
) -> None:
    source = push(layout.image(AMD, 0, layers=[_large(layout, 1)]))
    image = _resolve(source, tmp_path)
    store, [layer] = reach(tmp_path).store, image.layers
    with pytest.raises(KeyboardInterrupt):
        fetch_all(image.remotes, store, Impatient(2 * 1024**2))
    held = store.held(layer.digest)
    assert 0 < held < layer.size
    reads.clear()
    fetch_all(image.remotes, store, SILENT)
    assert reads == [(layer.digest, held)]
    check_complete(image)


CHILD = """
import sys
from pathlib import Path
from bundler.core.progress import SILENT
from bundler.sources import registry
from bundler.sources.images import resolve_image
from bundler.sources.remote import fetch_all
from tests.sources.layouts import reach

class Watched(registry.RegistrySource):
    def blob(self, repository, blob, offset):
        if "layer" in blob.media_type:
            # One write: several threads are at it.
            sys.stdout.write(f"{blob.digest} {offset}\\n")
            sys.stdout.flush()
        return super().blob(repository, blob, offset)

registry.RegistrySource = Watched
place = reach(Path(sys.argv[2]))
image = resolve_image(sys.argv[1], place, ("linux/amd64",))
fetch_all(image.remotes, place.store, SILENT)
"""


def test_two_processes_fetch_an_image_together(layout: Layout, push: Push, tmp_path: Path) -> None:
    layers = [_large(layout, seed) for seed in (2, 3, 4)]
    source = push(layout.image(AMD, 0, layers=layers))
    argv = [sys.executable, "-c", CHILD, source, str(tmp_path)]
    both = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(2)]
    told = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted("".join(told).splitlines()) == sorted(f"{layer['digest']} 0" for layer in layers)
    image = _resolve(source, tmp_path)
    assert image.remotes == ()
    check_complete(image)
