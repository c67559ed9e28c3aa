"""Ways through the plain data of an object: its mappings, its texts, its pods."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from bundler.core.objects.jsonpointer import Path

Mapping = dict[str, Any]

CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
_HOST_NAMESPACES = ("hostNetwork", "hostPID", "hostIPC")
_WINDOW = 200
_BASE64 = {("Secret", "data"), ("ConfigMap", "binaryData")}


@dataclass(frozen=True)
class Text:
    """One text of an object.

    `path` leads to the value it stands in, `before` is the end of what precedes it in the same
    list (the arguments of one command line). `nested` says that it was inside of a JSON or base64
    text, `encoded` that it was inside of base64.
    """

    path: Path
    value: str
    before: str = ""
    nested: bool = False
    encoded: bool = False


@dataclass(frozen=True)
class Pod:
    """A pod template, wherever it stands: its path, its spec, what its pods get as annotations
    and labels.
    """

    path: Path
    spec: Mapping
    annotations: Mapping
    labels: Mapping


def mappings(value: Any, path: Path = ()) -> Iterator[tuple[Path, Mapping]]:
    """Every mapping at any depth of `value`, itself first."""
    if isinstance(value, dict):
        yield path, value
    for step, child in _children(value):
        yield from mappings(child, (*path, step))


def texts(obj: Mapping) -> Iterator[Text]:
    """Every text of an object, its keys left out.

    Base64 in Secrets and ConfigMaps is decoded when it is text. A text that is JSON is followed by
    the texts inside of it, its keys included (``{"auths": {"registry.example": …}}``).
    """
    for text in _plain(obj, (), ""):
        if (obj.get("kind"), text.path[0]) in _BASE64:
            decoded = _decoded(text.value)
            if decoded is None:
                continue
            text = Text(text.path, decoded, nested=True, encoded=True)
        yield text
        yield from _inside(text)


def pods(obj: Mapping) -> Iterator[Pod]:
    """Everything pod-like at any depth, in whatever kind: known by its shape alone.

    Pod-like is a mapping with a list of containers, or one that asks for a namespace of the host.
    """
    for path, spec in mappings(obj):
        if any(entries(spec, name) for name in CONTAINER_LISTS) or any(
            spec.get(name) is True for name in _HOST_NAMESPACES
        ):
            metadata = _metadata(obj, path)
            yield Pod(path, spec, *(_mapping(metadata, key) for key in ("annotations", "labels")))


def entries(value: Any, field: str) -> list[tuple[int, Mapping]]:
    """The mappings in the list `field` of a mapping, with their indices; nothing for all else."""
    found = value.get(field) if isinstance(value, dict) else None
    if not isinstance(found, list):
        return []
    return [(index, entry) for index, entry in enumerate(found) if isinstance(entry, dict)]


def lookup(value: Any, *steps: str) -> Any:
    """What lies at `steps` below `value`; None when something on the way is missing."""
    for step in steps:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _children(value: Any) -> list[tuple[str | int, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


def _plain(value: Any, path: Path, before: str) -> Iterator[Text]:
    if isinstance(value, str):
        yield Text(path, value, before)
    said = ""
    for step, child in _children(value):
        yield from _plain(child, (*path, step), said)
        if isinstance(step, int) and isinstance(child, str):
            said = f"{said}{child} "[-_WINDOW:]


def _decoded(text: str) -> str | None:
    try:
        return base64.b64decode(text).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None


def _inside(text: Text) -> Iterator[Text]:
    if not text.value.lstrip().startswith(("{", "[")):
        return
    try:
        # Keys and values alike, each by itself, and both of two equal keys.
        value = json.loads(
            text.value, object_pairs_hook=lambda pairs: [[each] for pair in pairs for each in pair]
        )
    except (ValueError, RecursionError):
        return
    for inner in _plain(value, (), ""):
        yield replace(text, value=inner.value, before=inner.before, nested=True)


def _metadata(obj: Mapping, path: Path) -> Mapping:
    """The ``metadata`` beside the spec; the object's where there is none."""
    owner: Any = obj
    for step in path[:-1]:
        owner = owner[step]
    metadata = owner.get("metadata") if isinstance(owner, dict) else None
    return metadata if isinstance(metadata, dict) else _mapping(obj, "metadata")


def _mapping(value: Mapping, key: str) -> Mapping:
    found = value.get(key)
    return found if isinstance(found, dict) else {}
