"""``oci:DIR[:REF]``: an image of an OCI image layout on disk.

https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
"""

from __future__ import annotations

from pathlib import Path

from bundler.archive import format as fmt
from bundler.archive.walk import Node, Reference, parse_node
from bundler.core import strictjson
from bundler.core.digest import Descriptor
from bundler.core.errors import SourceError
from bundler.sources.layout_reader import LayoutReader
from bundler.sources.platforms import match
from bundler.sources.source_image import SourceImage, refusing
from bundler.sources.steady import read_steady
from bundler.sources.tree import below

LAYOUT_VERSION = "1.0.0"


def resolve(folder: Path, ref: str | None, asked: tuple[str, ...]) -> SourceImage:
    """The image that `ref` names in the layout at `folder`, or the only one; see `images`."""
    _check_version(folder)
    with refusing():
        data = read_steady(folder / fmt.INDEX_NAME, fmt.MAX_INDEX)
        index = parse_node(data, fmt.OCI_INDEX, f"{folder / fmt.INDEX_NAME}")
    top = _choose(index, ref, folder).descriptor
    layout = LayoutReader(folder)
    node = layout.node(top)
    if node.config is None:
        return _from_index(folder, top, node, asked)
    platform = layout.image(top, node)
    matched = match(asked, [platform], f"{folder}: {top.digest}")
    return layout.finish(top, dict.fromkeys(matched.values(), top.digest))


def _check_version(folder: Path) -> None:
    name = folder / fmt.LAYOUT_NAME
    if not folder.is_dir():
        raise SourceError(f"{folder}: expected the folder of an OCI layout, found none")
    below(folder.parent, f"{folder.name}/blobs/sha256/of")
    with refusing():
        value = strictjson.parse(read_steady(name, fmt.SLOT_SIZE), str(name))
    version = value.get("imageLayoutVersion") if isinstance(value, dict) else None
    if version != LAYOUT_VERSION:
        raise SourceError(f"{name}: expected version {LAYOUT_VERSION!r}, found {version!r:.40}")


def _choose(index: Node, ref: str | None, folder: Path) -> Reference:
    fits = [
        entry
        for entry in index.manifests
        if ref is None or entry.annotations.get(fmt.REF_NAME) == ref
    ]
    if len(fits) == 1:
        return fits[0]
    names = [entry.annotations.get(fmt.REF_NAME, "(unnamed)") for entry in index.manifests]
    wanted = "one image" if ref is None else f"one image {ref!r}"
    raise SourceError(
        f"{folder}: expected {wanted}, found {len(fits)}; there is {', '.join(names) or 'none'}",
        "say which one: oci:DIR:REF" if ref is None else None,
    )


def _from_index(
    folder: Path, descriptor: Descriptor, node: Node, asked: tuple[str, ...]
) -> SourceImage:
    where = f"{folder}: {descriptor.digest}"
    layout = LayoutReader(folder)
    children = [(layout.platform(child), child) for child in node.manifests]
    images = {platform: child for platform, child in children if not platform.is_attestation}
    if len(images) != sum(not platform.is_attestation for platform, _ in children):
        raise SourceError(f"{where}: an index with two images for one platform")
    matched = match(asked, images, where)
    whole = len(matched) == len(images)
    travelling = [item for item in children if whole or item[0] in matched]
    for platform, child in travelling:
        layout.child(platform, child)
    places = {text: images[platform].descriptor.digest for platform, text in matched.items()}
    if not whole and len(travelling) == 1:
        return layout.finish(travelling[0][1].descriptor, places)
    if whole:
        layout.fetch(descriptor)
        return layout.finish(descriptor, places)
    data = _derive(descriptor.media_type, [child for _, child in travelling])
    derived = Descriptor.of(descriptor.media_type, data)
    layout.metadata[derived.digest] = data
    return layout.finish(derived, places)


def _derive(media_type: str, chosen: list[Reference]) -> bytes:
    """An index of these descriptors alone, as they stand upstream, in canonical JSON."""
    manifests = []
    for child in chosen:
        value = child.descriptor.to_json()
        if child.annotations:
            value["annotations"] = dict(child.annotations)
        if child.platform is not None:
            value["platform"] = dict(child.platform)
        manifests.append(value)
    return strictjson.canonical(
        {"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}
    )
