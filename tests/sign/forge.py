"""A release, its statement to be bent, and policies for the keys of a test."""

from __future__ import annotations

import json
from typing import Any

from bundler.core import strictjson
from bundler.core.digest import Digest
from bundler.core.documents.trust import TrustKey, TrustPolicy, TrustRule
from bundler.core.release import Release
from bundler.sign.keys import PrivateKey

RELEASE = Release("movie-search", "1.4.0", Digest.of(b"an index"), 8)


def statement() -> dict[str, Any]:
    """RELEASE's statement as plain data, to be bent."""
    data: dict[str, Any] = json.loads(RELEASE.statement())
    return data


def encode(data: object) -> bytes:
    return strictjson.canonical(data)


def policy(
    threshold: int,
    *keys: PrivateKey,
    names: tuple[str, ...] = ("movie-*",),
    min_version: str | None = None,
    revoked: tuple[PrivateKey, ...] = (),
) -> TrustPolicy:
    """One rule with `keys`, called key-0, key-1 …"""
    listed = tuple(
        TrustKey(id=f"key-{number}", pem=key.public.pem().decode())
        for number, key in enumerate(keys)
    )
    rule = TrustRule(names=names, threshold=threshold, min_version=min_version, keys=listed)
    return TrustPolicy(rules=(rule,), revoked=frozenset(key.public.fingerprint for key in revoked))
