"""From the index to everything it reaches: the one walk that writer and reader share.

Indexes and manifests are parsed here and nowhere else, under the rules of docs/format.md
("JSON", "The index and the walk").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bundler.archive import format as fmt
from bundler.core import strictjson
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError

_KNOWN = frozenset(
    "schemaVersion mediaType artifactType config layers manifests subject annotations"
    " digest size urls data platform".split()
)
_FOLDED = {strictjson.fold(name): name for name in _KNOWN}
_ENTRY_NAME = re.compile(r"[A-Za-z0-9._/@:-]{1,512}")
_MANIFESTS = fmt.INDEX_TYPES | fmt.MANIFEST_TYPES


@dataclass(frozen=True)
class Reference:
    """A descriptor where it stands in an index or manifest, with its annotations and platform."""

    descriptor: Descriptor
    annotations: Mapping[str, str] = field(default_factory=dict)
    artifact_type: str | None = None
    platform: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Node:
    """An index (`manifests`) or a manifest (`config` and `layers`), parsed."""

    manifests: tuple[Reference, ...] = ()
    config: Reference | None = None
    layers: tuple[Reference, ...] = ()
    artifact_type: str | None = None


@dataclass(frozen=True)
class Place:
    """What a blob belongs to: an entry's manifest, perhaps as its layer by title or number.

    Put into words only when somebody asks: a hostile index can name many blobs at length.
    """

    owner: str
    layer: str | int | None = None

    def __str__(self) -> str:
        if self.layer is None:
            return self.owner
        shown = str(self.layer)[:100]
        return f"{self.owner}: layer {shown if shown.isprintable() else repr(shown)}"


@dataclass
class Walk:
    """What an index reaches, in the order of the file.

    `metadata` holds the bytes of every index, manifest, config and bundle layer; `nodes` the parsed
    indexes and manifests; `blobs` all other layers; `owners` says what a blob belongs to.
    """

    entries: tuple[Reference, ...]
    metadata: dict[Digest, bytes] = field(default_factory=dict)
    nodes: dict[Digest, Node] = field(default_factory=dict)
    blobs: dict[Digest, Descriptor] = field(default_factory=dict)
    owners: dict[Digest, Place] = field(default_factory=dict)


def walk(index: bytes, fetch: Callable[[Descriptor, str], bytes]) -> Walk:
    """Everything that `index` reaches; `fetch` gives a metadata blob when it is first met.

    `fetch` is given the descriptor and a text that names the blob, is called in the order of the
    file, and answers for digest and size. IntegrityError for what the format refuses.
    """
    found = Walk(parse_index(index).manifests)
    _Walker(found, fetch).run()
    return found


class _Walker:
    def __init__(self, found: Walk, fetch: Callable[[Descriptor, str], bytes]) -> None:
        self.found = found
        self.fetch = fetch
        self.named: dict[Digest, Descriptor] = {}
        self.total = 0
        self.layers: dict[Digest, Descriptor] = {}

    def run(self) -> None:
        for position, entry in enumerate(self.found.entries):
            name = entry.annotations.get(fmt.REF_NAME, str(entry.descriptor.digest))
            if not _ENTRY_NAME.fullmatch(name):
                raise IntegrityError(
                    f"{fmt.INDEX_NAME}: expected an entry's name of at most 512 letters, digits "
                    f"and . _ - / @ :, found {name[:80]!r}"
                )
            self.visit(entry, name, 1, is_bundle=position == 0)
        known = self.found.metadata
        self.found.blobs = {d: b for d, b in self.layers.items() if d not in known}

    def visit(self, reference: Reference, owner: str, depth: int, is_bundle: bool = False) -> None:
        """An index or manifest, then all it names; the layers of the bundle's own are metadata."""
        descriptor = reference.descriptor
        if descriptor.media_type not in _MANIFESTS:
            raise IntegrityError(
                f"{owner}: expected the media type of an index or manifest, "
                f"found {descriptor.media_type[:100]!r}"
            )
        self.name(descriptor, Place(owner))
        if descriptor.digest in self.found.metadata:
            return
        if descriptor.size > fmt.MAX_MANIFEST:
            raise IntegrityError(
                f"{owner}: a manifest has at most {fmt.MAX_MANIFEST} bytes, found {descriptor.size}"
            )
        if descriptor.media_type in fmt.INDEX_TYPES and depth > fmt.MAX_NESTING:
            raise IntegrityError(f"{owner}: indexes are nested deeper than {fmt.MAX_NESTING}")
        node = parse_node(self.take(descriptor, Place(owner)), descriptor.media_type, owner)
        self.found.nodes[descriptor.digest] = node
        for child in node.manifests:
            self.visit(child, f"{owner}: manifest {child.descriptor.digest}", depth + 1)
        if node.config:
            self.leaves(node, node.config, owner, is_bundle)

    def leaves(self, node: Node, config: Reference, owner: str, is_bundle: bool) -> None:
        self.name(config.descriptor, Place(owner))
        self.take(config.descriptor, Place(f"{owner}: config"))
        for number, layer in enumerate(node.layers):
            place = Place(owner, layer.annotations.get(fmt.TITLE, number))
            self.name(layer.descriptor, place)
            if is_bundle:
                self.take(layer.descriptor, place)
            else:
                self.layers.setdefault(layer.descriptor.digest, layer.descriptor)

    def name(self, descriptor: Descriptor, owner: Place) -> None:
        """One digest has one size, and an index or manifest is nothing else besides."""
        self.found.owners.setdefault(descriptor.digest, owner)
        first = self.named.setdefault(descriptor.digest, descriptor)
        if first.size != descriptor.size:
            raise IntegrityError(
                f"{owner}: {descriptor.digest} has {descriptor.size} bytes, before {first.size}"
            )
        media_types = {first.media_type, descriptor.media_type}
        if len(media_types) > 1 and media_types & _MANIFESTS:
            both = " and ".join(repr(kind[:100]) for kind in sorted(media_types))
            raise IntegrityError(f"{owner}: {descriptor.digest} is named both {both}")

    def take(self, descriptor: Descriptor, owner: Place) -> bytes:
        """A metadata blob, placed when it is first met."""
        known = self.found.metadata.get(descriptor.digest)
        if known is not None:
            return known
        self.total += descriptor.size
        if self.total > fmt.MAX_METADATA:
            raise IntegrityError(f"{owner}: manifests, configs and bundle layers exceed 64 MiB")
        data = self.fetch(descriptor, str(owner))
        self.found.metadata[descriptor.digest] = data
        return data


