"""``docker://HOST/REPO[:TAG|@DIGEST]``: an image of a registry.

Its index, manifests and configs are kept in the store as they come, so that what a lock resolved
once is read again without the network; its layers stay where they are until somebody fetches them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import BinaryIO

from bundler.archive import format as fmt
from bundler.archive.store import Store
from bundler.core import strictjson
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import SourceError
from bundler.core.progress import Progress
from bundler.core.reference import ImageReference
from bundler.sources import image_index
from bundler.sources.blobs import extent_of
from bundler.sources.image_reader import SCHEMA_1
from bundler.sources.remote import Reach
from bundler.sources.source_image import SourceImage, refusing
from bundler.tools.registry import NoImageError, RegistrySource


def resolve(
    reference: ImageReference, reach: Reach, asked: tuple[str, ...], known: Digest | None
) -> SourceImage:
    """The image that `reference` names; see `images`.

    A digest, its own or the one that is `known` from a lock, is asked for instead of a tag.
    """
    wanted = reference.with_default_tag()
    connection = Connection(address(wanted.host, reach.mirrors))
    with connection, _pointing(wanted.host, reach.mirrors):
        blobs = _Registry(f"image {wanted}", wanted.repository, connection, reach.store)
        top = blobs.top(wanted.tag, wanted.digest or known)
        image = image_index.resolve(blobs, top, asked)
    layers = (blobs.layer(layer) for layer in image.layers)
    return replace(image, remotes=tuple(layer for layer in layers if not layer.is_here))


@contextmanager
def _pointing(host: str, mirrors: Mapping[str, str]) -> Iterator[None]:
    """To the mirror of `host`, if it has one, when an image is not there."""
    try:
        yield
    except NoImageError as error:
        hint = error.hint
        if host in mirrors:
            hint = (
                f"it was asked for there because of spec.registries.{host}.mirror; "
                "check its path, or push the image"
            )
        raise SourceError(error.message, hint) from error


def address(host: str, mirrors: Mapping[str, str]) -> str:
    """``HOST[:PORT][/PREFIX]`` to ask for the images of `host`; what has its login."""
    return mirrors.get(host) or host


@dataclass
class Connection:
    """A registry at ``HOST[:PORT][/PREFIX]``, connected while somebody is inside of `with`.

    It is made with the first question, and several threads share it.
    """

    address: str
    _users: int = 0
    _source: RegistrySource | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def source(self) -> RegistrySource:
        """The registry; UsageError when the address is none."""
        with self._lock:
            if self._source is None:
                self._source = RegistrySource(self.address)
            return self._source

    def __enter__(self) -> Connection:
        with self._lock:
            self._users += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._users -= 1
            last, self._source = self._source, None if not self._users else self._source
        if last is not None and self._source is None:
            last.close()


@dataclass(frozen=True)
class StoredLayer:
    """A layer that is in the store, or will be once it was fetched; `what` names it."""

    descriptor: Descriptor
    what: str
    repository: str
    connection: Connection
    store: Store

    @property
    def digest(self) -> Digest:
        """The digest that its bytes must have."""
        return self.descriptor.digest

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self.descriptor.size

    @property
    def is_here(self) -> bool:
        """Whether the store has it."""
        return self.store.has(self.digest, self.size)

    def fetch(self, store: Store, progress: Progress) -> None:
        """Gets it into `store`; SourceError, IntegrityError."""
        with self.connection:
            store.fetch(self.digest, self.size, self.what, self._read, progress)

    def open(self, digest: Digest) -> BinaryIO:
        """The layer out of the store; SourceError while it is not there."""
        return extent_of(self.store.location(digest), self.size).open(digest)

    def _read(self, offset: int) -> Iterator[bytes]:
        return self.connection.source.blob(self.repository, self.descriptor, offset)


@dataclass(frozen=True)
class _Registry:
    """The blobs of one repository; small ones are asked for once and then kept in `store`."""

    where: str
    repository: str
    connection: Connection
    store: Store

    def top(self, tag: str | None, digest: Digest | None) -> Descriptor:
        """What the image's own manifest or index is."""
        data = self.store.get(digest) if digest else None
        if data is None:
            asked = str(digest or tag)
            _, data = self.connection.source.manifest(self.repository, asked)
            self.store.put(data)
        return Descriptor.of(_media_type(data, self.where), data)

    def small(self, descriptor: Descriptor) -> bytes:
        data = self.store.get(descriptor.digest)
        if data is None:
            data = self._ask(descriptor)
            self.store.put(data)
        return data

    def layer(self, descriptor: Descriptor) -> StoredLayer:
        what = f"{self.where}: layer {descriptor.digest}"
        return StoredLayer(descriptor, what, self.repository, self.connection, self.store)

    def _ask(self, descriptor: Descriptor) -> bytes:
        source = self.connection.source
        if descriptor.media_type in fmt.INDEX_TYPES | fmt.MANIFEST_TYPES:
            return source.manifest(self.repository, str(descriptor.digest))[1]
        return b"".join(source.blob(self.repository, descriptor, 0))


def _media_type(data: bytes, where: str) -> str:
    """The type that a manifest states, or that follows from what is in it.

    Never the one that a registry states beside it: no digest covers that.
    """
    with refusing():
        value = strictjson.parse(data, where)
    if not isinstance(value, dict):
        raise SourceError(f"{where}: expected a manifest, found no JSON object")
    stated = value.get("mediaType")
    if isinstance(stated, str):
        return stated
    if value.get("schemaVersion") == 1:
        return SCHEMA_1
    return fmt.OCI_INDEX if "manifests" in value else fmt.OCI_MANIFEST
