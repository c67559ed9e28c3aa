"""Entries: what they are called, and that they, the bundle's config and the lock agree."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundler.archive import format as fmt
from bundler.archive.entries import Entry
from bundler.archive.layers import Layer
from bundler.core.digest import Descriptor, Digest
from bundler.sign.open import open_bundle
from tests.making import KEY, Contents, image, locked, make_bundle

NOTHING = Descriptor(fmt.OCI_MANIFEST, Digest.of(b""), 1)


@pytest.mark.parametrize(
    ("name", "kind", "repository", "short"),
    [
        ("models/zero-shot", "model", "models/zero-shot", "zero-shot"),
        ("bundle", "bundle", "bundle", "bundle"),
        (f"registry.corp_5000/a/b@{NOTHING.digest}", "image", "registry.corp_5000/a/b", None),
    ],
)
def test_where_an_entry_is_pushed_to_follows_from_its_name(
    name: str, kind: str, repository: str, short: str | None
) -> None:
    entry = Entry(name, kind, NOTHING)
    assert entry.repository == repository
    assert short in (None, entry.short)


def test_the_groups_stand_in_order_each_sorted_by_name(tmp_path: Path) -> None:
    files = {"a": b"1"}
    layers = {"registry.corp/z": (b"1",), "registry.corp/a": (b"2",), "a.corp/z": (b"3",)}
    contents = Contents(
        models={"z": files, "a-b": files, "a": files}, files={"b": files, "a": files}, images=layers
    )
    images = sorted(f"{name}@{image(each)[0].digest}" for name, each in layers.items())
    with open_bundle(make_bundle(tmp_path / "b.tar", contents), KEY.public) as bundle:
        assert [entry.name for entry in bundle.entries] == [
            "bundle",
            *images,
            *(f"models/{name}" for name in ("a", "a-b", "z")),
            *(f"modelpacks/{name}" for name in ("a", "a-b", "z")),
            *(f"files/{name}" for name in ("a", "b")),
        ]


def test_layers_of_a_model_are_known_with_their_files(tmp_path: Path) -> None:
    files = {"a": b"1", "b/c": b"2"}
    path = make_bundle(tmp_path / "b.tar", Contents(models={"one": files, "two": files}))
    with open_bundle(path, KEY.public) as bundle:
        found = bundle._contents.inventory.model_layers
        layer = bundle.tree(bundle.entries[2]).blobs[-1].digest
    assert found == 2 * ((layer, Layer("models/", locked(files), small=True)),)


def test_a_bundle_of_nothing_but_itself_is_one(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "b.tar", Contents(models={}, files={}, images={}))
    with open_bundle(path, KEY.public) as bundle:
        assert [entry.name for entry in bundle.entries] == ["bundle"]
        assert bundle.blobs == ()
        bundle.verify_blobs()
