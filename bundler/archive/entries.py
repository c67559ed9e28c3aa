"""What stands in a bundle's index, and whether it agrees with the lock.

The rules of docs/format.md, "The entries" to "The lock", over a finished walk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bundler.archive import format as fmt
from bundler.archive.layers import Layer, model_layers
from bundler.archive.walk import Node, Reference, Walk
from bundler.core import lock, strictjson
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError, TrustError
from bundler.core.release import Release, is_name

_ORDER = ("bundle", "image", "model", "modelpack", "files")
_PREFIXES = {"models/": "model", "modelpacks/": "modelpack", "files/": "files"}
_ARTIFACT_TYPES = {
    "bundle": fmt.BUNDLE,
    "image": None,
    "model": None,
    "modelpack": fmt.MODELPACK,
    "files": fmt.FILES,
}
_TITLES = {
    "lock.json": fmt.LOCK,
    "sources.tar": fmt.SOURCES,
    "report.json": fmt.REPORT,
    "bom.cdx.json": fmt.BOM,
}
_TITLE_PREFIXES = {"targets/": fmt.MANIFESTS, "model-signing/": fmt.STATEMENT}
_CONFIG_MEMBERS: Mapping[str, type] = {
    "formatVersion": int,
    "name": str,
    "version": str,
    "targets": list,
    "parameters": list,
    "imageMap": list,
    "tools": dict,
}


@dataclass(frozen=True)
class Entry:
    """One entry of the index: its name, its kind (see `_ORDER`) and its descriptor."""

    name: str
    kind: str
    descriptor: Descriptor

    @property
    def repository(self) -> str:
        """Its path in a registry: the name without the digest."""
        return self.name.partition("@")[0]

    @property
    def short(self) -> str:
        """The name within its kind: `zero-shot` for `models/zero-shot`."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True)
class Inventory:
    """The entries, the bundle's config and layers by title, and the layers of every model."""

    entries: tuple[Entry, ...]
    config: Mapping[str, Any]
    layers: Mapping[str, bytes]
    model_layers: tuple[tuple[Digest, Layer], ...]


def take_stock(walk: Walk) -> Inventory:
    """The inventory of `walk`; IntegrityError where entries, config and lock don't agree."""
    entries = tuple(_entry(reference) for reference in walk.entries)
    order = [(_ORDER.index(entry.kind), entry.name.encode()) for entry in entries]
    if [entry.kind for entry in entries[:1]] != ["bundle"]:
        raise IntegrityError("index.json: expected the entry 'bundle' first")
    if order != sorted(set(order)):
        raise IntegrityError("index.json: entries are out of order, or a name stands twice")
    config, layers = _bundle(walk, entries[0])
    _bounded(layers["lock.json"], fmt.MAX_LOCK, "lock.json")
    contents = lock.parse_contents(layers["lock.json"], "lock.json")
    return Inventory(entries, config, layers, _agree(walk, entries, contents))


def _entry(reference: Reference) -> Entry:
    name = reference.annotations.get(fmt.REF_NAME)
    if name is None:
        raise IntegrityError(f"index.json: an entry has no annotation {fmt.REF_NAME}")
    kind = next((kind for prefix, kind in _PREFIXES.items() if name.startswith(prefix)), "image")
    entry = Entry(name, "bundle" if name == "bundle" else kind, reference.descriptor)
    media_types = {fmt.OCI_MANIFEST} | ({fmt.OCI_INDEX} if entry.kind == "model" else set())
    if entry.kind == "image":
        _check_image(entry)
    elif entry.descriptor.media_type not in media_types:
        raise IntegrityError(f"{name}: unexpected media type {entry.descriptor.media_type[:100]!r}")
    elif entry.kind != "bundle" and not is_name(name.partition("/")[2]):
        raise IntegrityError(f"{name[:200]}: expected a DNS label after the slash")
    if reference.artifact_type != _ARTIFACT_TYPES[entry.kind]:
        expected = _ARTIFACT_TYPES[entry.kind] or "none"
        raise IntegrityError(
            f"{name}: expected artifactType {expected}, found {reference.artifact_type!r:.100}"
        )
    return entry


