"""Where a bundle's blobs and manifests go: a registry, or an OCI layout on disk.

Names follow the OCI distribution specification 1.1 (github.com/opencontainers/distribution-spec).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import SourceError

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
# Registries refuse longer ones (distribution's RepositoryNameTotalLengthMax).
_MAX_REPOSITORY = 255


class TagKeptError(SourceError):
    """The destination has a tag already, and no tag there can be moved."""


class Destination(Protocol):
    """A place that takes blobs and manifests by repository and digest, each once.

    Every method raises a SourceError for a repository or tag that no registry would take, before
    a byte is sent, and for a destination that refuses or can't be reached.
    """

    @property
    def registry(self) -> str | None:
        """The ``[PROFILE:]HOST[/PREFIX]`` from which a cluster pulls what was put here, or None."""

    def check_writable(self, repository: str) -> None:
        """Return when `repository` would take something; nothing is kept there."""

    def certificate_ends(self) -> datetime | None:
        """When its certificate ends, once it has answered by TLS; None where there is none."""

    def has_blob(self, repository: str, blob: Descriptor) -> bool:
        """Whether `repository` holds `blob` already."""

    def mount_blob(self, repository: str, blob: Descriptor, source: str) -> bool:
        """Let `repository` share a blob of the repository `source`; False when it must be sent."""

    def put_blob(self, repository: str, blob: Descriptor, chunks: Iterable[bytes]) -> None:
        """Take `blob` from `chunks`; on return it is there, whole. Threads may do so side by side.

        Chunks that can be iterated over again let a transfer be tried again. IntegrityError when
        they are not the bytes that `blob` promises; the repository then has no such blob.
        """

    def has_manifest(self, repository: str, digest: Digest) -> bool:
        """Whether `repository` holds the manifest."""

    def tagged(self, repository: str, tag: str) -> Digest | None:
        """The manifest that `tag` points to, or None."""

    def put_manifest(
        self, repository: str, tag: str | None, manifest: Descriptor, data: bytes
    ) -> None:
        """Take a manifest by digest and, if given, point `tag` to it; its blobs come before it.

        TagKeptError where `tag` points elsewhere, and stays so.
        """

    def close(self) -> None:
        """Give connections back."""


def check_repository(repository: str) -> str:
    """`repository` itself; SourceError unless it is a path that registries take."""
    if not _REPOSITORY.fullmatch(repository) or len(repository) > _MAX_REPOSITORY:
        raise SourceError(
            f"repository {repository[:300]!r}: expected lower-case names of letters, digits "
            f"and . _ - between slashes, {_MAX_REPOSITORY} characters at most"
        )
    return repository


def check_tag(tag: str) -> str:
    """`tag` itself; SourceError unless it is one that registries take."""
    if not _TAG.fullmatch(tag):
        raise SourceError(
            f"tag {tag[:200]!r}: expected letters, digits and . _ -, 128 characters at most"
        )
    return tag
