"""Where images and models stand in one object: in fields made for them, and inside any string.

A field is ``image`` or ``…Image`` with a string or a list of these, ``images`` with a list, or the
reference of an image volume. Elsewhere a name counts
when it is known and stands as a whole: not as part of a longer name. A plain word (``redis``) may
mean anything there, so it is looked for in fields only.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from bundler.core.errors import PolicyError, UsageError
from bundler.core.objects import jsonpointer
from bundler.core.objects.jsonpointer import Path
from bundler.core.objects.manifests import JsonObject, ObjectId
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
# or an argument (--sidecar-image=x:1, --image x:1).
# Gaps are bounded and never given back, so that the search takes no longer than the text is long.
_GAP = r"\s{0,99}+"
_WORD = r"(?i:images?(?:[_-]?(?:name|ref|reference|uri|url))?)(?:\\?[\"'])?"
_FOUND = r"(?:\\?[\"'])?([\w.:/@\[\]-]+)"
_IN_TEXT = re.compile(
    rf"{_WORD}{_GAP}[:=]{_GAP}(?:(?:[|>][+-]?|!\S{{0,40}}|&\w{{1,40}})\s{_GAP})?{_FOUND}"
    rf"|(?<![\w-])--?(?:[\w.-]{{0,80}}-)?{_WORD}\s{_GAP}{_FOUND}"
)
_LINE = r"[ \t]{0,99}+\n[ \t]{0,99}+-[ \t]{1,99}+\S+"
_LIST = re.compile(rf"{_WORD}{_GAP}[:=]({_GAP}\[[^\[\]]*\]|(?:{_LINE})+)")
_ITEM = re.compile(r"[\w.:/@-]+")
_PIECES = re.compile(
    rf"{_WORD}{_GAP}:{_GAP}(?:\{{{_GAP})?(?:\\?[\"'])?repository(?:\\?[\"'])?{_GAP}:"
)
_FIELD = re.compile(r"image|[a-z]\w*Image")
_LIST_FIELD = re.compile(r"images?|[a-z]\w*Images?")
_FLAG = re.compile(r"(?i)--?(?:[\w.-]*-)?image")
_WHOLE = "render the manifest with the whole reference in one string"
_PARTS = frozenset({"digest", "name", "registry", "repository", "tag"})
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
    _check_encoded_images(obj)
    fields = dict(image_fields(obj))
    for path, text in fields.items():
        try:
            ImageReference.parse(text)
        except UsageError as error:
            refuse(obj, path, error.message, error.hint)
    texts = [
        (path, found)
        for path, label, text in _texts(obj)
        for found in _in_text(f"image={text}" if "image" in label.lower() else text)
    ]
    return tuple(item for item in (*fields.items(), *texts) if RESERVED_DOMAIN not in item[1])


def _in_text(text: str) -> list[str]:
    """What `text` calls an image and can be nothing else."""
    found = [one or other for one, other in _IN_TEXT.findall(text)]
    found += [item for items in _LIST.findall(text) for item in _ITEM.findall(items)]
    return [each for each in found if _is_explicit(each)]


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


def image_fields(value: Any) -> Iterator[tuple[Path, str]]:
    """The fields of an object that name an image, with their paths: whatever stands in them."""
    is_free = isinstance(value, dict) and value.get("kind") in _FREE_KINDS
    yield from _fields(value, (), is_free, is_free)


def _fields(value: Any, path: Path, free: bool, below: bool) -> Iterator[tuple[Path, str]]:
    """`free`: the keys of this mapping are anybody's; `below`: those of all that it holds too."""
    if isinstance(value, list):
        for index, child in enumerate(value):
            yield from _fields(child, (*path, index), free, below)
    elif isinstance(value, dict):
        for key, child in value.items():
            here = (*path, key)
            if not free or (key == "image" and _is_container(path)):
                yield from ((item, text) for item, text in _field(here, child) if text)
            yield from _fields(child, here, below or key in _FREE_MAPS, below)


def _field(path: Path, value: Any) -> Iterator[tuple[Path, str]]:
    key = str(path[-1])
    if isinstance(value, str) and _FIELD.fullmatch(key):
        yield path, value
    if isinstance(value, list) and _LIST_FIELD.fullmatch(key):
        for index, item in enumerate(value):
            if isinstance(item, str):
                yield (*path, index), item
    if key == "image" and isinstance(value, dict) and isinstance(value.get("reference"), str):
        yield (*path, "reference"), value["reference"]


