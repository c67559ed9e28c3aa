"""An authenticated bundle: the only thing that the rest of airbundle reads a bundle through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING

from bundler.archive.entries import Entry
from bundler.archive.reader import Contents, check_blob, read_blob
from bundler.archive.source import BundleFile
from bundler.archive.together import together
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError, SourceError
from bundler.core.progress import SILENT, Progress
from bundler.core.release import Release

if TYPE_CHECKING:
    from bundler.core.config import BundleConfig


@dataclass(frozen=True)
class Tree:
    """What one entry consists of: indexes and manifests, children first; configs and layers."""

    manifests: tuple[Descriptor, ...]
    blobs: tuple[Descriptor, ...]


class AuthenticatedBundle:
    """A bundle whose signature, index, manifests, configs, lock and framing were checked.

    Made by `bundler.sign.open.open_bundle` alone. `status` is ``TRUSTED`` (signed as the policy
    or key wants it), ``UNTRUSTED`` (signed, but nobody asked by whom) or ``UNSIGNED``; `signers`
    counted for that, `unknown` and `revoked` keys did not. Layers come out through `open` only,
    which fails at the end when their bytes are not the promised ones. One that was read back from
    a registry has no `source`, and no layers.
    """

    def __init__(
        self,
        source: BundleFile | None,
        contents: Contents,
        release: Release,
        status: str,
        envelope: bytes | None,
        signers: Sequence[str] = (),
        unknown: Sequence[str] = (),
        revoked: Sequence[str] = (),
    ) -> None:
        self._source = source
        self._contents = contents
        self.release = release
        self.status = status
        self.envelope = envelope
        self.signers = tuple(signers)
        self.unknown = tuple(unknown)
        self.revoked = tuple(revoked)
        self.index = contents.index
        self.entries: tuple[Entry, ...] = contents.inventory.entries
        self.metadata: Mapping[Digest, bytes] = contents.walk.metadata

    @cached_property
    def config(self) -> BundleConfig:
        """Targets, parameters and image map; IntegrityError when they are none."""
        # It stands on the documents' room and PyYAML, of which `verify` needs nothing.
        from bundler.core.config import BundleConfig

        return BundleConfig.parse(self._contents.inventory.config)

    @property
    def size(self) -> int:
        """The file's size in bytes."""
        return self._file.size

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Every blob that is not metadata, in the order of the file."""
        return tuple(self._contents.walk.blobs.values())

    def layer(self, title: str) -> bytes:
        """A layer of the bundle's own manifest, by its title; IntegrityError when there is none."""
        layers = self._contents.inventory.layers
        if title not in layers:
            raise IntegrityError(f"bundle: expected a layer {title!r}, found {', '.join(layers)}")
        return layers[title]

    def tree(self, entry: Entry) -> Tree:
        """Everything that `entry` reaches, each digest once."""
        manifests: dict[Digest, Descriptor] = {}
        blobs: dict[Digest, Descriptor] = {}
        self._collect(entry.descriptor, manifests, blobs)
        return Tree(tuple(manifests.values()), tuple(blobs.values()))

    def _collect(
        self,
        descriptor: Descriptor,
        manifests: dict[Digest, Descriptor],
        blobs: dict[Digest, Descriptor],
    ) -> None:
        if descriptor.digest in manifests:
            return
        node = self._contents.walk.nodes[descriptor.digest]
        for child in node.manifests:
            self._collect(child.descriptor, manifests, blobs)
        for leaf in (*((node.config,) if node.config else ()), *node.layers):
            blobs.setdefault(leaf.descriptor.digest, leaf.descriptor)
        manifests[descriptor.digest] = descriptor

    def open(self, descriptor: Descriptor) -> Iterator[bytes]:
        """The bytes of a blob, in pieces of at most 1 MiB; IntegrityError at the end."""
        known = self.metadata.get(descriptor.digest)
        return iter([known]) if known is not None else self._read(descriptor)

    def _read(self, descriptor: Descriptor) -> Iterator[bytes]:
        return read_blob(self._file, self._contents, descriptor)

    def verify_blobs(self, progress: Progress = SILENT) -> None:
        """Read every layer to its end, several at a time, the largest first; IntegrityError."""
        progress.phase("reading layers", sum(blob.size for blob in self.blobs))

        def check(blob: Descriptor, progress: Progress) -> None:
            check_blob(self._file, self._contents, blob, progress)

        together(check, sorted(self.blobs, key=lambda blob: -blob.size), progress)

    @property
    def _file(self) -> BundleFile:
        if self._source is None:
            raise SourceError(
                f"{self.release.name} {self.release.version}: its layers are no longer where they "
                "were pushed to",
                "push or install the bundle's file again",
            )
        return self._source

    def close(self) -> None:
        """Give the file back."""
        if self._source is not None:
            self._source.close()

    def __enter__(self) -> AuthenticatedBundle:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