def _check_image(entry: Entry) -> None:
    path, _, digest = entry.name.rpartition("@")
    host, _, repository = path.partition("/")
    if digest != str(entry.descriptor.digest):
        raise IntegrityError(f"{entry.name[:200]}: expected its own digest after '@'")
    if not host or not repository or ":" in host:
        raise IntegrityError(f"{entry.name[:200]}: expected <host>/<repository>@<digest>")


def _bundle(walk: Walk, entry: Entry) -> tuple[dict[str, Any], dict[str, bytes]]:
    node = _artifact(walk, entry, fmt.BUNDLE, fmt.BUNDLE_CONFIG)
    assert node.config is not None  # a manifest has one, or it would not have been parsed
    data = walk.metadata[node.config.descriptor.digest]
    _bounded(data, fmt.MAX_CONFIG, "bundle config")
    config = strictjson.parse(data, "bundle config")
    if not isinstance(config, dict) or config.keys() != _CONFIG_MEMBERS.keys():
        raise IntegrityError(f"bundle config: expected exactly {', '.join(_CONFIG_MEMBERS)}")
    for key, kind in _CONFIG_MEMBERS.items():
        if not isinstance(config[key], kind) or isinstance(config[key], bool):
            raise IntegrityError(f"bundle config: {key}: expected {kind.__name__}")
    if config["formatVersion"] != fmt.FORMAT_VERSION:
        raise IntegrityError(f"bundle config: formatVersion {config['formatVersion']} is not known")
    try:
        Release(config["name"], config["version"], entry.descriptor.digest, 1)
    except TrustError as error:
        raise IntegrityError(f"bundle config: {error.message}") from error
    _all(config["targets"], str, "targets")
    _all(config["parameters"], dict, "parameters")
    _all(config["imageMap"], dict, "imageMap")
    _all(config["tools"].values(), str, "tools")
    return config, _titled(walk, node)


def _bounded(data: bytes, most: int, what: str) -> None:
    """Before it is parsed: values take many times the room of their text."""
    if len(data) > most:
        raise IntegrityError(f"{what}: expected at most {most:,} bytes, found {len(data):,}")


def _all(items: Any, kind: type, key: str) -> None:
    if not all(isinstance(item, kind) for item in items):
        raise IntegrityError(f"bundle config: {key}: expected only {kind.__name__}")


def _titled(walk: Walk, node: Node) -> dict[str, bytes]:
    layers: dict[str, bytes] = {}
    for layer in node.layers:
        title = layer.annotations.get(fmt.TITLE)
        if title is None or title in layers:
            raise IntegrityError(f"bundle: a layer's title is missing or stands twice: {title!r}")
        expected = _title_type(title)
        if expected not in (None, layer.descriptor.media_type):
            raise IntegrityError(f"bundle: {title[:200]}: expected the media type {expected}")
        layers[title] = walk.metadata[layer.descriptor.digest]
    if "lock.json" not in layers:
        raise IntegrityError("bundle: expected a layer lock.json, found none")
    return layers


def _title_type(title: str) -> str | None:
    if title.endswith(".json"):
        for prefix, media_type in _TITLE_PREFIXES.items():
            if title.startswith(prefix):
                return media_type
    return _TITLES.get(title)


def _artifact(walk: Walk, entry: Entry, artifact_type: str, config_type: str) -> Node:
    node = walk.nodes[entry.descriptor.digest]
    if node.artifact_type != artifact_type:
        raise IntegrityError(f"{entry.name}: expected artifactType {artifact_type} in its manifest")
    if node.config is None or node.config.descriptor.media_type != config_type:
        raise IntegrityError(f"{entry.name}: expected a config of type {config_type}")
    return node


