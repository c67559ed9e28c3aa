"""An image as a source gives it: what the index will name, and where its bytes lie."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from bundler.archive import format as fmt
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError, SourceError
from bundler.sources.blobs import Extent

DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
CONFIG_TYPES = frozenset({fmt.OCI_CONFIG, DOCKER_CONFIG})
OCI_GZIP = f"{fmt.OCI_LAYER}+gzip"
LAYER_TYPES = frozenset(
    {
        fmt.OCI_LAYER,
        OCI_GZIP,
        f"{fmt.OCI_LAYER}+zstd",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    }
)


@dataclass(frozen=True)
class SourceImage:
    """An image, resolved.

    `descriptor` is that of its entry in the bundle's index; `platforms` the manifest of each
    platform, sorted; `metadata` every index, manifest and config by digest; `layers` each layer
    once, in the order of the walk.
    """

    descriptor: Descriptor
    platforms: tuple[tuple[str, Digest], ...]
    metadata: Mapping[Digest, bytes]
    layers: tuple[Descriptor, ...]
    extents: Mapping[Digest, Extent] = field(repr=False)

    def open(self, digest: Digest) -> BinaryIO:
        """The blob with this digest, which has to be one of the image's (KeyError).

        Reading fails: SourceError when the file changed since it was resolved, IntegrityError at
        the end when the bytes have another digest.
        """
        if digest in self.metadata:
            return io.BytesIO(self.metadata[digest])
        return self.extents[digest].open(digest)


@contextmanager
def refusing() -> Iterator[None]:
    """What the format's own parser refuses in an input is the input's fault, not the bundle's."""
    try:
        yield
    except IntegrityError as error:
        raise SourceError(error.message, error.hint) from error
