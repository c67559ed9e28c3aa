"""An image as a source gives it: what the index will name, and where its bytes lie."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from bundler.archive import format as fmt
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError, SourceError
from bundler.sources.remote import Remote

# The scheme of an image that airbundle itself derives: no spec names it as a source.
LOADER = "loader:"
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


class Place(Protocol):
    """Where a layer's bytes lie, or will."""

    def open(self, digest: Digest) -> BinaryIO:
        """The layer; IntegrityError at its end unless its bytes have `digest`."""


@dataclass(frozen=True)
class SourceImage:
    """An image, resolved.

    `resolved` is what its reference stands for upstream, `descriptor` that of its entry in the
    bundle's index: another one when of an index only some platforms travel. `platforms` has the
    manifest of each platform, sorted; `metadata` every index, manifest and config by digest;
    `layers` each layer once, in the order of the walk; `remotes` those that are not here yet.
    """

    resolved: Digest
    descriptor: Descriptor
    platforms: tuple[tuple[str, Digest], ...]
    metadata: Mapping[Digest, bytes]
    layers: tuple[Descriptor, ...]
    places: Mapping[Digest, Place] = field(repr=False)
    remotes: tuple[Remote, ...] = ()

    def open(self, digest: Digest) -> BinaryIO:
        """The blob with this digest, which has to be one of the image's (KeyError).

        SourceError while it is one of `remotes`, and when the file changed since it was resolved;
        IntegrityError at the end of the reading when the bytes have another digest.
        """
        if digest in self.metadata:
            return io.BytesIO(self.metadata[digest])
        return self.places[digest].open(digest)


@contextmanager
def refusing() -> Iterator[None]:
    """What the format's own parser refuses in an input is the input's fault, not the bundle's."""
    try:
        yield
    except IntegrityError as error:
        raise SourceError(error.message, error.hint) from error
