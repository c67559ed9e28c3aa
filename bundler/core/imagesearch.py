"""Where images and models stand in one object: in fields made for them, and inside any string.

A field is ``image`` with a string, or the reference of an image volume. Elsewhere a name counts
when it is known and stands as a whole: not as part of a longer name. A plain word (``redis``) may
mean anything there, so it is looked for in fields only.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from bundler.core import jsonpointer
from bundler.core.errors import PolicyError, UsageError
from bundler.core.jsonpointer import Path
from bundler.core.manifests import JsonObject, ObjectId
from bundler.core.reference import (
    MODEL_PREFIX,
    PLACEHOLDER_HOST,
    RESERVED_DOMAIN,
    ImageReference,
)

# Whatever could go on to the left or right would be another, longer name. A scheme may stand
# before it (oci://), and an escape of a JSON text inside of a string (\n).
_LEFT = r"(?:(?<![\w./@-])|(?<=://)(?<!http://)(?<!https://)|(?<=\\[nrt]))"
_AFTER_NAME = r"(?![\w/@]|:\w|[.:-]+[\w/@])"
_AFTER_TAG = r"(?![\w/@]|[.-]+[\w/@])"
_AFTER_DIGEST = r"(?!\w)"
_MODEL = rf"{re.escape(MODEL_PREFIX)}[a-z0-9](?:[-a-z0-9]{{0,61}}[a-z0-9])?{_AFTER_NAME}"

# An image that a text names as one: JSON and YAML in a ConfigMap, as KServe's ("image": "x:1"),
# or an argument (--sidecar-image=x:1).
_IN_TEXT = re.compile(r"""(?i:image)(?:\\?["'])?\s*[:=]\s*(?:\\?["'])?([\w.:/@\[\]-]+)""")
_POD_LISTS = ("containers", "initContainers", "ephemeralContainers")
# In these, keys are free: one called "image" is no field.
_FREE_KINDS = ("ConfigMap", "Secret", "CustomResourceDefinition")
_FREE_MAPS = frozenset(
    {"metadata", "labels", "annotations", "matchLabels", "selector", "nodeSelector"}
)


@dataclass(frozen=True)
class Span:
    """A reference as written at `start` to `end` of the string at `path`."""

    path: Path
    start: int
    end: int
    reference: str


def refuse(obj: JsonObject, path: Path, problem: str, hint: str | None = None) -> NoReturn:
    """PolicyError about what stands at `path` of `obj`."""
    raise PolicyError(f"{ObjectId.of(obj)}: {jsonpointer.spell(path)}: {problem}", hint)


def named(obj: JsonObject) -> tuple[tuple[Path, str], ...]:
    """What `obj` says to be an image, known or not, with its path; models left out.

    That is every field, and what the texts of ConfigMaps, arguments and variables call an image.
    PolicyError for a field that holds no reference, or an image in pieces.
    """
    _check_pieces(obj)
    fields = dict(image_fields(obj))
    for path, text in fields.items():
        try:
            ImageReference.parse(text)
        except UsageError as error:
            refuse(obj, path, error.message, error.hint)
    texts = [
        (path, found)
        for path, label, text in _texts(obj)
        for found in _IN_TEXT.findall(f"image={text}" if "image" in label.lower() else text)
        if _is_explicit(found)
    ]
    return tuple(item for item in (*fields.items(), *texts) if RESERVED_DOMAIN not in item[1])


def spans(obj: JsonObject, names: Collection[str]) -> Iterator[Span]:
    """Each place of an image or model in `obj`, string by string, from left to right.

    `names` are looked for as they are written. PolicyError where a name stands that can't be
    replaced: in a key, in base64, or as a reserved name in any other form.
    """
    pattern = _pattern(names)
    fields = dict(image_fields(obj))
    _check_keys(obj, pattern)
    _check_encoded(obj, pattern)
    for path, text in jsonpointer.strings(obj):
        _check_reserved(obj, path, text)
        if path in fields and RESERVED_DOMAIN not in text:
            yield Span(path, 0, len(text), text)
            continue
        for found in pattern.finditer(text):
            yield Span(path, found.start(), found.end(), found[0])


def explicit(name: str) -> bool:
    """Whether `name`, a reference, can be nothing else: it says its host, tag or digest."""
    return name in ImageReference.parse(name).spellings()


def _is_explicit(text: str) -> bool:
    try:
        return explicit(text)
    except UsageError:
        return False


def _pattern(names: Collection[str]) -> re.Pattern[str]:
    longest_first = sorted((name for name in names if explicit(name)), key=len, reverse=True)
    known = [re.escape(name) + _after(name) for name in longest_first]
    return re.compile(f"{_LEFT}(?:{'|'.join([*known, _MODEL])})")


def _after(name: str) -> str:
    reference = ImageReference.parse(name)
    if reference.digest:
        return _AFTER_DIGEST
    return _AFTER_TAG if reference.tag else _AFTER_NAME


def image_fields(value: Any, path: Path = (), free: bool = False) -> Iterator[tuple[Path, str]]:
    """The fields of an object that name an image, with their paths: whatever stands in them.

    `path` and `free` (keys are anybody's here) are for the way down.
    """
    if isinstance(value, list):
        for index, child in enumerate(value):
            yield from image_fields(child, (*path, index), free)
    elif isinstance(value, dict):
        if not path:
            free = value.get("kind") in _FREE_KINDS
        here = value.get("image")
        if isinstance(here, str) and here and (not free or _is_container(path)):
            yield (*path, "image"), here
        if isinstance(here, dict) and isinstance(here.get("reference"), str) and _in_volumes(path):
            yield (*path, "image", "reference"), here["reference"]
        for key, child in value.items():
            yield from image_fields(child, (*path, key), free or key in _FREE_MAPS)


def _is_container(path: Path) -> bool:
    return len(path) > 1 and path[-2] in _POD_LISTS


def _in_volumes(path: Path) -> bool:
    return len(path) > 1 and path[-2] == "volumes"


def _texts(obj: JsonObject) -> Iterator[tuple[Path, str, str]]:
    """Path, label and text of what containers and ConfigMaps carry for programs to read."""
    field = {"Secret": "stringData", "ConfigMap": "data"}.get(obj["kind"], "")
    for path, text in jsonpointer.strings(obj.get(field), (field,)):
        yield path, str(path[-1]), text
    for path, text in jsonpointer.strings(obj):
        if "args" in path[-2:] or "command" in path[-2:]:
            yield path, "", text
        elif path[-1] == "value" and "env" in path[-3:]:
            variable = jsonpointer.get(obj, jsonpointer.spell(path[:-1]))
            yield path, str(variable.get("name", "")), text


def _check_pieces(obj: JsonObject) -> None:
    for path, _ in jsonpointer.strings(obj):
        in_field = path[-2:] == ("image", "repository") and obj["kind"] not in _FREE_KINDS
        if in_field and not _FREE_MAPS.intersection(path):
            refuse(
                obj,
                path,
                "an image is written in pieces, which can't be replaced",
                hint="render the manifest with the whole reference in one string",
            )


def _check_keys(obj: JsonObject, pattern: re.Pattern[str]) -> None:
    for path, key in jsonpointer.keys(obj):
        if RESERVED_DOMAIN in key.lower() or pattern.search(key):
            refuse(obj, path, "an image or model stands in a key, where it can't be replaced")


def _check_encoded(obj: JsonObject, pattern: re.Pattern[str]) -> None:
    field = {"Secret": "data", "ConfigMap": "binaryData"}.get(obj["kind"], "")
    for path, encoded in jsonpointer.strings(obj.get(field), (field,)):
        try:
            text = base64.b64decode(encoded, validate=False).decode("latin-1")
        except binascii.Error:
            continue  # the API server will refuse it
        if RESERVED_DOMAIN in text.lower() or pattern.search(text):
            refuse(
                obj,
                path,
                "an image or model stands inside of base64, where it can't be replaced",
                hint="use a ConfigMap's data, or a Secret's stringData",
            )


def _check_reserved(obj: JsonObject, path: Path, text: str) -> None:
    if PLACEHOLDER_HOST in text.lower():
        refuse(
            obj,
            path,
            f"names {PLACEHOLDER_HOST}, which stands for the site's registry",
            hint=f"name an image as usual, a model as {MODEL_PREFIX}<name>",
        )
    rest = re.sub(_LEFT + _MODEL, "", text)
    if RESERVED_DOMAIN in rest.lower():
        refuse(
            obj,
            path,
            f"expected {MODEL_PREFIX}<name>, a DNS label and nothing behind it, "
            f"found {text[max(0, text.lower().find(RESERVED_DOMAIN) - 20) :][:120]!r}",
            hint="a model is named without tag, digest or path: the lock pins it",
        )
