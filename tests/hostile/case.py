"""What a hostile case is, and the common ways of bending a bundle."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bundler.core import strictjson
from tests.hostile.forging import Json, Parts

Make = Callable[[Parts], bytes]
Edit = Callable[[Json], object]
IMAGE = "registry.corp_5000/team/server"


@dataclass(frozen=True)
class Case:
    """A lie: what to call it, the verdict, how to tell it."""

    name: str
    expected: str
    make: Make


def manifest(name: str, edit: Edit) -> Make:
    """The manifest of an entry, changed."""

    def make(parts: Parts) -> bytes:
        parts.edit(name, edit)
        return parts.arrange().file()

    return make


def entries(edit: Callable[[list[Json]], object]) -> Make:
    """The entries of the index, changed; the blobs are those that it reaches then."""

    def make(parts: Parts) -> bytes:
        parts.edit_index(lambda value: edit(value["manifests"]))
        return parts.arrange().file()

    return make


def lock(edit: Edit) -> Make:
    """The lock, changed."""

    def make(parts: Parts) -> bytes:
        change_lock(parts, edit)
        return parts.file()

    return make


def change_lock(parts: Parts, edit: Edit) -> None:
    """Changes the lock within the bundle's own manifest."""
    change_blob(parts, parts.manifest("bundle")["layers"][0]["digest"], edit)


def change_blob(parts: Parts, digest: str, edit: Edit) -> None:
    """Changes a blob that is JSON."""
    value: Any = json.loads(parts.blob(digest))
    edit(value)
    parts.replace(digest, strictjson.canonical(value))
