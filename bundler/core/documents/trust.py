"""The document TrustPolicy: whose signatures an operator accepts, and for which bundles.

It belongs to whoever installs, never to a bundle. Keys are only text here; `bundler.sign` parses
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, ClassVar

from bundler.core.documents.checks import (
    LINE,
    SEMVER,
    Check,
    Problem,
    at_least,
    matches,
    unique,
)
from bundler.core.documents.members import About
from bundler.core.documents.structure import parse_document

_GLOB = matches(r"[a-z0-9*?\[\]!-]+", "a bundle's name, or a pattern such as movie-*", 80)
_SPKI = matches(r"sha256:[0-9a-f]{64}", "sha256:<64 hex digits>, of a key's SubjectPublicKeyInfo")


def _public_key(value: str) -> Iterator[Problem]:
    if "PRIVATE KEY" in value:
        hint = "put the public key here; whoever reads this policy may know the private one now"
        yield Problem((), "holds a private key", hint)
        return
    lines = value.strip().splitlines()
    begin, end = "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"
    if len(lines) < 3 or (lines[0], lines[-1]) != (begin, end) or value.count("-----") != 4:
        yield Problem((), f"expected one public key in PEM, {begin} …")


_PEM = Check(
    _public_key,
    {"pattern": r"^\s*-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----\s*$"},
)


@dataclass(frozen=True)
class TrustKey:
    """A public key (PEM, SubjectPublicKeyInfo) under the name that `verify` prints."""

    id: Annotated[str, LINE, About("What the key is called in messages.")]
    pem: Annotated[str, _PEM, About("-----BEGIN PUBLIC KEY----- …")]


@dataclass(frozen=True)
class TrustRule:
    """Bundles by name, and how many of which keys must have signed them."""

    names: Annotated[
        tuple[Annotated[str, _GLOB], ...], at_least(1), unique(), About("Patterns of names.")
    ]
    threshold: Annotated[int, at_least(1), About("How many different keys must have signed.")]
    keys: Annotated[tuple[TrustKey, ...], at_least(1), unique("id")]
    min_version: Annotated[str | None, SEMVER, About("The lowest version accepted.")] = None

    def problems(self) -> Iterator[Problem]:
        """A key that stands twice, and a threshold that no signatures could reach."""
        seen: dict[str, str] = {}
        for index, key in enumerate(self.keys):
            text = "".join(key.pem.split())
            if (twin := seen.setdefault(text, key.id)) != key.id:
                yield Problem(("keys", index, "pem"), f"is the same key as {twin!r}")
        if self.threshold > len(self.keys):
            problem = f"is {self.threshold}, but there are only {len(self.keys)} keys"
            yield Problem(("threshold",), problem)


@dataclass(frozen=True)
class TrustPolicy:
    """Rules, of which the first that matches a bundle's name decides, and keys that never count."""

    kind: ClassVar[str] = "TrustPolicy"

    rules: Annotated[tuple[TrustRule, ...], at_least(1), About("The first match decides.")]
    revoked: Annotated[
        frozenset[Annotated[str, _SPKI]], About("Keys that count no more, by sha256 of their SPKI.")
    ] = frozenset()

    def rule_for(self, name: str) -> TrustRule | None:
        """The first rule one of whose patterns matches `name`; None means refused."""
        matches = (r for r in self.rules if any(fnmatchcase(name, glob) for glob in r.names))
        return next(matches, None)


def parse_trust_policy(text: str, where: str) -> TrustPolicy:
    """The TrustPolicy in the YAML `text`; DocumentError, which names `where` and line, if none."""
    return parse_document(text, where, TrustPolicy)
