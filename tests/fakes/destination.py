"""A destination in memory, which remembers what was asked of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from bundler.core.destination import check_repository, check_tag
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError, SourceError


@dataclass
class MemoryDestination:
    """Repositories as dictionaries; `calls` lists what changed something, in order."""

    registry: str | None = "registry.example:5000"
    shares: bool = True
    blobs: dict[tuple[str, Digest], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, Digest], tuple[Descriptor, bytes]] = field(default_factory=dict)
    tags: dict[tuple[str, str], Digest] = field(default_factory=dict)
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    ends: datetime | None = None

    def check_writable(self, repository: str) -> None:
        check_repository(repository)

    def certificate_ends(self) -> datetime | None:
        return self.ends

    def has_blob(self, repository: str, blob: Descriptor) -> bool:
        return (check_repository(repository), blob.digest) in self.blobs

    def mount_blob(self, repository: str, blob: Descriptor, source: str) -> bool:
        found = self.blobs.get((check_repository(source), blob.digest))
        if not self.shares or found is None:
            return False
        self.calls.append(("mount", check_repository(repository), str(blob.digest)))
        self.blobs[repository, blob.digest] = found
        return True

    def put_blob(self, repository: str, blob: Descriptor, chunks: Iterable[bytes]) -> None:
        check_repository(repository)
        data = b"".join(chunks)
        if (Digest.of(data), len(data)) != (blob.digest, blob.size):
            raise IntegrityError(f"blob {blob.digest}: other bytes")
        self.calls.append(("blob", repository, str(blob.digest)))
        self.blobs[repository, blob.digest] = data

    def has_manifest(self, repository: str, digest: Digest) -> bool:
        return (check_repository(repository), digest) in self.manifests

    def tagged(self, repository: str, tag: str) -> Digest | None:
        return self.tags.get((check_repository(repository), check_tag(tag)))

    def put_manifest(
        self, repository: str, tag: str | None, manifest: Descriptor, data: bytes
    ) -> None:
        if Digest.of(data) != manifest.digest:
            raise SourceError(f"manifest {manifest.digest}: other bytes")
        self.calls.append(("manifest", check_repository(repository), tag or str(manifest.digest)))
        self.manifests[repository, manifest.digest] = (manifest, data)
        if tag is not None:
            self.tags[repository, check_tag(tag)] = manifest.digest

    def close(self) -> None:
        self.calls.append(("close", "", ""))
