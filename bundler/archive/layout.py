"""An OCI image layout on disk as a destination, as skopeo, Zarf and crane read it.

https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md. Every file is written
beside its place, synced and renamed; `index.json` comes last. What is cut off leaves a layout
that is valid and lacks only what was not finished.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bundler.archive.format import INDEX_NAME, LAYOUT, LAYOUT_NAME, OCI_INDEX, REF_NAME
from bundler.archive.newfile import sync_folder
from bundler.core import strictjson
from bundler.core.destination import check_repository, check_tag
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError, SourceError


class LayoutDestination:
    """The layout in `folder`, which is made with the first blob.

    All repositories share its blobs. Of each tagged manifest `index.json` has two entries, named
    ``repository:tag`` and, as manifests name it, ``repository@digest``.
    """

    registry: str | None = None

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._blobs = folder / "blobs" / "sha256"
        self._believed: set[Digest] = set()
        self._preparing = threading.Lock()
        if folder.exists():
            self._check_folder()

    def check_writable(self, repository: str) -> None:
        """Whether this user may write to the folder, or to the first that is there above it."""
        check_repository(repository)
        place = self._blobs.absolute()
        there = next(each for each in (place, *place.parents) if each.exists())
        if not os.access(there, os.W_OK | os.X_OK):
            raise SourceError(f"{there}: expected a folder that may be written")

    def certificate_ends(self) -> None:
        """A folder has no certificate."""

    def has_blob(self, repository: str, blob: Descriptor) -> bool:
        """Whether the file is there; IntegrityError when it has another size or other bytes."""
        check_repository(repository)
        try:
            size = self._place(blob.digest).stat().st_size
        except FileNotFoundError:
            return False
        if size != blob.size:
            raise IntegrityError(
                f"{self._place(blob.digest)}: expected {blob.size} bytes, found {size}",
                "this layout was damaged; remove that file and push again",
            )
        self._believe(blob.digest)
        return True

    def mount_blob(self, repository: str, blob: Descriptor, source: str) -> bool:
        """Whether the blob is there: one place serves all repositories."""
        check_repository(source)
        return self.has_blob(repository, blob)

    def put_blob(self, repository: str, blob: Descriptor, chunks: Iterable[bytes]) -> None:
        """Write the file beside its place, hashing; compare, sync, rename."""
        check_repository(repository)
        partial = self._blobs / f".{blob.digest.hex}.partial"
        with _writing(self._folder):
            with self._preparing:
                self._prepare()
            try:
                _copy(partial, blob, chunks)
                partial.rename(self._place(blob.digest))
                self._believed.add(blob.digest)
            finally:
                partial.unlink(missing_ok=True)
            sync_folder(self._blobs)

    def has_manifest(self, repository: str, digest: Digest) -> bool:
        """Whether its file is there; IntegrityError when it holds other bytes."""
        check_repository(repository)
        if not self._place(digest).is_file():
            return False
        self._believe(digest)
        return True

    def tagged(self, repository: str, tag: str) -> Digest | None:
        """What the entry ``repository:tag`` of `index.json` points to, if that is there."""
        name = f"{check_repository(repository)}:{check_tag(tag)}"
        for entry in self._entries():
            if _name(entry) == name:
                digest = Digest.parse(entry["digest"])
                return digest if self.has_manifest(repository, digest) else None
        return None

    def put_manifest(
        self, repository: str, tag: str | None, manifest: Descriptor, data: bytes
    ) -> None:
        """Write the manifest as a blob, then name it in `index.json`."""
        if not self.has_blob(repository, manifest):
            self.put_blob(repository, manifest, (data,))
        if tag is None:
            return
        names = {f"{repository}:{check_tag(tag)}", f"{repository}@{manifest.digest}"}
        kept = [entry for entry in self._entries() if _name(entry) not in names]
        entries = kept + [_entry(manifest, data, name) for name in names]
        self._write_index(sorted(entries, key=lambda entry: (_name(entry), entry["digest"])))

    def close(self) -> None:
        """Nothing is kept open."""

    def _believe(self, digest: Digest) -> None:
        """IntegrityError unless the file is what its name says; each is read once a run."""
        if digest in self._believed:
            return
        with self._place(digest).open("rb") as file:
            found = Digest(hashlib.file_digest(file, "sha256").hexdigest())
        if found != digest:
            raise IntegrityError(
                f"{self._place(digest)}: expected {digest}, found {found}",
                "this layout was damaged; remove that file and push again",
            )
        self._believed.add(digest)

    def _place(self, digest: Digest) -> Path:
        return self._blobs / digest.hex

    def _entries(self) -> list[dict[str, Any]]:
        path = self._folder / INDEX_NAME
        if not path.exists():
            return []
        index = strictjson.parse(path.read_bytes(), str(path))
        entries = index.get("manifests") if isinstance(index, dict) else None
        if not isinstance(entries, list) or not all(map(_is_entry, entries)):
            raise SourceError(f"{path}: expected an OCI index with descriptors in `manifests`")
        return entries

    def _write_index(self, entries: list[dict[str, Any]]) -> None:
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
        data = strictjson.canonical(index)
        place = self._folder / INDEX_NAME
        if not place.exists() or place.read_bytes() != data:
            with _writing(self._folder):
                _replace(place, data)

    def _prepare(self) -> None:
        if not self._blobs.is_dir():
            self._blobs.mkdir(parents=True, exist_ok=True)
        if not (self._folder / LAYOUT_NAME).exists():
            _replace(self._folder / LAYOUT_NAME, LAYOUT)

    def _check_folder(self) -> None:
        marker = self._folder / LAYOUT_NAME
        if not self._folder.is_dir():
            raise SourceError(f"{self._folder}: expected a folder, or nothing")
        # A push that was cut off at its very beginning leaves no more than these.
        begun = {"blobs", f".{LAYOUT_NAME}.partial"}
        if not marker.exists() and {child.name for child in self._folder.iterdir()} - begun:
            raise SourceError(
                f"{self._folder}: is neither empty nor an OCI image layout",
                "name a folder that is empty or does not exist",
            )
        if marker.exists():
            version = strictjson.parse(marker.read_bytes(), str(marker))
            if not isinstance(version, dict) or version.get("imageLayoutVersion") != "1.0.0":
                raise SourceError(f"{marker}: expected imageLayoutVersion 1.0.0")


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SourceError(
            f"{error.filename or folder}: can't be written: {error.strerror}"
        ) from error


def _copy(path: Path, blob: Descriptor, chunks: Iterable[bytes]) -> None:
    size = 0
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        file.flush()
        os.fsync(file.fileno())
    found = Digest(digest.hexdigest())
    if (found, size) != (blob.digest, blob.size):
        raise IntegrityError(
            f"blob: expected {blob.digest} of {blob.size} bytes, found {found} of {size} bytes"
        )


def _replace(place: Path, data: bytes) -> None:
    partial = place.with_name(f".{place.name}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(place)
    sync_folder(place.parent)


def _entry(manifest: Descriptor, data: bytes, name: str) -> dict[str, Any]:
    entry: dict[str, Any] = manifest.to_json() | {"annotations": {REF_NAME: name}}
    content = strictjson.parse(data, f"manifest {manifest.digest}")
    if isinstance(content, dict) and "artifactType" in content:
        entry["artifactType"] = content["artifactType"]
    return entry


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("digest"), str):
        return False
    annotations = entry.get("annotations", {})
    return isinstance(annotations, dict) and isinstance(annotations.get(REF_NAME, ""), str)


def _name(entry: dict[str, Any]) -> str:
    name: str = entry.get("annotations", {}).get(REF_NAME, "")
    return name
