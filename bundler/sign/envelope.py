"""DSSE envelopes in the one spelling that this format allows.

The protocol is https://github.com/secure-systems-lab/dsse (envelope.md, protocol.md). Every
envelope that is not the canonical spelling of itself is refused with TrustError, exit 4: what
vouches for the index is then missing, whatever else the file may be.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bundler.archive.format import SLOT_SIZE
from bundler.core import strictjson
from bundler.core.errors import IntegrityError, TrustError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_SIGNATURES = 64
_HINT = "when `airbundle sign --in-place` was interrupted, run it again; else get the file again"
_KEYID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, order=True)
class Signature:
    """One signature over an envelope's `pae`; `keyid` is the hex sha256 of the key's SPKI."""

    keyid: str
    sig: bytes


@dataclass(frozen=True)
class Envelope:
    """A payload with 1 to 64 signatures, sorted by key id, one for each key.

    A value that exists fits the slot: its canonical spelling has at most 65,536 bytes.
    """

    payload: bytes
    signatures: tuple[Signature, ...]

    def __post_init__(self) -> None:
        _check(self)

    def dump(self) -> bytes:
        """The canonical spelling: JSON with sorted keys, no spaces, base64 with padding."""
        signatures = [{"keyid": each.keyid, "sig": _encode(each.sig)} for each in self.signatures]
        return strictjson.canonical(
            {
                "payload": _encode(self.payload),
                "payloadType": PAYLOAD_TYPE,
                "signatures": signatures,
            }
        )

    def slot(self) -> bytes:
        """The 65,536 bytes for a bundle's first member: `dump` padded with spaces."""
        return self.dump().ljust(SLOT_SIZE)


def pae(payload_type: str, payload: bytes) -> bytes:
    """What a signature is over: DSSE's pre-authentication encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def parse(data: bytes, what: str) -> Envelope:
    """The envelope whose canonical spelling is `data`, and nothing else; `what` names it.

    TrustError for every other text: more than 65,536 bytes, unknown members, another payload
    type, signatures that are missing, unsorted or doubled, spaces, another base64.
    """
    if len(data) > SLOT_SIZE:
        raise TrustError(f"{what}: expected at most {SLOT_SIZE} bytes, found more")
    try:
        envelope = _build(strictjson.parse(data, "the envelope"))
    except (IntegrityError, TrustError) as error:
        raise TrustError(f"{what}: {error.message}", _HINT) from error
    if envelope.dump() != data:
        raise TrustError(f"{what}: is not in its canonical spelling", _HINT)
    return envelope


def read_slot(slot: bytes, what: str = "the signature slot") -> Envelope | None:
    """The envelope in the 65,536 bytes of a bundle's first member; None when all are spaces.

    TrustError for anything else, a slot that was only half written among it.
    """
    if len(slot) != SLOT_SIZE:
        raise TrustError(f"{what}: expected {SLOT_SIZE} bytes, found {len(slot)}")
    text = slot.rstrip(b" ")
    return parse(text, what) if text else None


def merge(envelopes: Sequence[Envelope]) -> Envelope:
    """One envelope out of one or more, with the first signature of each key.

    TrustError when their payloads differ, or when the result would not fit the slot.
    """
    payload = envelopes[0].payload
    signatures: dict[str, Signature] = {}
    for envelope in envelopes:
        if envelope.payload != payload:
            raise TrustError("the signatures to be merged are over different statements")
        for signature in envelope.signatures:
            signatures.setdefault(signature.keyid, signature)
    return Envelope(payload, tuple(sorted(signatures.values())))


def _build(value: object) -> Envelope:
    members = _members(value, ("payload", "payloadType", "signatures"))
    if members["payloadType"] != PAYLOAD_TYPE:
        raise TrustError(f"payloadType: expected {PAYLOAD_TYPE!r}")
    if not isinstance(members["signatures"], list):
        raise TrustError("signatures: expected a list")
    signatures = []
    for item in members["signatures"]:
        fields = _members(item, ("keyid", "sig"))
        signatures.append(Signature(_text(fields, "keyid"), _decode(fields, "sig")))
    return Envelope(_decode(members, "payload"), tuple(signatures))


def _check(envelope: Envelope) -> None:
    keyids = [signature.keyid for signature in envelope.signatures]
    if not 1 <= len(keyids) <= MAX_SIGNATURES:
        raise TrustError(f"expected 1 to {MAX_SIGNATURES} signatures, found {len(keyids)}")
    for keyid in keyids:
        if not _KEYID.fullmatch(keyid):
            raise TrustError(f"key id {keyid[:80]!r} is not 64 hex digits")
    if keyids != sorted(set(keyids)):
        raise TrustError("the signatures are not sorted by key id, or a key stands twice")
    if len(envelope.dump()) > SLOT_SIZE:
        raise TrustError(f"the envelope does not fit into {SLOT_SIZE} bytes")


def _members(value: object, names: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict) or value.keys() != set(names):
        raise TrustError(f"expected an object with exactly the members {', '.join(names)}")
    return value


def _text(members: dict[str, Any], name: str) -> str:
    value = members[name]
    if not isinstance(value, str):
        raise TrustError(f"{name}: expected a string")
    return value


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decode(members: dict[str, Any], name: str) -> bytes:
    # Several spellings pass here; comparing the whole envelope with its dump leaves one.
    try:
        return base64.b64decode(_text(members, name))
    except ValueError as error:
        raise TrustError(f"{name}: is not base64: {error}") from error
