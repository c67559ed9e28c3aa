"""What differs between two locks: every input that is new, gone or another, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bundler.core.digest import Digest
from bundler.core.lock import Lock, LockedFile, LockedFileSet, LockedImage, LockedModel
from bundler.core.lockdiff import differences

ONE, TWO = Digest.of(b"one"), Digest.of(b"two")
FILE = LockedFile("model.safetensors", 9, ONE)
MODEL = LockedModel("mini", "weights", None, "MIT", (FILE,))
DATA = LockedFileSet("data", "data", "dataset", (LockedFile("train.jsonl", 4, ONE),))
IMAGE = LockedImage(
    "server:1", "oci:image", ONE, f"x/server@{ONE}", "type", ONE, 7, {"linux/amd64": ONE}
)
LOCK = Lock(
    name="movie-search",
    version="1.4.0",
    spec=ONE,
    platforms=("linux/amd64",),
    sources={"base/server.yaml": ONE},
    policies={"policy.yaml": ONE},
    models=(MODEL,),
    files=(DATA,),
    images=(IMAGE,),
    targets={"dev": ONE},
    tools={"pickle": "1", "kustomize": "kustomize 5.8.1"},
)

Change = Callable[[Lock], Lock]


def model(**change: object) -> Change:
    return lambda lock: replace(lock, models=(replace(MODEL, **change),))  # type: ignore[arg-type]


def data(**change: object) -> Change:
    return lambda lock: replace(lock, files=(replace(DATA, **change),))  # type: ignore[arg-type]


def image(**change: object) -> Change:
    return lambda lock: replace(lock, images=(replace(IMAGE, **change),))  # type: ignore[arg-type]


CHANGED: dict[str, tuple[Change, str]] = {
    "name": (lambda lock: replace(lock, name="films"), "name: locked movie-search, found films"),
    "version": (
        lambda lock: replace(lock, version="1.5.0"),
        "version: locked 1.4.0, found 1.5.0",
    ),
    "platforms": (
        lambda lock: replace(lock, platforms=("linux/amd64", "linux/arm64")),
        "platforms: locked linux/amd64, found linux/amd64, linux/arm64",
    ),
    "spec": (lambda lock: replace(lock, spec=TWO), f"spec: locked {ONE}, found {TWO}"),
    "source": (
        lambda lock: replace(lock, sources={"base/server.yaml": TWO}),
        f"source base/server.yaml: locked {ONE}, found {TWO}",
    ),
    "policy": (
        lambda lock: replace(lock, policies={"policy.yaml": TWO}),
        f"policy policy.yaml: locked {ONE}, found {TWO}",
    ),
    "target": (
        lambda lock: replace(lock, targets={"dev": TWO}),
        f"target dev: locked {ONE}, found {TWO}",
    ),
    "tool": (
        lambda lock: replace(lock, tools={**lock.tools, "pickle": "2"}),
        "tool pickle: locked 1, found 2",
    ),
    "model's source": (
        model(source="other"),
        "model mini: locked weights, no revision, MIT, found other, no revision, MIT",
    ),
    "model's revision": (
        model(revision="main"),
        "model mini: locked weights, no revision, MIT, found weights, main, MIT",
    ),
    "model's license": (
        model(license="GPL-3.0-only"),
        "model mini: locked weights, no revision, MIT, found weights, no revision, GPL-3.0-only",
    ),
    "model's file's bytes": (
        model(files=(replace(FILE, digest=TWO),)),
        f"model mini model.safetensors: locked 9 bytes, {ONE}, found 9 bytes, {TWO}",
    ),
    "model's file's size": (
        model(files=(replace(FILE, size=10),)),
        f"model mini model.safetensors: locked 9 bytes, {ONE}, found 10 bytes, {ONE}",
    ),
    "files' source": (
        data(source="d2"),
        "files data: locked data, dataset, found d2, dataset",
    ),
    "files' kind": (
        data(kind="driver"),
        "files data: locked data, dataset, found data, driver",
    ),
    "files' bytes": (
        data(files=(LockedFile("train.jsonl", 4, TWO),)),
        f"files data train.jsonl: locked 4 bytes, {ONE}, found 4 bytes, {TWO}",
    ),
    "image's digest": (
        image(digest=TWO, resolved=TWO),
        f"image server:1: locked oci:image, {ONE}, found oci:image, {TWO}",
    ),
    "image's source": (
        image(source="oci:b"),
        f"image server:1: locked oci:image, {ONE}, found oci:b, {ONE}",
    ),
}


@pytest.mark.parametrize(("change", "line"), CHANGED.values(), ids=list(CHANGED))
def test_what_is_another_is_named(change: Change, line: str) -> None:
    assert line in differences(LOCK, change(LOCK))


NEW: dict[str, tuple[Change, str]] = {
    "source": (lambda lock: replace(lock, sources={**lock.sources, "a": TWO}), "source a"),
    "policy": (lambda lock: replace(lock, policies={**lock.policies, "a": TWO}), "policy a"),
    "target": (lambda lock: replace(lock, targets={**lock.targets, "a": TWO}), "target a"),
    "tool": (lambda lock: replace(lock, tools={**lock.tools, "a": "1"}), "tool a"),
    "model": (lambda lock: replace(lock, models=(MODEL, replace(MODEL, name="a"))), "model a"),
    "model's file": (model(files=(LockedFile("a", 1, TWO), FILE)), "model mini a"),
    "files": (lambda lock: replace(lock, files=(DATA, replace(DATA, name="a"))), "files a"),
    "file": (data(files=(LockedFile("a", 1, TWO), *DATA.files)), "files data a"),
    "image": (lambda lock: replace(lock, images=(IMAGE, replace(IMAGE, name="a"))), "image a"),
}


@pytest.mark.parametrize(("change", "name"), NEW.values(), ids=list(NEW))
def test_what_is_new_or_gone_is_named(change: Change, name: str) -> None:
    assert f"{name}: found, but not locked" in differences(LOCK, change(LOCK))
    assert f"{name}: locked, but gone" in differences(change(LOCK), LOCK)


@pytest.mark.parametrize(
    "change",
    [
        image(platforms={"linux/arm64": ONE}),
        image(entry=f"y/server@{ONE}"),
        image(media_type="other"),
        image(size=8),
        lambda lock: replace(lock, models=(MODEL, MODEL)),
        lambda lock: replace(lock, images=(IMAGE, IMAGE)),
    ],
)
def test_what_follows_from_the_inputs_must_not_be_edited(change: Change) -> None:
    [line] = differences(LOCK, change(LOCK))
    assert line == "what is locked is not what `airbundle lock` writes for the same inputs"


def test_the_same_inputs_fit() -> None:
    assert differences(LOCK, replace(LOCK)) == ()


@pytest.mark.parametrize("tools", [{"pickle": "1"}, {"pickle": "1", "kustomize": "kubectl 5.0.1"}])
def test_another_kustomize_that_renders_the_same_fits(tools: dict[str, str]) -> None:
    assert differences(LOCK, replace(LOCK, tools=tools)) == ()
