"""Whether the signatures on a bundle are the ones that its receiver asks for.

The order is the protection (docs/threat-model.md): size bounds, which an `Envelope` has passed
already; the rule of the operator's policy; the signatures over the raw payload; only then the
statement, and its name and version against the rule. Every refusal is a TrustError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bundler.core.documents.trust import TrustPolicy, TrustRule
from bundler.core.errors import TrustError
from bundler.core.release import Release, claimed_name, parse_statement
from bundler.core.version import Version
from bundler.sign.envelope import PAYLOAD_TYPE, Envelope, pae
from bundler.sign.keys import PublicKey

Trust = TrustPolicy | PublicKey


@dataclass(frozen=True)
class Verdict:
    """What the signatures vouch for, and whose they are.

    `signers` holds the policy's ids of the keys that counted (a lone key's fingerprint); keys
    that signed but did not count are in `unknown` and `revoked`, by fingerprint, unverified.
    """

    release: Release
    signers: tuple[str, ...]
    unknown: tuple[str, ...]
    revoked: tuple[str, ...]


@dataclass(frozen=True)
class _Rule:
    """Whose signatures count: key ids with the names to call them by, and how many it takes."""

    keys: Mapping[str, tuple[str, PublicKey]]
    threshold: int
    revoked: frozenset[str]
    name: str | None = None
    min_version: str | None = None


def authenticate(envelopes: Sequence[tuple[str, Envelope]], trust: Trust, where: str) -> Verdict:
    """What `envelopes`, each with the place it was found in, vouch for by `trust`.

    `where` names the bundle. TrustError when there is no signature, when a signature by a known
    key is wrong (it is never skipped), or when the rule asks for other signers, more of them,
    another name or a later version.
    """
    if not envelopes:
        raise TrustError(
            f"{where}: is not signed",
            "sign it with airbundle sign, or say --allow-unsigned; signatures may also be in "
            f"{where}.sig.json, which is not there",
        )
    payload = statement(envelopes)
    rule = _rule(payload, trust, where)
    signed = _check_signatures(envelopes, rule)
    beside = f"{where}.sig.json"
    lacking = "" if beside in dict(envelopes) else f"; {beside} is not there"
    signers = _count(signed, rule, where, lacking)
    release = parse_statement(payload)
    _check_release(release, rule, where)
    others = tuple(f"sha256:{keyid}" for keyid in signed if keyid not in rule.keys)
    revoked = tuple(f"sha256:{keyid}" for keyid in signed if _is_revoked(keyid, rule))
    return Verdict(release, signers, tuple(each for each in others if each not in revoked), revoked)


def statement(envelopes: Sequence[tuple[str, Envelope]]) -> bytes:
    """The one payload of all `envelopes`; TrustError that names two places where they differ."""
    first_place, first = envelopes[0]
    for place, envelope in envelopes[1:]:
        if envelope.payload != first.payload:
            raise TrustError(
                f"{first_place} and {place} are over different statements",
                f"remove {place} if it belongs to another file",
            )
    return first.payload


def _rule(payload: bytes, trust: Trust, where: str) -> _Rule:
    if isinstance(trust, PublicKey):
        return _Rule({trust.keyid: (trust.fingerprint, trust)}, 1, frozenset())
    name = claimed_name(payload)
    rule = trust.rule_for(name)
    if rule is None:
        raise TrustError(
            f"{where}: no rule of the trust policy covers the name {name!r}",
            "add a rule for it, with the keys that may sign it",
        )
    return _Rule(_parse_keys(rule), rule.threshold, trust.revoked, name, rule.min_version)


def _parse_keys(rule: TrustRule) -> dict[str, tuple[str, PublicKey]]:
    """The rule's keys by key id: a key that stands there under two names is one key."""
    keys: dict[str, tuple[str, PublicKey]] = {}
    for each in rule.keys:
        key = PublicKey.parse(each.pem, f"key {each.id!r} of the trust policy")
        keys.setdefault(key.keyid, (each.id, key))
    return keys


def _check_signatures(envelopes: Sequence[tuple[str, Envelope]], rule: _Rule) -> tuple[str, ...]:
    """The key ids that signed, each once; those of the rule's keys are verified."""
    signed: dict[str, None] = {}
    for place, envelope in envelopes:
        message = pae(PAYLOAD_TYPE, envelope.payload)
        for signature in envelope.signatures:
            if signature.keyid in rule.keys:
                name, key = rule.keys[signature.keyid]
                if not key.verify(message, signature.sig):
                    raise TrustError(
                        f"{place}: the signature by {name} is wrong: it was made over other bytes, "
                        "or by another key",
                        "get the file again from where it was signed",
                    )
            signed[signature.keyid] = None
    return tuple(signed)


def _count(signed: tuple[str, ...], rule: _Rule, where: str, lacking: str) -> tuple[str, ...]:
    known = [keyid for keyid in signed if keyid in rule.keys]
    good = [keyid for keyid in known if not _is_revoked(keyid, rule)]
    if not known:
        found = ", ".join(
            f"sha256:{keyid}{' (revoked)' if _is_revoked(keyid, rule) else ''}" for keyid in signed
        )
        raise TrustError(
            f"{where}: signed by {found}; expected {_names(rule, rule.keys)}",
            "compare the fingerprint with the one that the signer gave you by another way",
        )
    if not good:
        raise TrustError(f"{where}: signed by nothing but revoked keys: {_names(rule, known)}")
    if len(good) < rule.threshold:
        revoked = [keyid for keyid in known if keyid not in good]
        besides = f", besides the revoked {_names(rule, revoked)}" if revoked else ""
        raise TrustError(
            f"{where}: expected signatures by {rule.threshold} different keys, found {len(good)}: "
            f"{_names(rule, good)}{besides}",
            f"another holder of a key adds one with airbundle sign{lacking}",
        )
    return tuple(rule.keys[keyid][0] for keyid in good)


def _is_revoked(keyid: str, rule: _Rule) -> bool:
    return f"sha256:{keyid}" in rule.revoked


def _names(rule: _Rule, keyids: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(rule.keys[keyid][0] for keyid in keyids)


def _check_release(release: Release, rule: _Rule, where: str) -> None:
    if rule.name is not None and release.name != rule.name:
        raise TrustError(f"{where}: the rule was chosen for {rule.name!r}, not {release.name!r}")
    lowest = rule.min_version
    if lowest is not None and Version.parse(release.version) < Version.parse(lowest):
        raise TrustError(
            f"{where}: version {release.version} is older than {lowest}, the lowest that the trust "
            "policy allows",
            "get a later version; lower minVersion only if the old one is really wanted",
        )
