"""The lock: every input of a bundle by digest, and nothing that is derived.

Written for review: JSON, sorted, one entry a line. `parse` and `dump` are inverse.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bundler.core import strictjson
from bundler.core.digest import Digest
from bundler.core.errors import IntegrityError

FORMAT_VERSION = 1
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_BAD_CHARACTER = re.compile(r"[\x00-\x1f\x7f\\:]")
_MAX_PATH = 1024


@dataclass(frozen=True)
class LockedFile:
    """One file: path (relative, `/` between segments), size in bytes, digest of its bytes."""

    path: str
    size: int
    digest: Digest


@dataclass(frozen=True)
class LockedModel:
    """A model: where it came from, at which revision, and each of its files."""

    name: str
    source: str
    revision: str | None
    license: str
    files: tuple[LockedFile, ...]


@dataclass(frozen=True)
class LockedFileSet:
    """A set of files that travels as it is."""

    name: str
    source: str
    kind: str
    files: tuple[LockedFile, ...]


@dataclass(frozen=True)
class LockedImage:
    """An image: as manifests write it, what its source resolved to, and its entry in the index.

    `resolved` differs from `digest` when of an index only some platforms travel.
    """

    name: str
    source: str
    resolved: Digest
    entry: str
    media_type: str
    digest: Digest
    size: int
    platforms: Mapping[str, Digest]


@dataclass(frozen=True)
class Lock:
    """All inputs of a bundle, by digest."""

    name: str
    version: str
    spec: Digest
    platforms: tuple[str, ...]
    sources: Mapping[str, Digest] = field(default_factory=dict)
    policies: Mapping[str, Digest] = field(default_factory=dict)
    models: tuple[LockedModel, ...] = ()
    files: tuple[LockedFileSet, ...] = ()
    images: tuple[LockedImage, ...] = ()
    targets: Mapping[str, Digest] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)

    def dump(self) -> bytes:
        """The lock as text: sorted, one entry a line, a newline at the end."""
        return (_pretty(_to_json(self)) + "\n").encode()


def check_path(path: str, what: str) -> None:
    """IntegrityError unless `path` may stand in a bundle (docs/format.md, "Models": a path)."""
    segments = path.split("/")
    problem = (
        "is longer than 1024 bytes" if len(path.encode()) > _MAX_PATH
        else "has a backslash, colon or control character" if _BAD_CHARACTER.search(path)
        else "has an empty, `.` or `..` segment" if {"", ".", ".."} & set(segments)
        else "has a whiteout segment (.wh.)" if any(s.startswith(".wh.") for s in segments)
        else None
    )  # fmt: skip
    if problem:
        raise IntegrityError(f"{what}: path {path[:200]!r} {problem}", "rename the file")


def check_files(files: Sequence[LockedFile], what: str) -> None:
    """IntegrityError unless paths are good, sorted by bytes, unique, none another's folder."""
    if not files:
        raise IntegrityError(f"{what}: expected at least one file, found none")
    for file in files:
        check_path(file.path, what)
    paths = [file.path.encode() for file in files]
    if paths != sorted(set(paths)):
        raise IntegrityError(f"{what}: files are not sorted by path, or one stands twice")
    for path in paths:
        below = bisect_left(paths, path + b"/")
        if below < len(paths) and paths[below].startswith(path + b"/"):
            raise IntegrityError(f"{what}: path {paths[below].decode()!r} has a file for a folder")


def parse(data: bytes, where: str) -> Lock:
    """The lock in `data`; IntegrityError, naming `where`, if it isn't one."""
    value = strictjson.parse(data, where)
    read = _Reader(value, where)
    version = read.take("formatVersion", int)
    if version != FORMAT_VERSION:
        raise IntegrityError(f"{where}: expected formatVersion {FORMAT_VERSION}, found {version}")
    bundle = _Reader(read.take("bundle", dict), f"{where}: bundle")
    lock = Lock(
        name=bundle.take("name", str),
        version=bundle.take("version", str),
        spec=bundle.digest("spec"),
        platforms=bundle.strings("platforms"),
        sources=read.digests("sources"),
        policies=read.digests("policies"),
        models=tuple(_model(item) for item in read.items("models")),
        files=tuple(_file_set(item) for item in read.items("files")),
        images=tuple(_image(item) for item in read.items("images")),
        targets=read.digests("targets"),
        tools=read.texts("tools"),
    )
    bundle.done()
    read.done()
    return lock