def _agree(
    walk: Walk, entries: tuple[Entry, ...], contents: lock.Contents
) -> tuple[tuple[Digest, Layer], ...]:
    by_kind: dict[str, dict[str, Entry]] = {kind: {} for kind in _ORDER}
    for entry in entries:
        by_kind[entry.kind][entry.name if entry.kind == "image" else entry.short] = entry
    for kind, expected in (
        ("image", contents.images),
        ("model", contents.models),
        ("modelpack", contents.models),
        ("files", contents.files),
    ):
        if different := sorted(by_kind[kind].keys() ^ expected.keys()):
            raise IntegrityError(
                f"{kind} {different[0]!r}: in the lock or in the index, not in both"
            )
    for name, (digest, size) in contents.images.items():
        found = by_kind["image"][name].descriptor
        if (found.digest, found.size) != (digest, size):
            raise IntegrityError(f"{name}: the lock has another digest or size for it")
    for name, files in contents.files.items():
        _check_files(walk, by_kind["files"][name], files)
    # A digest that two models name stands twice: each has to agree with its own files.
    return tuple(
        found
        for name, files in contents.models.items()
        for found in _check_model(
            walk, by_kind["model"][name], by_kind["modelpack"][name], model_layers(files)
        )
    )


def _check_files(walk: Walk, entry: Entry, files: tuple[lock.LockedFile, ...]) -> None:
    node = _artifact(walk, entry, fmt.FILES, fmt.OCI_EMPTY)
    if node.config is None or node.config.descriptor.digest != Digest.of(fmt.EMPTY_JSON):
        raise IntegrityError(f"{entry.name}: expected the empty config")
    found = [(r.annotations.get(fmt.TITLE), r.descriptor) for r in node.layers]
    if found != [(f.path, Descriptor(fmt.FILE, f.digest, f.size)) for f in files]:
        raise IntegrityError(f"{entry.name}: its layers are not the files of the lock")


def _check_model(
    walk: Walk, model: Entry, pack: Entry, expected: tuple[Layer, ...]
) -> Iterator[tuple[Digest, Layer]]:
    packed = _artifact(walk, pack, fmt.MODELPACK, fmt.MODELPACK_CONFIG)
    pack_types = [fmt.MODELPACK_SMALL if la.small else fmt.MODELPACK_WEIGHT for la in expected]
    digests = _layer_digests(packed, pack_types, expected, pack.name)
    for node in _images(walk, model):
        if node.config is None or node.config.descriptor.media_type != fmt.OCI_CONFIG:
            raise IntegrityError(f"{model.name}: expected an image config of type {fmt.OCI_CONFIG}")
        image_types = [fmt.OCI_LAYER] * len(expected)
        if _layer_digests(node, image_types, expected, model.name) != digests:
            raise IntegrityError(f"{model.name}: its layers are not those of {pack.name}")
    return zip(digests, expected, strict=True)


def _images(walk: Walk, model: Entry) -> list[Node]:
    """The model's manifest, or those of its index, one for each platform."""
    top = walk.nodes[model.descriptor.digest]
    if model.descriptor.media_type == fmt.OCI_MANIFEST:
        return [top]
    for child in top.manifests:
        if child.descriptor.media_type != fmt.OCI_MANIFEST or child.platform is None:
            raise IntegrityError(f"{model.name}: expected OCI manifests with a platform")
    if not top.manifests:
        raise IntegrityError(f"{model.name}: expected at least one manifest, found none")
    return [walk.nodes[child.descriptor.digest] for child in top.manifests]


def _layer_digests(
    node: Node, media_types: list[str], expected: tuple[Layer, ...], name: str
) -> list[Digest]:
    found = [(r.descriptor.media_type, r.descriptor.size) for r in node.layers]
    wanted = [(kind, layer.size) for kind, layer in zip(media_types, expected, strict=True)]
    if found != wanted:
        raise IntegrityError(f"{name}: its layers are not those that follow from the lock")
    return [reference.descriptor.digest for reference in node.layers]
