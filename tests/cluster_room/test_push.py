"""A bundle into destinations: each byte once, tops tagged, the bundle itself last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bundler.archive.bundle import AuthenticatedBundle
from bundler.archive.layout import LayoutDestination
from bundler.cluster.push import (
    ARTIFACT_TYPE,
    already_pushed,
    bundle_artifact,
    plan_push,
    pullables,
    push_artifact,
    push_bundle,
    top_tag,
)
from bundler.core import strictjson
from bundler.core.destination import Destination
from bundler.core.digest import Digest
from bundler.core.errors import SourceError
from bundler.core.progress import SILENT
from bundler.sign.keys import Algorithm, PrivateKey
from bundler.sign.open import open_bundle
from bundler.signing import sign_bundle
from bundler.tools.registry import RegistryDestination
from tests.fakes.destination import MemoryDestination
from tests.listing import listing
from tests.making import Contents, make_bundle
from tests.parts.registry import Registry
from tests.releases import LAYERS, REPOSITORY, Release, config_map


def release(name: str = "movie-search", text: str = "one") -> Release:
    return Release(name, [config_map("serving", "settings", text=text)])


@pytest.fixture(name="bundle")
def opened_bundle(tmp_path: Path) -> Iterator[AuthenticatedBundle]:
    with release().opened(tmp_path) as bundle:
        yield bundle


def push(bundle: AuthenticatedBundle, destination: Destination) -> Digest:
    return push_artifact(push_bundle(bundle, destination, SILENT), destination)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_every_entry_is_there_with_all_that_it_names(bundle: AuthenticatedBundle) -> None:
    destination = MemoryDestination()
    push(bundle, destination)
    entries = [entry for entry in bundle.entries if entry.kind != "bundle"]
    assert {entry.kind for entry in entries} == {"image", "model", "modelpack", "files"}
    for entry in entries:
        tree = bundle.tree(entry)
        assert all((entry.repository, blob.digest) in destination.blobs for blob in tree.blobs)
        for manifest in tree.manifests:
            stored = destination.manifests[entry.repository, manifest.digest]
            assert stored == (manifest, bundle.metadata[manifest.digest])
        top = entry.descriptor.digest
        assert destination.tags[entry.repository, f"airbundle-{top.hex[:16]}"] == top


def test_weights_go_over_the_line_once(bundle: AuthenticatedBundle) -> None:
    destination = MemoryDestination()
    push_bundle(bundle, destination, SILENT)
    sent = [digest for kind, _, digest in destination.calls if kind == "blob"]
    assert len(sent) == len(set(sent))
    model = next(entry for entry in bundle.entries if entry.kind == "model")
    layers = {str(blob.digest) for blob in bundle.tree(model).blobs}
    shared = {(kind, place) for kind, place, digest in destination.calls if digest in layers}
    assert ("mount", "modelpacks/mini") in shared


def test_weights_are_sent_where_nothing_is_shared(bundle: AuthenticatedBundle) -> None:
    destination = MemoryDestination(shares=False)
    push(bundle, destination)
    pack = next(entry for entry in bundle.entries if entry.kind == "modelpack")
    assert all((pack.repository, b.digest) in destination.blobs for b in bundle.tree(pack).blobs)


def test_pushed_again_nothing_is_sent(bundle: AuthenticatedBundle) -> None:
    destination = MemoryDestination()
    first = push(bundle, destination)
    destination.calls.clear()
    assert push(bundle, destination) == first
    assert destination.calls == []
    plan = plan_push(bundle, destination)
    assert (plan.transfers, plan.entries, plan.artifact) == ((), (), False)


def test_a_plan_sends_nothing(bundle: AuthenticatedBundle) -> None:
    destination = MemoryDestination()
    plan = plan_push(bundle, destination)
    assert destination.calls == []
    push_bundle(bundle, destination, SILENT)
    sent = [call for call in destination.calls if call[0] in ("blob", "mount")]
    assert len(sent) == len(plan.transfers)


def test_a_push_that_was_cut_off_goes_on_where_it_stopped(bundle: AuthenticatedBundle) -> None:
    whole = MemoryDestination()
    push_bundle(bundle, whole, SILENT)
    cut = MemoryDestination(blobs=dict(list(whole.blobs.items())[:2]))
    push_bundle(bundle, cut, SILENT)
    again = {(place, digest) for kind, place, digest in cut.calls if kind in ("blob", "mount")}
    there = {(place, str(digest)) for place, digest in list(whole.blobs)[:2]}
    assert again.isdisjoint(there)
    assert cut.blobs == whole.blobs
    assert cut.tags == whole.tags


def test_the_artifact_holds_what_verifies_the_bundle_again(bundle: AuthenticatedBundle) -> None:
    destination = MemoryDestination()
    digest = push(bundle, destination)
    repository = "bundles/movie-search"
    assert destination.tags[repository, "1.0.0"] == digest
    _, data = destination.manifests[repository, digest]
    manifest = strictjson.parse(data, "artifact")
    assert manifest["artifactType"] == ARTIFACT_TYPE
    assert manifest["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    titled = {
        layer["annotations"]["org.opencontainers.image.title"]: destination.blobs[
            repository, Digest.parse(layer["digest"])
        ]
        for layer in manifest["layers"]
    }
    assert titled.pop("airbundle.sig.json") == bundle.envelope
    assert titled.pop("index.json") == bundle.index
    assert titled == {
        f"blobs/sha256/{digest.hex}": data for digest, data in bundle.metadata.items()
    }


def test_the_artifact_comes_last(bundle: AuthenticatedBundle) -> None:
    destination = MemoryDestination()
    push(bundle, destination)
    mark = f"index-{bundle.release.index.hex}"
    tops = [call for call in destination.calls if call[0] == "manifest"][-2:]
    assert tops == destination.calls[-2:]
    assert tops == [("manifest", "bundles/movie-search", tag) for tag in ("1.0.0", mark)]


def test_a_version_is_published_once(bundle: AuthenticatedBundle, tmp_path: Path) -> None:
    destination = MemoryDestination()
    push(bundle, destination)
    destination.calls.clear()
    other = tmp_path / "other"
    other.mkdir()
    with release(text="two").opened(other) as changed:
        with pytest.raises(SourceError, match="already published with other content") as caught:
            push_bundle(changed, destination, SILENT)
        assert "new version" in str(caught.value.hint)
    assert destination.calls == []


def test_a_bundle_that_was_co_signed_meanwhile_is_the_same_bundle(
    tmp_path: Path,
) -> None:
    destination = MemoryDestination()
    path = make_bundle(tmp_path / "bundle.tar")
    with open_bundle(path, None) as bundle:
        first = push(bundle, destination)
    sign_bundle(path, PrivateKey.generate(Algorithm.ED25519), in_place=False)
    with open_bundle(path, None) as signed:
        second = push(signed, destination)
        assert second != first
        assert push(signed, destination) == second
    assert destination.tagged("bundles/movie-search", "1.4.0") == second


def test_a_layout_is_the_same_after_a_second_push(
    bundle: AuthenticatedBundle, tmp_path: Path
) -> None:
    folder = tmp_path / "layout"
    push(bundle, LayoutDestination(folder))
    before = files(folder)
    push(bundle, LayoutDestination(folder))
    assert files(folder) == before
    names = [
        entry["annotations"]["org.opencontainers.image.ref.name"]
        for entry in strictjson.parse(before["index.json"], "index.json")["manifests"]
    ]
    assert names == sorted(names)
    image = next(entry for entry in bundle.entries if entry.kind == "image")
    assert {f"{REPOSITORY}:{top_tag(image.descriptor.digest)}", image.name} <= set(names)
    assert "bundles/movie-search:1.0.0" in names


@pytest.mark.needs("docker-registry")
def test_a_real_registry_takes_all_and_changes_nothing_the_second_time(
    bundle: AuthenticatedBundle, registry: Registry
) -> None:
    address = f"{registry.host}/room/push"
    with closing(RegistryDestination(address)) as destination:
        artifact = push(bundle, destination)
    before = listing(registry)
    assert before["room/push/bundles/movie-search:1.0.0"] == str(artifact)
    for entry in bundle.entries[1:]:
        top = entry.descriptor.digest
        assert before[f"room/push/{entry.repository}:{top_tag(top)}"] == str(top)
    with closing(RegistryDestination(address)) as destination:
        plan = plan_push(bundle, destination)
        assert (plan.transfers, plan.entries, plan.artifact) == ((), (), False)
        assert push(bundle, destination) == artifact
    assert listing(registry) == before
    images = [each.reference for each in pullables(bundle, address) if each.kind == "image"]
    assert images == [f"{address}/{REPOSITORY}@{before[f'room/push/{image_tag(bundle)}']}"]


@pytest.fixture(name="manifold")
def opened_for_two_platforms(tmp_path: Path) -> Iterator[AuthenticatedBundle]:
    """A bundle whose model is an index of one manifest for each of two platforms."""
    contents = Contents(images={REPOSITORY: LAYERS}, platforms=("linux/amd64", "linux/arm64"))
    objects = [config_map("serving", "settings")]
    with Release("movie-search", objects, contents=contents).opened(tmp_path) as bundle:
        yield bundle


def test_a_manifest_below_an_index_that_is_gone_is_sent_again(
    manifold: AuthenticatedBundle,
) -> None:
    """A registry's garbage collection takes it: no tag keeps it."""
    destination = MemoryDestination()
    push(manifold, destination)
    model = next(entry for entry in manifold.entries if entry.kind == "model")
    below, _, top = manifold.tree(model).manifests
    assert top == model.descriptor
    del destination.manifests[model.repository, below.digest]
    with pytest.raises(SourceError, match="lacks 0 blobs and 1 images or models"):
        already_pushed(manifold, destination)
    destination.calls.clear()
    push(manifold, destination)
    assert ("manifest", model.repository, str(below.digest)) in destination.calls
    # Where tags are immutable, one that is there can't be set again.
    assert ("manifest", model.repository, top_tag(top.digest)) not in destination.calls
    assert already_pushed(manifold, destination).sent.entries == ()


