"""Closure: every image and model that an object needs is in the bundle, pinned by digest."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bundler.core.findings import Finding
from bundler.core.objects import imagesearch, jsonpointer
from bundler.core.objects.jsonpointer import Path
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.reference import RESERVED_DOMAIN
from bundler.core.rules.context import RuleContext
from bundler.core.rules.walk import texts

ID = "closure"

# Whatever is written with the reserved domain: a placeholder, a model that was not replaced, or
# something that only looks like one. Names of hosts know no case; references do.
_RESERVED = re.compile(
    rf"[\w.-]*{re.escape(RESERVED_DOMAIN)}(?![\w-])"
    r"(?:/[\w./-]*)?(?::[\w.-]+)?(?:@[\w.+-]+:[0-9A-Za-z]+)?",
    re.IGNORECASE,
)


def check(obj: JsonObject, context: RuleContext) -> Iterator[Finding]:
    """A finding for each image that isn't in `context.images`, and each stray placeholder.

    What an image is says `bundler.core.objects.imagesearch`: fields at any depth, and what texts
    call one.
    A placeholder in a key is always astray: only values are given the site's registry.
    """
    fields = dict(imagesearch.image_fields(obj))
    lacking = [item for item in fields.items() if item[1] not in context.images]
    # `named` stops at a field that it can't read; there is enough to say about it without.
    for path, image in lacking or set(imagesearch.named(obj)) - set(fields.items()):
        yield _finding(obj, path, f"names the image {image!r}, which is not in the bundle")
    for text in texts(obj):
        if text.path not in fields:
            # What is encoded can't be given the site's registry, so not even a known name may be.
            known = frozenset[str]() if text.encoded else context.images
            yield from _strays(obj, text.path, text.value, known)
    for path, key in jsonpointer.keys(obj):
        yield from _strays(obj, path, key, frozenset())


def _strays(obj: JsonObject, path: Path, text: str, known: frozenset[str]) -> Iterator[Finding]:
    for reference in sorted(set(_RESERVED.findall(text)) - known):
        yield _finding(obj, path, f"names {reference!r}, which is not in the bundle")


def _finding(obj: JsonObject, path: Path, problem: str) -> Finding:
    return Finding(
        ID,
        "error",
        str(ObjectId.of(obj)),
        f"{jsonpointer.spell(path)}: {problem}",
        hint="list the image or model in bundle.yaml; what stands here must be its pinned name",
    )
