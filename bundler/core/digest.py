"""Digests and descriptors: the only way in which the rooms speak of bytes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from bundler.core.errors import IntegrityError

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, order=True)
class Digest:
    """A sha256, which exists only once parsed; `str()` gives ``sha256:<64 hex digits>``."""

    hex: str

    @classmethod
    def parse(cls, text: str) -> Digest:
        """The digest written as ``sha256:<64 lower-case hex digits>``; IntegrityError otherwise."""
        if not _DIGEST.fullmatch(text):
            raise IntegrityError(f"digest {text[:80]!r}: expected sha256:<64 hex digits>")
        return cls(text[7:])

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """The digest of `data`."""
        return cls(hashlib.sha256(data).hexdigest())

    def __str__(self) -> str:
        return f"sha256:{self.hex}"


@dataclass(frozen=True)
class Descriptor:
    """What a blob is: media type, digest, and size in bytes."""

    media_type: str
    digest: Digest
    size: int

    @classmethod
    def of(cls, media_type: str, data: bytes) -> Descriptor:
        """The descriptor of `data`."""
        return cls(media_type, Digest.of(data), len(data))

    def to_json(self) -> dict[str, object]:
        """The three required members of an OCI descriptor."""
        return {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