def _is_container(path: Path) -> bool:
    return len(path) > 1 and path[-2] in _POD_LISTS


def _texts(obj: JsonObject) -> Iterator[tuple[Path, str, str]]:
    """Path, label and text of what containers and ConfigMaps carry for programs to read."""
    field = {"Secret": "stringData", "ConfigMap": "data"}.get(obj["kind"], "")
    for path, text in jsonpointer.strings(obj.get(field), (field,)):
        yield path, str(path[-1]), text
    for path, text in jsonpointer.strings(obj):
        if "args" in path[-2:] or "command" in path[-2:]:
            yield path, _flag_before(obj, path), text
        elif "annotations" in path[-2:-1] and str(path[-1]).lower().endswith("image"):
            yield path, "image", text
        elif path[-1] == "value" and "env" in path[-3:]:
            variable = jsonpointer.get(obj, jsonpointer.spell(path[:-1]))
            yield path, str(variable.get("name", "")), text


def _flag_before(obj: JsonObject, path: Path) -> str:
    """The argument before the one at `path`, where it says that an image follows; else nothing."""
    index = path[-1]
    if not isinstance(index, int) or not index:
        return ""
    before = jsonpointer.get(obj, jsonpointer.spell((*path[:-1], index - 1)))
    return before if isinstance(before, str) and _FLAG.fullmatch(before) else ""


def _check_plain(obj: JsonObject) -> None:
    """Refuses a plain word where a container is told an image: it would be found nowhere."""
    for path, label, text in _texts(obj):
        flag, _, value = text.partition("=")
        said = value if _FLAG.fullmatch(flag) else text
        is_image = said != text or _FLAG.fullmatch(label) or re.fullmatch("(?i).*_?image", label)
        if is_image and path[0] not in ("data", "stringData") and _is_plain(said):
            refuse(
                obj,
                path,
                f"{said!r} is called an image, but could be anything",
                hint=f"write it with its tag, such as {said}:latest",
            )


def _is_plain(text: str) -> bool:
    try:
        return not explicit(text)
    except UsageError:
        return False


def _check_pieces(obj: JsonObject) -> None:
    _check_plain(obj)
    for path, _, text in _texts(obj):
        if _PIECES.search(text):
            refuse(obj, path, "a text names an image in pieces, which can't be replaced", _WHOLE)
    for path, _ in jsonpointer.strings(obj):
        in_field = (
            len(path) > 1
            and _FIELD.fullmatch(str(path[-2]))
            and path[-1] in _PARTS
            and obj["kind"] not in _FREE_KINDS
        )
        if in_field and not _FREE_MAPS.intersection(path):
            refuse(
                obj,
                path,
                "an image is written in pieces, which can't be replaced",
                _WHOLE,
            )


def _check_keys(obj: JsonObject, pattern: re.Pattern[str]) -> None:
    for path, key in jsonpointer.keys(obj):
        if RESERVED_DOMAIN in key.lower() or pattern.search(key):
            refuse(obj, path, "an image or model stands in a key, where it can't be replaced")


def _check_encoded_images(obj: JsonObject) -> None:
    for path, text in _encoded(obj):
        if any(RESERVED_DOMAIN not in found for found in _in_text(text)):
            _refuse_encoded(obj, path)


def _check_encoded(obj: JsonObject, pattern: re.Pattern[str]) -> None:
    for path, text in _encoded(obj):
        if RESERVED_DOMAIN in text.lower() or pattern.search(text):
            _refuse_encoded(obj, path)


def _encoded(obj: JsonObject) -> Iterator[tuple[Path, str]]:
    """What stands in base64, decoded, with its path; what is none the API server will refuse."""
    field = {"Secret": "data", "ConfigMap": "binaryData"}.get(obj["kind"], "")
    for path, encoded in jsonpointer.strings(obj.get(field), (field,)):
        with suppress(binascii.Error):
            yield path, base64.b64decode(encoded, validate=False).decode("latin-1")


def _refuse_encoded(obj: JsonObject, path: Path) -> NoReturn:
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
