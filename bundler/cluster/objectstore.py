"""Models of a bundle into the buckets that a target's pods fetch them from.

Keys hold the digest of the list of a model's files, so that what is there is never written over.
The list goes last: whoever finds it finds the files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from bundler.archive import format as fmt
from bundler.archive.bundle import AuthenticatedBundle
from bundler.archive.layers import Layer, model_layers
from bundler.archive.together import together
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError
from bundler.core.lock import LockedFile, dump_files, parse_contents
from bundler.core.objects.loaderpods import Fetched, fetched
from bundler.core.objects.manifests import JsonObject
from bundler.core.progress import Progress
from bundler.tools.s3 import PART, Bucket, find_keys


@dataclass(frozen=True)
class Uploaded:
    """What went into the bucket for one model; `objects` is 0 when all of it was there."""

    place: str
    objects: int
    size: int


def require_keys(objects: Sequence[JsonObject]) -> None:
    """UsageError when `upload` would have no keys, where it has something to do."""
    if fetched(objects):
        find_keys()


def upload(
    bundle: AuthenticatedBundle, objects: Sequence[JsonObject], progress: Progress
) -> tuple[Uploaded, ...]:
    """Bring every model that pods of the rendered `objects` fetch to where they fetch it.

    Nothing is done where none do. Keys are those of `tools.s3.find_keys`. IntegrityError for a
    model that the bundle lacks, and when the file changed; SourceError of the server.
    """
    models = parse_contents(bundle.layer("lock.json"), "lock.json").models
    done = []
    for each in fetched(objects):
        files = models.get(each.place.model, ())
        if Digest.of(dump_files(files)) != each.place.digest:
            raise IntegrityError(
                f"{each.place}: pods fetch another model than the bundle has",
                "get the bundle again from who built it",
            )
        bucket = Bucket(each.endpoint, each.region, each.place.bucket, find_keys())
        with closing(bucket):
            done.append(_upload(bundle, bucket, each, files, progress))
    return tuple(done)


def _upload(
    bundle: AuthenticatedBundle,
    bucket: Bucket,
    wanted: Fetched,
    files: Sequence[LockedFile],
    progress: Progress,
) -> Uploaded:
    place = wanted.place
    missing = {
        file.path: file
        for file in files
        if not bucket.holds(place.key(file.path), file.size, file.digest)
    }
    size = sum(file.size for file in missing.values())
    progress.phase("uploading", size)

    def send(item: tuple[Descriptor, Layer], progress: Progress) -> None:
        source = _Source(bundle, item[0], item[1], progress)
        for file in source.files(missing):
            chunks = source.content(file)
            if file.size <= PART:
                bucket.put(place.key(file.path), b"".join(chunks))
            else:
                bucket.put_parts(place.key(file.path), file.size, file.digest, chunks)

    layers = [
        (blob, layer)
        for blob, layer in _layers(bundle, place.model, files)
        if any(file.path in missing for file in layer.files)
    ]
    together(send, layers, progress)
    listing = dump_files(files)
    if not bucket.holds(place.listing, len(listing), place.digest):
        bucket.put(place.listing, listing)
    return Uploaded(str(place), len(missing), size)


def _layers(
    bundle: AuthenticatedBundle, model: str, files: Sequence[LockedFile]
) -> Iterable[tuple[Descriptor, Layer]]:
    """The layers of a model in the bundle, with what is in them."""
    entry = next(each for each in bundle.entries if each.name == f"models/{model}")
    blobs = [blob for blob in bundle.tree(entry).blobs if blob.media_type == fmt.OCI_LAYER]
    return zip(blobs, model_layers(files), strict=True)


class _Source:
    """A layer out of the bundle, read once from front to end, as the files that are in it."""

    def __init__(
        self, bundle: AuthenticatedBundle, blob: Descriptor, layer: Layer, progress: Progress
    ) -> None:
        self._chunks = iter(bundle.open(blob))
        self._layer = layer
        self._progress = progress
        self._held = memoryview(b"")
        self._at = 0

    def files(self, wanted: Mapping[str, LockedFile]) -> Iterator[LockedFile]:
        """Those of the layer's files that are `wanted`, each to be read before the next."""
        for file, placed in zip(self._layer.files, self._layer.placed, strict=True):
            if file.path in wanted:
                self._skip(placed.offset - self._at)
                yield file

    def content(self, file: LockedFile) -> Iterator[bytes]:
        """The bytes of `file`; IntegrityError at their end unless they have its digest.

        The last piece is held back until then, so that nobody takes the file for whole.
        """
        state, held = hashlib.sha256(), b""
        for piece in self._pieces(file.size):
            if held:
                yield held
            held = piece
            state.update(piece)
            self._progress.advance(len(piece))
        if state.hexdigest() != file.digest.hex:
            raise IntegrityError(
                f"{file.path}: expected {file.digest}, found sha256:{state.hexdigest()}",
                "the file was changed or damaged on its way; get it again",
            )
        yield held

    def _skip(self, size: int) -> None:
        for _ in self._pieces(size):
            pass

    def _pieces(self, size: int) -> Iterator[bytes]:
        while size:
            if not self._held:
                self._held = memoryview(next(self._chunks))
            piece = bytes(self._held[:size])
            self._held = self._held[len(piece) :]
            self._at += len(piece)
            size -= len(piece)
            yield piece
