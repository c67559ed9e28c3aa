"""Lies in the lock, and locks that do not fit what is there."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence

from bundler.archive import format as fmt
from bundler.core import strictjson
from tests.hostile.case import Case, Make, change_lock, lock
from tests.hostile.entry_cases import NOWHERE
from tests.hostile.forging import Json, Parts

BAD_PATHS = (
    "/etc/x",
    "../x",
    "a/../x",
    "./x",
    "a//b",
    "",
    ".wh.x",
    "a/.wh..wh..opq",
    "a\\b",
    "a:b",
    "a\nb",
    "a\x7f",
    1025 * "n",
)


def locks() -> Iterator[Case]:
    """A lock of another content or form."""

    def twin(value: Json) -> None:
        value["models"].append(value["models"][0])

    def again(value: Json) -> None:
        value["models"][0]["files"].insert(1, value["models"][0]["files"][0])

    def folder(value: Json) -> None:
        file = value["models"][0]["files"][0]
        value["models"][0]["files"].insert(1, file | {"path": file["path"] + "/x"})

    def model_file(**members: object) -> Make:
        return lock(lambda k: k["models"][0]["files"][0].update(members))

    def file(**members: object) -> Make:
        return lock(lambda k: k["files"][0]["files"][0].update(members))

    makes: dict[str, Make] = {
        "more than 16 MiB": lock(lambda k: k.update(x=16 * 1024**2 * "x")),
        "a model is missing": lock(lambda k: k["models"].clear()),
        "a model twice": lock(twin),
        "a file set twice": lock(lambda k: k["files"].append(k["files"][0])),
        "a model that is no label": lock(lambda k: k["models"][0].update(name="Mini")),
        "an image is missing": lock(lambda k: k["images"].clear()),
        "an image with another size": lock(lambda k: k["images"][0].update(size=1)),
        "an image with another digest": lock(lambda k: k["images"][0].update(digest=NOWHERE)),
        "an image with two sizes": lock(lambda k: k["images"].append(k["images"][0] | {"size": 1})),
        "a file set is missing": lock(lambda k: k["files"].clear()),
        "a file with another digest": file(digest=NOWHERE),
        "a file with another path": file(path="x"),
        "a model's file of another size": model_file(size=4),
        "a model's file of a negative size": model_file(size=-1),
        "a model's file with another name": model_file(path="config.jsom"),
        "a path that is a number": model_file(path=1),
        "a model without files": lock(lambda k: k["models"][0].update(files=[])),
        "a model's file twice": lock(again),
        "a file for a folder": lock(folder),
        "files out of order": lock(lambda k: k["models"][0]["files"].reverse()),
        "no models": lock(lambda k: k.pop("models")),
        "no files": lock(lambda k: k.pop("files")),
        "no images": lock(lambda k: k.pop("images")),
        "models that are no array": lock(lambda k: k.update(models={})),
        "an image that is no object": lock(lambda k: k["images"].append([])),
        "pairs for an object": _pairs,
        "a second model that shares a layer of other files": _shared_layer,
        "a size that is true": _size_that_is_true,
    }
    makes |= {f"path {text!r}": model_file(path=text) for text in BAD_PATHS}
    for name, make in makes.items():
        yield Case(f"lock: {name}", "integrity", make)


def file_sets() -> Iterator[Case]:
    """File sets that lock and manifest agree about, and that may not be."""
    for text in BAD_PATHS:
        yield Case(f"files: path {text!r}", "integrity", _file_set(text))
    for name, paths in {
        "none": (),
        "a path twice": ("a", "a"),
        "out of order": ("b", "a"),
        "a file for a folder": ("a", "a/b"),
        "a file for a folder further up": ("a", "a.b", "a/b/c"),
    }.items():
        yield Case(f"files: {name}", "integrity", _file_set(*paths))


def _file_set(*paths: str) -> Make:
    """A file set with the one file that there is under each of `paths`."""

    def make(parts: Parts) -> bytes:
        return with_paths(parts, paths)

    return make


def with_paths(parts: Parts, paths: Sequence[str]) -> bytes:
    """The bundle with its one file under each of `paths`, in the lock and in the manifest."""
    layer = parts.manifest("files/")["layers"][0]
    layers = [layer | {"annotations": {fmt.TITLE: path}} for path in paths]
    parts.edit("files/", lambda m: m.update(layers=layers))

    def rename(value: Json) -> None:
        file = value["files"][0]["files"][0]
        value["files"][0]["files"] = [file | {"path": path} for path in paths]

    change_lock(parts, rename)
    return parts.arrange().file()


def _shared_layer(parts: Parts) -> bytes:
    """The same manifests under two names, and a file that only one of both locks right."""
    model, pack = (
        parts.entry(kind) | {"annotations": {fmt.REF_NAME: f"{kind}fake"}}
        for kind in ("models/", "modelpacks/")
    )

    def add(index: Json) -> None:
        index["manifests"][2:2] = [model]
        index["manifests"][4:4] = [pack]

    def lie(value: Json) -> None:
        fake = copy.deepcopy(value["models"][0]) | {"name": "fake"}
        fake["files"][0]["path"] = "config.jsom"
        value["models"].insert(0, fake)

    parts.edit_index(add)
    change_lock(parts, lie)
    return parts.arrange().file()


def _pairs(parts: Parts) -> bytes:
    """What Python's `dict` would take for an object."""
    digest = parts.manifest("bundle")["layers"][0]["digest"]
    parts.replace(digest, strictjson.canonical(list(json.loads(parts.blob(digest)).items())))
    return parts.file()


def _size_that_is_true(parts: Parts) -> bytes:
    parts.replace(parts.manifest("files/")["layers"][0]["digest"], b"x")
    change_lock(parts, lambda value: value["files"][0]["files"][0].update(size=True))
    return parts.file()