def test_each_manifest_below_an_index_is_asked_for_once(
    manifold: AuthenticatedBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tag has answered for the top already."""
    destination = MemoryDestination()
    push(manifold, destination)
    model = next(entry for entry in manifold.entries if entry.kind == "model")
    asked: list[Digest] = []

    def has_manifest(repository: str, digest: Digest) -> bool:
        asked.append(digest)
        return (repository, digest) in destination.manifests

    monkeypatch.setattr(destination, "has_manifest", has_manifest)
    plan_push(manifold, destination)
    assert asked == [each.digest for each in manifold.tree(model).manifests[:-1]]


@pytest.mark.needs("docker-registry")
def test_a_real_registry_that_lost_a_manifest_below_an_index_gets_it_again(
    manifold: AuthenticatedBundle, registry: Registry
) -> None:
    model = next(entry for entry in manifold.entries if entry.kind == "model")
    below = manifold.tree(model).manifests[0].digest
    repositories = registry.storage / "docker/registry/v2/repositories"
    revisions = repositories / "room/lost" / model.repository / "_manifests/revisions/sha256"
    with closing(RegistryDestination(f"{registry.host}/room/lost")) as destination:
        push(manifold, destination)
        (revisions / below.hex / "link").unlink()
        with pytest.raises(SourceError, match="lacks 0 blobs and 1 images or models"):
            already_pushed(manifold, destination)
        push(manifold, destination)
        assert destination.has_manifest(model.repository, below)
        assert already_pushed(manifold, destination).sent.entries == ()


def image_tag(bundle: AuthenticatedBundle) -> str:
    (image,) = (entry for entry in bundle.entries if entry.kind == "image")
    return f"{image.repository}:{top_tag(image.descriptor.digest)}"


def test_the_same_bundle_has_the_same_artifact(tmp_path: Path) -> None:
    with release().opened(tmp_path) as bundle:
        first = bundle_artifact(bundle)
    with release().opened(tmp_path) as bundle:
        assert bundle_artifact(bundle) == first
