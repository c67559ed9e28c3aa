"""Bundles whose model is on a hub and whose image is in a registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundler import lock as locking
from bundler.archive.store import Store
from bundler.core.errors import IntegrityError
from bundler.core.lock import Lock, parse
from bundler.core.progress import SILENT
from bundler.inputs.resolve import resolve
from tests.origins import Origins, make_origins
from tests.parts.hub import Hub
from tests.parts.registry import Registry
from tests.project import IMAGE

pytestmark = pytest.mark.needs("docker-registry", "kustomize")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("AIRBUNDLE_STORE", str(tmp_path / "own-store"))
    return Store(tmp_path / "own-store")


@pytest.fixture
def origins(tmp_path: Path, hub: Hub, registry: Registry) -> Origins:
    return make_origins(tmp_path / "project", hub, registry)


def locked(origins: Origins) -> Lock:
    return parse(origins.project.lock.read_bytes(), "bundle.lock")


def test_an_image_that_the_spec_does_not_list_comes_from_the_registry_in_its_name(
    origins: Origins, store: Store
) -> None:
    locking.lock(origins.project.spec, store, SILENT)
    [image] = locked(origins).images
    assert (image.name, image.source) == (IMAGE, f"docker://{IMAGE}")


def test_a_lock_fetches_neither_weights_nor_layers(origins: Origins, store: Store) -> None:
    locking.lock(origins.project.spec, store, SILENT)
    inputs = resolve(origins.project.spec, store, SILENT, locked(origins))
    layers = {layer.digest for layer in inputs.images[IMAGE].layers}
    assert {remote.digest for remote in inputs.images[IMAGE].remotes} == layers
    [model] = inputs.models
    weights = {file.digest for file in model.files if file.path == "model.safetensors"}
    assert {remote.digest for remote in model.remotes} == weights


def test_with_the_lock_and_the_store_the_hub_is_not_asked(
    origins: Origins, store: Store, tmp_path: Path
) -> None:
    origins.project.build(tmp_path / "one.tar")
    origins.hub.forget()
    origins.project.build(tmp_path / "two.tar", locked=True)
    assert origins.hub.asked() == []
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


@pytest.mark.parametrize("path", ["config.json", "model.safetensors"])
def test_a_download_that_was_damaged_on_disk_is_named_and_fetched_anew(
    origins: Origins, store: Store, tmp_path: Path, path: str
) -> None:
    origins.project.build(tmp_path / "one.tar")
    [file] = [each for each in locked(origins).models[0].files if each.path == path]
    place = store.location(file.digest)
    place.write_bytes(place.read_bytes()[:-1] + b"]")
    with pytest.raises(IntegrityError, match=rf"{path}: .*: .* was damaged, and is removed"):
        origins.project.build(tmp_path / "two.tar", locked=True)
    assert not place.exists()
    assert not (tmp_path / "two.tar").exists()
    origins.project.build(tmp_path / "two.tar", locked=True)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