def parse_index(data: bytes) -> Node:
    """The root index, whose media type must stand in it."""
    if len(data) > fmt.MAX_INDEX:
        raise IntegrityError(
            f"{fmt.INDEX_NAME}: expected at most 16 MiB, found {len(data):,} bytes"
        )
    value = strictjson.parse(data, fmt.INDEX_NAME)
    if not isinstance(value, dict) or value.get("mediaType") != fmt.OCI_INDEX:
        raise IntegrityError(f"{fmt.INDEX_NAME}: expected mediaType {fmt.OCI_INDEX!r}")
    return _node(value, fmt.OCI_INDEX, fmt.INDEX_NAME)


def parse_node(data: bytes, media_type: str, where: str) -> Node:
    """The index or manifest in `data`, whose descriptor says `media_type`; IntegrityError."""
    value = strictjson.parse(data, where)
    if not isinstance(value, dict):
        raise IntegrityError(f"{where}: expected an object")
    stated = value.get("mediaType")
    may_be_absent = media_type.startswith("application/vnd.oci.")
    if stated != media_type and not ("mediaType" not in value and may_be_absent):
        raise IntegrityError(
            f"{where}: mediaType is {stated!r:.120}, its descriptor says {media_type!r}"
        )
    return _node(value, media_type, where)


def _node(value: dict[str, Any], media_type: str, where: str) -> Node:
    _check_keys(value, where)
    if value.get("schemaVersion") != 2:
        found = value.get("schemaVersion")
        raise IntegrityError(f"{where}: expected schemaVersion 2, found {found!r:.40}")
    is_index = media_type in fmt.INDEX_TYPES
    foreign = {"layers", "config"} if is_index else {"manifests"}
    if mixed := sorted(foreign & value.keys()):
        kind = "an index" if is_index else "a manifest"
        raise IntegrityError(f"{where}: {kind} may not have {mixed[0]!r}")
    artifact_type = _text(value, "artifactType", where)
    if is_index:
        return Node(_references(value, "manifests", where), artifact_type=artifact_type)
    config = _reference(value.get("config"), f"{where}: config")
    layers = _references(value, "layers", where)
    for leaf in (config, *layers):
        _check_leaf(leaf.descriptor, where)
    return Node((), config, layers, artifact_type)


def _check_leaf(descriptor: Descriptor, where: str) -> None:
    media_type = descriptor.media_type
    if media_type in _MANIFESTS:
        raise IntegrityError(f"{where}: a config or layer may not be of type {media_type!r}")
    if "nondistributable" in media_type or ".foreign." in media_type:
        raise IntegrityError(
            f"{where}: {descriptor.digest} is a foreign layer ({media_type}), which is not carried",
            "rebuild the image on a base without foreign layers",
        )


def _references(value: dict[str, Any], key: str, where: str) -> tuple[Reference, ...]:
    items = value.get(key)
    if not isinstance(items, list):
        raise IntegrityError(f"{where}: expected an array {key!r}")
    return tuple(_reference(item, f"{where}: {key}[{n}]") for n, item in enumerate(items))


def _reference(value: object, where: str) -> Reference:
    if not isinstance(value, dict):
        raise IntegrityError(f"{where}: expected a descriptor")
    _check_keys(value, where)
    for forbidden in ("urls", "data"):
        if forbidden in value:
            raise IntegrityError(f"{where}: a descriptor may not have {forbidden!r}")
    media_type, digest, size = (value.get(key) for key in ("mediaType", "digest", "size"))
    if not isinstance(media_type, str) or not isinstance(digest, str):
        raise IntegrityError(f"{where}: expected mediaType and digest as strings")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise IntegrityError(f"{where}: expected a size from 0 to 2^53-1, found {size!r:.40}")
    platform = value.get("platform")
    if "platform" in value and not isinstance(platform, dict):
        raise IntegrityError(f"{where}: expected platform as an object")
    return Reference(
        Descriptor(media_type, Digest.parse(digest), size),
        _annotations(value, where),
        _text(value, "artifactType", where),
        platform,
    )


def _annotations(value: dict[str, Any], where: str) -> dict[str, str]:
    found = value.get("annotations", {})
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise IntegrityError(f"{where}: expected annotations as an object of strings")
    return found


def _text(value: dict[str, Any], key: str, where: str) -> str | None:
    found = value.get(key)
    if key in value and not isinstance(found, str):
        raise IntegrityError(f"{where}: expected {key} as a string")
    return found


def _check_keys(value: dict[str, Any], where: str) -> None:
    for key in value:
        known = _FOLDED.get(strictjson.fold(key))
        if known is not None and known != key:
            raise IntegrityError(f"{where}: key {key!r} is not {known!r}, but Go reads it so")
