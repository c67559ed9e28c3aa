"""A bundle taken apart and put together again, with something changed and everything else right.

Framing and signature are made anew, so that a refusal can only come from what was changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundler.archive import format as fmt
from bundler.archive.framing import END, Member, Placed, place, place_plain
from bundler.core import strictjson
from bundler.core.digest import Digest
from bundler.core.release import Release
from bundler.sign.open import open_bundle
from tests.making import KEY, Contents, make_bundle, signed

Json = dict[str, Any]


@dataclass
class Parts:
    """What a bundle is made of: its index, and name and content of every blob, in order."""

    index: bytes
    blobs: list[tuple[str, bytes]]
    name: str
    version: str
    statement: bytes | None = None
    slot: bytes | None = None

    def file(self) -> bytes:
        """The whole file, signed by `KEY`."""
        slot = self.slot if self.slot is not None else signed(self.stated(), KEY).slot()
        out = b""
        for name, data in (
            (fmt.SLOT_NAME, slot),
            (fmt.LAYOUT_NAME, fmt.LAYOUT),
            (fmt.INDEX_NAME, self.index),
        ):
            out += _framed(place_plain(Member(name, len(data)), len(out)), data)
        for name, data in self.blobs:
            out += _framed(place(Member(name, len(data)), len(out)), data)
        return out + END

    def stated(self) -> bytes:
        """The statement to be signed."""
        if self.statement is not None:
            return self.statement
        return Release(self.name, self.version, Digest.of(self.index), len(self.index)).statement()

    def edit_index(self, edit: Callable[[Json], object]) -> None:
        """Changes the index as JSON."""
        value = json.loads(self.index)
        edit(value)
        self.index = strictjson.canonical(value)

    def entry(self, name: str) -> Json:
        """The entry of the index whose name begins with `name`."""
        entries = json.loads(self.index)["manifests"]
        found: Json = next(e for e in entries if e["annotations"][fmt.REF_NAME].startswith(name))
        return found

    def blob(self, digest: str) -> bytes:
        """The content of a blob."""
        return dict(self.blobs)[_member(digest)]

    def manifest(self, name: str) -> Json:
        """The manifest of an entry, as JSON."""
        found: Json = json.loads(self.blob(self.entry(name)["digest"]))
        return found

    def replace(self, digest: str, data: bytes) -> None:
        """Other bytes for a blob, and its new digest and size wherever it is named."""
        names = [name for name, _ in self.blobs]
        at = names.index(_member(digest))
        new = str(Digest.of(data))
        self.blobs[at] = (_member(new), data)
        self._rename(digest, new, len(data))

    def edit(self, name: str, edit: Callable[[Json], object]) -> None:
        """Changes the manifest of an entry."""
        digest = self.entry(name)["digest"]
        value = json.loads(self.blob(digest))
        edit(value)
        self.replace(digest, strictjson.canonical(value))

    def add(self, data: bytes) -> Json:
        """One more blob at the end; digest and size of its descriptor."""
        digest = str(Digest.of(data))
        self.blobs.append((_member(digest), data))
        return {"digest": digest, "size": len(data)}

    def arrange(self) -> Parts:
        """Itself, with exactly the blobs that the index reaches, in the order of the walk."""
        known = dict(self.blobs)
        metadata: dict[str, None] = {}
        layers: dict[str, None] = {}

        def visit(descriptor: Json, is_bundle: bool) -> None:
            if descriptor["digest"] in metadata:
                return
            metadata[descriptor["digest"]] = None
            node = json.loads(self.blob(descriptor["digest"]))
            for child in node.get("manifests", ()):
                visit(child, False)
            if "config" in node:
                metadata.setdefault(node["config"]["digest"])
            for layer in node.get("layers", ()):
                (metadata if is_bundle else layers).setdefault(layer["digest"])

        for number, entry in enumerate(json.loads(self.index)["manifests"]):
            visit(entry, number == 0)
        ordered = map(_member, (*metadata, *(each for each in layers if each not in metadata)))
        self.blobs = [(name, known[name]) for name in ordered]
        return self

    def _rename(self, old: str, new: str, size: int) -> None:
        if old.encode() in self.index:
            self.index = _renamed(self.index, old, new, size)
        for name, data in list(self.blobs):
            if old.encode() in data and len(data) < 100_000:
                self.replace(f"sha256:{name[-64:]}", _renamed(data, old, new, size))


def _member(digest: str) -> str:
    return f"blobs/sha256/{digest[7:]}"


def _framed(placed: Placed, data: bytes) -> bytes:
    return placed.framing + data + placed.filler


def _renamed(data: bytes, old: str, new: str, size: int) -> bytes:
    def visit(value: Any) -> Any:
        if isinstance(value, dict):
            found = {key: visit(item) for key, item in value.items()}
            if value.get("digest") == old and "size" in value:
                found |= {"digest": new, "size": size}
            return found
        if isinstance(value, list):
            return [visit(item) for item in value]
        return value.replace(old, new) if isinstance(value, str) else value

    return strictjson.canonical(visit(json.loads(data)))


def take_apart(path: Path) -> Parts:
    """The parts of a valid bundle."""
    with open_bundle(path, KEY.public) as bundle:
        blobs = [(_member(str(digest)), data) for digest, data in bundle.metadata.items()]
        blobs += [(_member(str(b.digest)), b"".join(bundle.open(b))) for b in bundle.blobs]
        release = bundle.release
        return Parts(bundle.index, blobs, release.name, release.version)


def make_parts(folder: Path, contents: Contents | None = None) -> Parts:
    """The parts of a fresh small bundle."""
    return take_apart(make_bundle(folder / "parts.tar", contents))
