"""Images and models in rendered manifests: found, replaced by placeholders, sent to a registry.

Manifests are audited and signed with placeholders; the *image map*, a list of places, says where
an installer puts a site's registry. Nothing else of a manifest changes on the way.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from bundler.core.errors import IntegrityError
from bundler.core.objects import imagesearch, jsonpointer
from bundler.core.objects.imagesearch import Span
from bundler.core.objects.manifests import JsonObject, ObjectId, require_unique
from bundler.core.reference import PLACEHOLDER_HOST, ImageReference
from bundler.core.registries import SiteRegistry

Objects = tuple[JsonObject, ...]

# What follows the placeholder host: the repository, before the digest.
_BEHIND = re.compile(r"/([a-z0-9._/-]+)(?=@sha256:)")


@dataclass(frozen=True)
class ImagePlace:
    """One place of an image: in target, object, the string at a JSON pointer.

    `occurrence` counts the placeholder host within that string, from 0.
    """

    target: str
    object: ObjectId
    pointer: str
    occurrence: int

    def __str__(self) -> str:
        return f"{self.target}: {self.object}: {self.pointer}, occurrence {self.occurrence}"


def references(objects: Sequence[JsonObject], known: Collection[str]) -> tuple[str, ...]:
    """The references to images and models in `objects`, as written, sorted, each once.

    They come from image fields at any depth and from ConfigMaps' texts; any string is searched
    for these, for those in `known` (the bundle's ``images``) and for models. An image that is
    written in two ways (``app:1``, ``docker.io/library/app:1``) is two references. PolicyError
    for what can't be replaced, UsageError for a bad reference in `known`.
    """
    written = {text for obj in objects for _, text in imagesearch.named(obj)}
    names = {
        spelling
        for text in (*known, *written)
        for spelling in ImageReference.parse(text).spellings()
    }
    found = {span.reference for obj in objects for span in imagesearch.spans(obj, names)}
    return tuple(sorted(found))


def rewrite(
    target: str, objects: Sequence[JsonObject], replacements: Mapping[str, str]
) -> tuple[Objects, tuple[ImagePlace, ...]]:
    """`objects` with each reference replaced, and where that was.

    `replacements` maps what `references` gave to ``ImageReference.placeholder``. PolicyError for
    a reference that it lacks, for what can't be replaced, and for two objects with one id.
    """
    require_unique(objects, f"target {target}")
    rewritten: list[JsonObject] = []
    places: list[ImagePlace] = []
    for obj in objects:
        _require_replacements(obj, replacements)
        spans = list(imagesearch.spans(obj, replacements))
        for path, group in groupby(spans, key=lambda span: span.path):
            pointer, here = jsonpointer.spell(path), list(group)
            text = _replaced(jsonpointer.get(obj, pointer), here, replacements)
            obj = jsonpointer.put(obj, pointer, text)
            places += [
                ImagePlace(target, ObjectId.of(obj), pointer, number) for number in range(len(here))
            ]
        rewritten.append(obj)
    return tuple(rewritten), tuple(places)


def relocate(
    target: str, objects: Sequence[JsonObject], places: Sequence[ImagePlace], registry: str
) -> Objects:
    """`objects` with `registry` for the placeholder host, exactly at `places`.

    It is written ``[PROFILE:]HOST[/PREFIX]``, and its kind may change the path behind the host.
    Places of other targets are passed over. UsageError for a registry that is none;
    IntegrityError for a place that isn't there or stands twice, and for a placeholder host that
    no place names.
    """
    site = SiteRegistry.parse(registry)
    by_id = {ObjectId.of(obj): obj for obj in objects}
    mine = [place for place in places if place.target == target]
    if len(set(mine)) != len(mine):
        raise IntegrityError(f"image map: target {target}: a place stands twice")
    for (identity, pointer), here in _by_string(mine).items():
        by_id[identity] = _relocated(by_id.get(identity), pointer, here, site)
    relocated = tuple(by_id[ObjectId.of(obj)] for obj in objects)
    _require_none_left(target, relocated)
    return relocated


def _by_string(places: Sequence[ImagePlace]) -> dict[tuple[ObjectId, str], list[ImagePlace]]:
    groups: dict[tuple[ObjectId, str], list[ImagePlace]] = {}
    for place in places:
        groups.setdefault((place.object, place.pointer), []).append(place)
    return groups


def _relocated(
    obj: JsonObject | None, pointer: str, places: Sequence[ImagePlace], site: SiteRegistry
) -> JsonObject:
    """`obj` with `site` at all `places` within its one string at `pointer`."""
    before, *behind = _text_at(obj, pointer).split(PLACEHOLDER_HOST)
    pieces = [f"{PLACEHOLDER_HOST}{piece}" for piece in behind]
    for place in places:
        there = obj is not None and 0 <= place.occurrence < len(behind)
        found = _BEHIND.match(behind[place.occurrence]) if there else None
        if found is None:
            raise IntegrityError(
                f"image map: {place}: {PLACEHOLDER_HOST} doesn't stand there, with a repository",
                hint="the manifests are not those that the image map was made for",
            )
        pieces[place.occurrence] = site.place(found[1]) + found.string[found.end() :]
    text = "".join((before, *pieces))
    moved: JsonObject = jsonpointer.put(obj, pointer, text)
    return moved


def _require_replacements(obj: JsonObject, replacements: Mapping[str, str]) -> None:
    missing = [item for item in imagesearch.named(obj) if item[1] not in replacements]
    missing += [
        (span.path, span.reference)
        for span in imagesearch.spans(obj, ())
        if span.reference not in replacements
    ]
    for path, reference in missing:
        imagesearch.refuse(
            obj,
            path,
            f"{reference} isn't in the bundle",
            hint="list it in the bundle's models or images, and lock again",
        )


def _replaced(text: str, spans: Sequence[Span], replacements: Mapping[str, str]) -> str:
    pieces, end = [], 0
    for span in spans:
        pieces += [text[end : span.start], replacements[span.reference]]
        end = span.end
    return "".join([*pieces, text[end:]])


def _text_at(obj: JsonObject | None, pointer: str) -> str:
    try:
        text: Any = jsonpointer.get(obj, pointer)
    except (KeyError, ValueError):
        return ""
    return text if isinstance(text, str) else ""


def _require_none_left(target: str, objects: Objects) -> None:
    for obj in objects:
        for path, text in jsonpointer.strings(obj):
            if PLACEHOLDER_HOST in text:
                raise IntegrityError(
                    f"{target}: {ObjectId.of(obj)}: {jsonpointer.spell(path)}: "
                    f"{PLACEHOLDER_HOST} stands there, but not in the image map"
                )
