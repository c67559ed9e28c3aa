"""Every way that we know to lie in a bundle, each signed so that only the lie is wrong.

A case is a function from the parts of a valid bundle to the bytes of a file; `expected` is the
verdict that every reader must give: "ok", "integrity" or "trust" (docs/format.md). The same table
runs through our reader and through the one in tests/reader.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from bundler.archive import format as fmt
from bundler.archive.framing import BLOCK, END
from bundler.core.digest import Digest
from tests.hostile.case import IMAGE, Case
from tests.hostile.entry_cases import bundles, index_entries, model_on_a_platform, models_and_files
from tests.hostile.forging import Parts
from tests.hostile.lock_cases import file_sets, locks, with_paths
from tests.hostile.manifest_cases import (
    change_type,
    docker_list,
    json_texts,
    manifests,
    metadata_of,
    nested,
    padded,
)
from tests.hostile.signing_cases import slots, statements, with_others

__all__ = ["Case", "cases", "rearranged"]


def cases() -> tuple[Case, ...]:
    """All of them."""
    return (
        *_valid(),
        *statements(),
        *slots(),
        *json_texts(),
        *manifests(),
        *index_entries(),
        *bundles(),
        *models_and_files(),
        *locks(),
        *file_sets(),
    )


def _valid() -> Iterator[Case]:
    """What must pass, or the refusals below prove nothing."""

    def plain(parts: Parts) -> bytes:
        return parts.file()

    def annotated(parts: Parts) -> bytes:
        parts.edit(IMAGE, lambda m: m.update(annotations={"a.B": "c"}, unknown=[1, {"x": None}]))
        return parts.file()

    def spaced(parts: Parts) -> bytes:
        digest = parts.entry(IMAGE)["digest"]
        parts.replace(
            digest, b" \t\r\n" + json.dumps(parts.manifest(IMAGE), indent=2).encode() + b"\n"
        )
        return parts.file()

    def deep_enough(parts: Parts) -> bytes:
        parts.edit(IMAGE, lambda m: m.update(deep=_nested(31)))
        return parts.file()

    def no_media_type(parts: Parts) -> bytes:
        parts.edit(IMAGE, lambda m: m.pop("mediaType"))
        return parts.file()

    def subject(parts: Parts) -> bytes:
        lost = {"mediaType": fmt.OCI_MANIFEST, "digest": str(Digest.of(b"x")), "size": 1}
        parts.edit(IMAGE, lambda m: m.update(subject=lost))
        return parts.file()

    def docker_manifest(parts: Parts) -> bytes:
        change_type(parts, IMAGE, fmt.DOCKER_MANIFEST)
        return parts.file()

    def four_indexes(parts: Parts) -> bytes:
        return nested(parts, 4)

    def largest_manifest(parts: Parts) -> bytes:
        return padded(parts, fmt.MAX_MANIFEST)

    def all_metadata(parts: Parts) -> bytes:
        return metadata_of(parts, fmt.MAX_METADATA)

    def empty_layer(parts: Parts) -> bytes:
        parts.replace(parts.manifest(IMAGE)["layers"][0]["digest"], b"")
        return parts.file()

    def no_layers(parts: Parts) -> bytes:
        parts.edit(IMAGE, lambda m: m.update(layers=[]))
        return parts.arrange().file()

    def signatures(parts: Parts) -> bytes:
        return with_others(parts, 63)

    def paths(parts: Parts) -> bytes:
        return with_paths(parts, ("a", "a-b/c", "a.wh.", "b/a", "b/a.b", 1024 * "n", "ü/…"))

    def layer_that_is_a_config(parts: Parts) -> bytes:
        """Layers and configs are bytes: one blob may be a model's layer and an image's config."""
        layer = parts.manifest("models/")["layers"][0]
        shared = {"mediaType": fmt.OCI_CONFIG, "digest": layer["digest"], "size": layer["size"]}
        parts.edit(IMAGE, lambda m: m.update(config=shared))
        return parts.arrange().file()

    for make in (
        plain,
        annotated,
        spaced,
        deep_enough,
        no_media_type,
        subject,
        docker_manifest,
        docker_list,
        all_metadata,
        empty_layer,
        no_layers,
        signatures,
        four_indexes,
        largest_manifest,
        paths,
        layer_that_is_a_config,
        model_on_a_platform,
    ):
        yield Case(f"valid: {make.__name__}", "ok", make)


def _nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


def rearranged(good: bytes, members: list[tuple[str, int, int]]) -> Iterator[tuple[str, bytes]]:
    """Every member removed, doubled, renamed, moved, with the framing left as it was.

    `members` are name, first and last byte (framing and padding included) in the order of `good`.
    """
    for number, (name, start, end) in enumerate(members):
        piece = good[start:end]
        yield f"removed: {name}", good[:start] + good[end:]
        yield f"doubled: {name}", good[:end] + piece + good[end:]
        if number + 1 < len(members):
            yield f"moved to the end: {name}", good[:start] + good[end : -len(END)] + piece + END
        renamed = bytearray(good)
        at = good.index(name.encode(), start)
        renamed[at + len(name) - 1] ^= 1
        yield f"renamed: {name}", bytes(renamed)
        if number + 1 < len(members):
            _, after, last = members[number + 1]
            yield f"swapped: {name}", good[:start] + good[after:last] + piece + good[last:]
    extra = bytes(BLOCK)
    yield "an empty block in between", good[: members[2][2]] + extra + good[members[2][2] :]