def dump_files(files: Sequence[LockedFile]) -> bytes:
    """The list of a model's files by itself, as it lies beside them in a bucket; canonical."""
    return strictjson.canonical({"files": _files(files)})


def parse_files(data: bytes, where: str) -> tuple[LockedFile, ...]:
    """The list that `dump_files` wrote; IntegrityError, naming `where`, if it isn't one."""
    read = _Reader(strictjson.parse(data, where), where)
    files = read.files()
    read.done()
    return files


@dataclass(frozen=True)
class Contents:
    """What a reader of the format takes from a lock: files by model and set, images by entry."""

    models: Mapping[str, tuple[LockedFile, ...]]
    files: Mapping[str, tuple[LockedFile, ...]]
    images: Mapping[str, tuple[Digest, int]]


def parse_contents(data: bytes, where: str) -> Contents:
    """The three members of a lock that docs/format.md gives a meaning; all others are ignored."""
    read = _Reader(strictjson.parse(data, where), where, strict=False)
    models = [(item.take("name", str), item.files()) for item in read.items("models")]
    file_sets = [(item.take("name", str), item.files()) for item in read.items("files")]
    images: dict[str, tuple[Digest, int]] = {}
    for item in read.items("images"):
        entry, found = item.take("entry", str), (item.digest("digest"), item.size("size"))
        if images.setdefault(entry, found) != found:
            raise IntegrityError(f"{item.where}: entry {entry!r} has two digests or sizes")
    for kind, named in (("models", models), ("files", file_sets)):
        if len(dict(named)) != len(named):
            raise IntegrityError(f"{where}: {kind}: a name stands twice")
    return Contents(dict(models), dict(file_sets), images)


class _Reader:
    """Takes the members of one object, each of one type, until none is left."""

    def __init__(self, value: object, where: str, strict: bool = True) -> None:
        if not isinstance(value, dict):
            raise IntegrityError(f"{where}: expected an object, found {type(value).__name__}")
        self._rest = dict(value)
        self.where = where
        self._strict = strict

    def take(self, key: str, kind: type) -> Any:
        value = self._rest.pop(key, None)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            found = "nothing" if value is None else type(value).__name__
            raise IntegrityError(f"{self.where}: {key}: expected {kind.__name__}, found {found}")
        return value

    def optional(self, key: str) -> str | None:
        if self._rest.get(key) is None:
            self._rest.pop(key, None)
            return None
        value: str = self.take(key, str)
        return value

    def label(self, key: str) -> str:
        value: str = self.take(key, str)
        if not _LABEL.fullmatch(value):
            raise IntegrityError(f"{self.where}: {key}: expected a DNS label, found {value[:80]!r}")
        return value

    def size(self, key: str) -> int:
        value: int = self.take(key, int)
        if value < 0:
            raise IntegrityError(f"{self.where}: {key}: expected 0 to 2^53-1, found {value}")
        return value

    def digest(self, key: str) -> Digest:
        text: str = self.take(key, str)
        try:
            return Digest.parse(text)
        except IntegrityError as error:
            raise IntegrityError(f"{self.where}: {key}: {error.message}") from error

    def strings(self, key: str) -> tuple[str, ...]:
        values: list[object] = self.take(key, list)
        texts = tuple(value for value in values if isinstance(value, str))
        if len(texts) != len(values):
            raise IntegrityError(f"{self.where}: {key}: expected only strings")
        return texts

    def texts(self, key: str) -> dict[str, str]:
        found = _Reader(self.take(key, dict), f"{self.where}: {key}")
        return {name: found.take(name, str) for name in list(found._rest)}

    def digests(self, key: str) -> dict[str, Digest]:
        found = _Reader(self.take(key, dict), f"{self.where}: {key}")
        return {name: found.digest(name) for name in list(found._rest)}

    def items(self, key: str) -> list[_Reader]:
        values = self.take(key, list)
        return [
            _Reader(item, f"{self.where}: {key}[{n}]", self._strict)
            for n, item in enumerate(values)
        ]

    def files(self) -> tuple[LockedFile, ...]:
        files = []
        for item in self.items("files"):
            file = LockedFile(item.take("path", str), item.size("size"), item.digest("digest"))
            item.done()
            files.append(file)
        check_files(files, self.where)
        return tuple(files)

    def done(self) -> None:
        if self._rest and self._strict:
            raise IntegrityError(f"{self.where}: unknown member {sorted(self._rest)[0]!r}")


