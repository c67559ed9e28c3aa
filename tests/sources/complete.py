"""What every image has to keep, wherever it came from."""

from __future__ import annotations

from bundler.archive.walk import parse_node
from bundler.core.digest import Digest
from bundler.sources.source_image import SourceImage


def check_complete(image: SourceImage) -> None:
    """Everything that the entry reaches is there, nothing else is, and it reads as promised."""
    reached: set[Digest] = set()
    layers: set[Digest] = set()
    pending = [image.descriptor]
    while pending:
        descriptor = pending.pop()
        reached.add(descriptor.digest)
        assert descriptor.size == len(image.metadata[descriptor.digest])
        node = parse_node(image.metadata[descriptor.digest], descriptor.media_type, "test")
        pending += [child.descriptor for child in node.manifests]
        reached |= {node.config.descriptor.digest} if node.config else set()
        layers |= {layer.descriptor.digest for layer in node.layers}
    assert reached == set(image.metadata)
    assert layers == {layer.digest for layer in image.layers}
    for digest in reached | layers:
        with image.open(digest) as stream:
            assert Digest.of(stream.read()) == digest
