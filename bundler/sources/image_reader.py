"""Manifests, configs and layers of an image, each checked as it is met, wherever they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from bundler.archive import format as fmt
from bundler.archive.walk import Node, Reference, parse_node
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError, SourceError
from bundler.sources.platforms import Platform, parse_config
from bundler.sources.source_image import CONFIG_TYPES, LAYER_TYPES, Place, SourceImage, refusing

SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+json"

# How buildkit attaches statements to an image: as a manifest of the platform unknown/unknown.
_ATTESTATION = "application/vnd.docker.attestation.manifest.v1+json"
_STATEMENT = "application/vnd.in-toto+json"
_SCHEMA_1 = SCHEMA_1.removesuffix("json")


class Blobs(Protocol):
    """Where the blobs of an image are; `where` begins every message about them."""

    @property
    def where(self) -> str:
        """A folder, or the image's name."""

    def small(self, descriptor: Descriptor) -> bytes:
        """A manifest or config, of at most 4 MiB; whoever gets it compares. SourceError."""

    def layer(self, descriptor: Descriptor) -> Place:
        """Where a layer is; SourceError when it is not there, or of another size."""


@dataclass
class ImageReader:
    """An image of `blobs`, and what was read of it that will travel."""

    blobs: Blobs
    metadata: dict[Digest, bytes] = field(default_factory=dict)
    places: dict[Digest, Place] = field(default_factory=dict)
    layers: dict[Digest, Descriptor] = field(default_factory=dict)

    def where(self, descriptor: Descriptor) -> str:
        """How an error begins that is about this blob."""
        return f"{self.blobs.where}: {descriptor.digest}"

    def fetch(self, descriptor: Descriptor) -> bytes:
        """A manifest or config, of the size and digest that its descriptor has."""
        if descriptor.digest in self.metadata:
            return self.metadata[descriptor.digest]
        if not 1 <= descriptor.size <= fmt.MAX_MANIFEST:
            raise SourceError(
                f"{self.where(descriptor)}: expected 1 to {fmt.MAX_MANIFEST} bytes, its "
                f"descriptor says {descriptor.size}"
            )
        data = self.blobs.small(descriptor)
        if Descriptor.of(descriptor.media_type, data) != descriptor:
            found = Descriptor.of("", data)
            raise IntegrityError(
                f"{self.blobs.where}: expected {descriptor.digest} of {descriptor.size} bytes, "
                f"found {found.digest} of {found.size}"
            )
        self.metadata[descriptor.digest] = data
        return data

    def node(self, descriptor: Descriptor) -> Node:
        """The index or manifest with this descriptor, under the rules of the format."""
        media_type = descriptor.media_type
        where = self.where(descriptor)
        if media_type not in fmt.INDEX_TYPES | fmt.MANIFEST_TYPES:
            old = media_type.startswith(_SCHEMA_1)
            raise SourceError(
                f"{where}: expected an image's manifest or index, found {media_type!r:.120}",
                "schema 1 is not read: push the image anew with a current client" if old else None,
            )
        data = self.fetch(descriptor)
        with refusing():
            return parse_node(data, media_type, where)

    def platform(self, child: Reference) -> Platform:
        """What the index says of its child; where it says nothing, what the config says."""
        where = self.where(child.descriptor)
        if child.descriptor.media_type in fmt.INDEX_TYPES:
            raise SourceError(f"{where}: an index inside of an image's index")
        if child.platform is not None:
            return Platform.of(child.platform, where)
        aside = ImageReader(self.blobs)
        return aside.image(child.descriptor, aside.node(child.descriptor))

    def child(self, platform: Platform, child: Reference) -> None:
        """A manifest of an index that travels: all it names, for the platform that was said."""
        node = self.node(child.descriptor)
        if platform.is_attestation:
            self.attestation(child.descriptor, node)
            return
        found = self.image(child.descriptor, node)
        if (found.os, found.architecture) != (platform.os, platform.architecture):
            raise SourceError(
                f"{self.where(child.descriptor)}: its index says {platform}, its config {found}"
            )

    def image(self, descriptor: Descriptor, node: Node) -> Platform:
        """Config and layers of an image's manifest; the platform is that of the config."""
        where = self.where(descriptor)
        if node.artifact_type is not None:
            raise SourceError(f"{where}: expected an image, found artifact {node.artifact_type!r}")
        config = self.leaves(node, CONFIG_TYPES, LAYER_TYPES, where)
        return Platform.of(parse_config(config, f"{where}: config"), f"{where}: config")

    def attestation(self, descriptor: Descriptor, node: Node) -> None:
        """Config and layers of what buildkit wrote about an image."""
        where = self.where(descriptor)
        if node.artifact_type not in (None, _ATTESTATION):
            raise SourceError(f"{where}: expected an attestation, found {node.artifact_type!r}")
        self.leaves(node, CONFIG_TYPES | {fmt.OCI_EMPTY}, LAYER_TYPES | {_STATEMENT}, where)

    def leaves(
        self, node: Node, configs: frozenset[str], layers: frozenset[str], where: str
    ) -> bytes:
        """The bytes of the config; all layers are noted, as far as they are here, checked."""
        assert node.config is not None, (
            "an index is refused by platform() and never given to image()"
        )
        named = [(node.config, configs), *((layer, layers) for layer in node.layers)]
        for leaf, allowed in named:
            if leaf.descriptor.media_type not in allowed:
                raise SourceError(
                    f"{where}: {leaf.descriptor.digest} has the media type "
                    f"{leaf.descriptor.media_type!r:.120}, which is not read"
                )
        for layer in node.layers:
            self.places[layer.descriptor.digest] = self.blobs.layer(layer.descriptor)
            self.layers.setdefault(layer.descriptor.digest, layer.descriptor)
        return self.fetch(node.config.descriptor)

    def finish(
        self, resolved: Descriptor, descriptor: Descriptor, platforms: dict[str, Digest]
    ) -> SourceImage:
        """The image of all that was read; `platforms` has the manifest of each platform."""
        return SourceImage(
            resolved.digest,
            descriptor,
            tuple(sorted(platforms.items())),
            self.metadata,
            tuple(self.layers.values()),
            self.places,
        )
