"""`airbundle verify`: who signed a bundle, and whether every byte of it is as promised."""

from __future__ import annotations

from dataclasses import dataclass

from bundler.archive.bundle import AuthenticatedBundle
from bundler.core.digest import Digest
from bundler.core.progress import Progress


@dataclass(frozen=True)
class Verified:
    """A bundle of which every byte was read; sizes in bytes.

    `status` is TRUSTED, UNTRUSTED or UNSIGNED; `signers` are the keys that counted.
    """

    status: str
    name: str
    version: str
    index: Digest
    signers: tuple[str, ...]
    unknown: tuple[str, ...]
    revoked: tuple[str, ...]
    entries: int
    blobs: int
    size: int


def verify(bundle: AuthenticatedBundle, progress: Progress) -> Verified:
    """Read all layers of `bundle`, of which the rest is authenticated; IntegrityError."""
    bundle.verify_blobs(progress)
    return Verified(
        bundle.status,
        bundle.release.name,
        bundle.release.version,
        bundle.release.index,
        bundle.signers,
        bundle.unknown,
        bundle.revoked,
        len(bundle.entries),
        len(bundle.metadata) + len(bundle.blobs),
        bundle.size,
    )