def _model(read: _Reader) -> LockedModel:
    model = LockedModel(
        name=read.label("name"),
        source=read.take("source", str),
        revision=read.optional("revision"),
        license=read.take("license", str),
        files=read.files(),
    )
    read.done()
    return model


def _file_set(read: _Reader) -> LockedFileSet:
    found = LockedFileSet(
        name=read.label("name"),
        source=read.take("source", str),
        kind=read.take("kind", str),
        files=read.files(),
    )
    read.done()
    return found


def _image(read: _Reader) -> LockedImage:
    image = LockedImage(
        name=read.take("name", str),
        source=read.take("source", str),
        resolved=read.digest("resolved"),
        entry=read.take("entry", str),
        media_type=read.take("mediaType", str),
        digest=read.digest("digest"),
        size=read.size("size"),
        platforms=read.digests("platforms"),
    )
    read.done()
    return image


def _to_json(lock: Lock) -> dict[str, Any]:
    return {
        "bundle": {
            "name": lock.name,
            "platforms": list(lock.platforms),
            "spec": str(lock.spec),
            "version": lock.version,
        },
        "files": [
            {"files": _files(s.files), "kind": s.kind, "name": s.name, "source": s.source}
            for s in lock.files
        ],
        "formatVersion": FORMAT_VERSION,
        "images": [_image_json(image) for image in lock.images],
        "models": [_model_json(model) for model in lock.models],
        "policies": _digests(lock.policies),
        "sources": _digests(lock.sources),
        "targets": _digests(lock.targets),
        "tools": dict(lock.tools),
    }


def _image_json(image: LockedImage) -> dict[str, Any]:
    return {
        "digest": str(image.digest),
        "entry": image.entry,
        "mediaType": image.media_type,
        "name": image.name,
        "platforms": _digests(image.platforms),
        "resolved": str(image.resolved),
        "size": image.size,
        "source": image.source,
    }


def _model_json(model: LockedModel) -> dict[str, Any]:
    return {
        "files": _files(model.files),
        "license": model.license,
        "name": model.name,
        "revision": model.revision,
        "source": model.source,
    }


def _files(files: Sequence[LockedFile]) -> list[dict[str, Any]]:
    return [{"digest": str(f.digest), "path": f.path, "size": f.size} for f in files]


def _digests(digests: Mapping[str, Digest]) -> dict[str, str]:
    return {name: str(digest) for name, digest in digests.items()}


def _pretty(value: object, indent: str = "") -> str:
    """JSON in which whatever holds no further containers but is in a list stands on one line."""
    inner = indent + " "
    if isinstance(value, dict) and value:
        lines = [
            f"{inner}{json.dumps(key, ensure_ascii=False)}: {_pretty(value[key], inner)}"
            for key in sorted(value)
        ]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and value:
        lines = [inner + _line(item, inner) for item in value]
        return "[\n" + ",\n".join(lines) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)


def _line(item: object, indent: str) -> str:
    nested = isinstance(item, dict) and any(isinstance(v, dict | list) for v in item.values())
    return _pretty(item, indent) if nested else json.dumps(item, sort_keys=True, ensure_ascii=False)
