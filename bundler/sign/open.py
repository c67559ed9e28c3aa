"""The one door to a bundle: authenticate, then interpret."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bundler.archive.bundle import AuthenticatedBundle
from bundler.archive.reader import Contents, read_contents, read_published, read_slot
from bundler.archive.source import BundleFile
from bundler.core.digest import Digest
from bundler.core.errors import IntegrityError
from bundler.core.release import Release, parse_statement
from bundler.sign import envelope as envelopes
from bundler.sign.envelope import Envelope
from bundler.sign.slot import read_sidecar, sidecar_path
from bundler.sign.trust import Trust, Verdict, authenticate, statement


def open_bundle(path: Path, trust: Trust | None) -> AuthenticatedBundle:
    """The bundle at `path`, authenticated as `trust` asks; None asks for integrity alone.

    TrustError for whoever signed it, or didn't; IntegrityError for bytes that are not the promised
    ones. Layers are not read yet: `AuthenticatedBundle.open` and `verify_blobs` do that.
    """
    source = BundleFile(path)
    try:
        return _open(source, trust)
    except BaseException:
        source.close()
        raise


def open_published(
    index: bytes,
    blobs: Mapping[Digest, bytes],
    envelope: bytes | None,
    where: str,
    trust: Trust | None,
) -> AuthenticatedBundle:
    """The bundle out of its artifact at `where` in a registry, without layers.

    `blobs` is its metadata, by digests that were compared. TrustError and IntegrityError as
    `open_bundle`; with None for `trust` whoever asks must know the index by its digest.
    """
    found = [] if envelope is None else [(where, envelopes.parse(envelope, where))]
    verdict = authenticate(found, trust, where) if trust is not None else None
    merged = envelopes.merge([each for _, each in found]) if found else None
    if verdict is not None:
        release: Release | None = verdict.release
    else:
        release = parse_statement(merged.payload) if merged else None
    if release is not None and Digest.of(index) != release.index:
        raise IntegrityError(
            f"{where}: index.json has the digest {Digest.of(index)}, signed is {release.index}"
        )
    contents = read_published(index, blobs)
    return _authenticated(None, contents, release, verdict, merged)


def _open(source: BundleFile, trust: Trust | None) -> AuthenticatedBundle:
    in_slot = envelopes.read_slot(read_slot(source), f"{source.path}: slot")
    beside = read_sidecar(source.path)
    found = [
        (where, envelope)
        for where, envelope in (
            (f"{source.path}: slot", in_slot),
            (str(sidecar_path(source.path)), beside),
        )
        if envelope is not None
    ]
    verdict = authenticate(found, trust, str(source.path)) if trust is not None else None
    if found:
        statement(found)
    merged = envelopes.merge([envelope for _, envelope in found]) if found else None
    if verdict is not None:
        release: Release | None = verdict.release
    else:
        release = parse_statement(merged.payload) if merged else None
    contents = _read(source, release, beside if in_slot is None else None)
    return _authenticated(source, contents, release, verdict, merged)


def _authenticated(
    source: BundleFile | None,
    contents: Contents,
    release: Release | None,
    verdict: Verdict | None,
    merged: Envelope | None,
) -> AuthenticatedBundle:
    return AuthenticatedBundle(
        source,
        contents,
        _stated(contents, release),
        "TRUSTED" if verdict else "UNTRUSTED" if merged else "UNSIGNED",
        merged.dump() if merged else None,
        verdict.signers if verdict else (),
        verdict.unknown if verdict else (),
        verdict.revoked if verdict else (),
    )


def _read(source: BundleFile, release: Release | None, beside: Envelope | None) -> Contents:
    """The contents; where only a sidecar says what they should be, it may be another file's."""
    try:
        return read_contents(source, release)
    except IntegrityError as error:
        if beside is None:
            raise
        sidecar = sidecar_path(source.path)
        raise IntegrityError(
            f"{source.path}: is damaged, or not what {sidecar} is about: {error.message}",
            f"remove {sidecar} if it belongs to another file; else get both again",
        ) from error


def _stated(contents: Contents, release: Release | None) -> Release:
    """The release, once the bundle's own config says the same."""
    config = contents.inventory.config
    name, version = config["name"], config["version"]
    if release is None:
        return Release(name, version, Digest.of(contents.index), len(contents.index))
    if (name, version) != (release.name, release.version):
        raise IntegrityError(
            f"the signed statement says {release.name} {release.version}, "
            f"the bundle's config says {name} {version}"
        )
    return release
