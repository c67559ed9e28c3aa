"""A bundle read back out of its artifact in a registry: as sure of it as of the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bundler.archive.bundle import AuthenticatedBundle
from bundler.core.digest import Digest
from bundler.core.errors import IntegrityError, SourceError, TrustError
from bundler.sign.keys import Algorithm, PrivateKey
from bundler.sign.open import open_bundle, open_published
from bundler.sign.trust import Trust
from tests.making import KEY
from tests.releases import Release, config_map

WHERE = "registry.site/bundles/app@sha256:0"


@pytest.fixture(name="bundle")
def opened_bundle(tmp_path: Path) -> Iterator[AuthenticatedBundle]:
    with Release("app", [config_map("serving", "one")]).opened(tmp_path) as bundle:
        yield bundle


def published(
    bundle: AuthenticatedBundle,
    trust: Trust | None = None,
    *,
    envelope: bytes | None = None,
    unsigned: bool = False,
) -> AuthenticatedBundle:
    """`bundle` out of its parts, or with another `envelope`, or none."""
    signed = None if unsigned else envelope or bundle.envelope
    return open_published(bundle.index, bundle.metadata, signed, WHERE, trust)


def test_it_is_authenticated_as_a_file_is(bundle: AuthenticatedBundle) -> None:
    found = published(bundle, KEY.public)
    assert (found.status, found.signers, found.release) == (
        "TRUSTED",
        bundle.signers,
        bundle.release,
    )
    assert published(bundle).status == "UNTRUSTED"
    assert published(bundle, unsigned=True).status == "UNSIGNED"
    with pytest.raises(TrustError):
        published(bundle, PrivateKey.generate(Algorithm.P256).public)
    with pytest.raises(TrustError):
        published(bundle, KEY.public, unsigned=True)


def test_a_signature_over_another_index_is_refused(
    bundle: AuthenticatedBundle, tmp_path: Path
) -> None:
    path = Release("app", [config_map("serving", "two")]).write(tmp_path / "other.tar")
    with open_bundle(path, KEY.public) as other:
        for trust in (KEY.public, None):
            with pytest.raises(IntegrityError, match=r"index\.json has the digest .*, signed is"):
                published(bundle, trust, envelope=other.envelope)


@pytest.mark.parametrize("data", [None, b"", b"another"])
def test_metadata_that_is_missing_or_of_another_size_is_refused(
    bundle: AuthenticatedBundle, data: bytes | None
) -> None:
    for digest in bundle.metadata:
        blobs: dict[Digest, bytes] = dict(bundle.metadata)
        del blobs[digest]
        if data is not None:
            blobs[digest] = data
        with pytest.raises(IntegrityError, match=f"expected {digest}, found no such metadata"):
            open_published(bundle.index, blobs, bundle.envelope, WHERE, KEY.public)


def test_it_has_no_layers(bundle: AuthenticatedBundle) -> None:
    found = published(bundle)
    with pytest.raises(SourceError, match="its layers are no longer where they were pushed"):
        list(found.open(found.blobs[0]))
    with pytest.raises(SourceError):
        found.verify_blobs()
    with pytest.raises(SourceError):
        assert found.size
