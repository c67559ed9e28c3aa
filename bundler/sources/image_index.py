"""Which platforms of an image travel, and as what: its index, a derived one, or a manifest."""

from __future__ import annotations

from bundler.archive.walk import Node, Reference
from bundler.core import strictjson
from bundler.core.digest import Descriptor
from bundler.core.errors import SourceError
from bundler.sources.image_reader import Blobs, ImageReader
from bundler.sources.platforms import match
from bundler.sources.source_image import SourceImage


def resolve(blobs: Blobs, top: Descriptor, asked: tuple[str, ...]) -> SourceImage:
    """The image whose manifest or index is `top`, for every platform that was `asked` for."""
    reader = ImageReader(blobs)
    node = reader.node(top)
    if node.config is None:
        return _from_index(blobs, top, node, asked)
    platform = reader.image(top, node)
    matched = match(asked, [platform], reader.where(top))
    return reader.finish(top, top, dict.fromkeys(matched.values(), top.digest))


def _from_index(blobs: Blobs, top: Descriptor, node: Node, asked: tuple[str, ...]) -> SourceImage:
    reader = ImageReader(blobs)
    where = reader.where(top)
    children = [(reader.platform(child), child) for child in node.manifests]
    images = {platform: child for platform, child in children if not platform.is_attestation}
    if len(images) != sum(not platform.is_attestation for platform, _ in children):
        raise SourceError(f"{where}: an index with two images for one platform")
    matched = match(asked, images, where)
    whole = len(matched) == len(images)
    travelling = [item for item in children if whole or item[0] in matched]
    for platform, child in travelling:
        reader.child(platform, child)
    places = {text: images[platform].descriptor.digest for platform, text in matched.items()}
    if not whole and len(travelling) == 1:
        return reader.finish(top, travelling[0][1].descriptor, places)
    if whole:
        reader.fetch(top)
        return reader.finish(top, top, places)
    data = _derive(top.media_type, [child for _, child in travelling])
    derived = Descriptor.of(top.media_type, data)
    reader.metadata[derived.digest] = data
    return reader.finish(top, derived, places)


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
