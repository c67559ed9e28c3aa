"""Envelopes: one spelling, in a slot of one size."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from bundler.archive.format import SLOT_SIZE
from bundler.core import strictjson
from bundler.core.errors import TrustError
from bundler.sign.envelope import (
    MAX_SIGNATURES,
    PAYLOAD_TYPE,
    Envelope,
    Signature,
    merge,
    pae,
    parse,
    read_slot,
)

A, B = "a" * 64, "b" * 64
ENVELOPE = Envelope(b"{}", (Signature(A, b"one"), Signature(B, b"two!")))
SPELLING = (
    f'{{"payload":"e30=","payloadType":"{PAYLOAD_TYPE}","signatures":'
    f'[{{"keyid":"{A}","sig":"b25l"}},{{"keyid":"{B}","sig":"dHdvIQ=="}}]}}'
)


def test_the_spelling_of_an_envelope() -> None:
    assert ENVELOPE.dump().decode() == SPELLING


def test_parsing_is_the_inverse_of_dumping() -> None:
    assert parse(ENVELOPE.dump(), "x") == ENVELOPE


def test_what_is_signed_is_the_example_of_the_specification() -> None:
    encoded = pae("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_the_slot_is_the_envelope_and_spaces() -> None:
    slot = ENVELOPE.slot()
    assert slot == SPELLING.encode() + b" " * (SLOT_SIZE - len(SPELLING))
    assert read_slot(slot) == ENVELOPE


def test_a_slot_of_spaces_holds_no_envelope() -> None:
    assert read_slot(b" " * SLOT_SIZE) is None


def _full() -> Envelope:
    """The largest envelope with one signature: base64 grows in steps of four."""
    signatures = (Signature(A, b"s"),)
    spare = SLOT_SIZE - len(Envelope(b"", signatures).dump())
    return Envelope(b"p" * (spare // 4 * 3), signatures)


def test_the_largest_envelope_fits_and_one_byte_more_does_not() -> None:
    full = _full()
    assert SLOT_SIZE - 4 < len(full.dump()) <= SLOT_SIZE
    assert read_slot(full.slot()) == full
    with pytest.raises(TrustError, match="does not fit into 65536 bytes"):
        Envelope(full.payload + b"p", full.signatures)


def test_an_envelope_of_64_kib_and_one_byte_is_refused_unread() -> None:
    with pytest.raises(TrustError, match="expected at most 65536 bytes, found more"):
        parse(ENVELOPE.slot() + b" ", "x")


SLOTS: dict[str, bytes] = {
    "a leading space": b" " + SPELLING.encode(),
    "a newline behind": SPELLING.encode() + b"\n",
    "a zero byte behind": SPELLING.encode() + b"\0",
    "a tab behind": SPELLING.encode() + b"\t",
    "a letter in the last place": SPELLING.encode().ljust(SLOT_SIZE - 1) + b"x",
    "a space inside": SPELLING.replace(":", ": ", 1).encode(),
    "a newline inside": SPELLING.replace(",", ",\n", 1).encode(),
    "members in another order": json.dumps(
        dict(reversed(json.loads(SPELLING).items())), separators=(",", ":")
    ).encode(),
    "an escaped letter": SPELLING.replace("payload", r"\u0070ayload", 1).encode(),
    "a byte order mark": b"\xef\xbb\xbf" + SPELLING.encode(),
    "two envelopes": SPELLING.encode() * 2,
    "half an envelope": SPELLING.encode()[:100],
    "zero bytes": bytes(SLOT_SIZE),
    "a newline": b"\n",
    "an empty object": b"{}",
    "an array": b"[]",
    "null": b"null",
    "a member twice": SPELLING.replace("{", '{"payload":"e30=",', 1).encode(),
    "a member twice, but for case": SPELLING.replace("{", '{"Payload":"e30=",', 1).encode(),
    "not UTF-8": SPELLING.replace("e30=", "\xff").encode("latin-1"),
}


@pytest.mark.parametrize("name", SLOTS)
def test_a_slot_that_is_not_canonical_is_refused(name: str) -> None:
    with pytest.raises(TrustError, match=r"^the slot of x: "):
        read_slot(SLOTS[name].ljust(SLOT_SIZE), "the slot of x")


@pytest.mark.parametrize("size", [0, SLOT_SIZE - 1, SLOT_SIZE + 1])
def test_a_slot_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(TrustError, match="expected 65536 bytes"):
        read_slot(b" " * size)


@pytest.mark.parametrize("text", ["\n", " "])
def test_a_sidecar_has_nothing_behind_its_envelope(text: str) -> None:
    with pytest.raises(TrustError, match="not in its canonical spelling"):
        parse(SPELLING.encode() + text.encode(), "x")


BASE64 = {
    "no padding": ("dHdvIQ==", "dHdvIQ"),
    "half the padding": ("dHdvIQ==", "dHdvIQ="),
    "more padding": ("dHdvIQ==", "dHdvIQ===="),
    "bits in the padding": ("dHdvIQ==", "dHdvIR=="),
    "bits in the payload's padding": ('"e30="', '"e31="'),
    "the other alphabet": ("dHdvIQ==", "dHdv-_=="),
    "a newline": ("dHdvIQ==", "dHdv\\nIQ=="),
    "a space": ("dHdvIQ==", "dHdv IQ=="),
    "text behind the padding": ("dHdvIQ==", "dHdvIQ==dHdv"),
    "an umlaut": ("dHdvIQ==", "dHdvüQ=="),
    "nothing but padding": ("dHdvIQ==", "===="),
    "one letter": ("dHdvIQ==", "d"),
}


@pytest.mark.parametrize("name", BASE64)
def test_another_spelling_of_base64_is_refused(name: str) -> None:
    right, wrong = BASE64[name]
    text = SPELLING.replace(right, wrong)
    assert text != SPELLING
    with pytest.raises(TrustError):
        parse(text.encode(), "x")


Bend = Callable[[dict[str, Any]], object]

SHAPES: dict[str, tuple[Bend, str]] = {
    "another payload type": (
        lambda data: data.update(payloadType="application/json"),
        "payloadType: expected",
    ),
    "no payload": (lambda data: data.pop("payload"), "exactly the members"),
    "an unknown member": (lambda data: data.update(note=""), "exactly the members"),
    "an unknown member of a signature": (
        lambda data: data["signatures"][0].update(cert=""),
        "exactly the members",
    ),
    "no key id": (lambda data: data["signatures"][0].pop("keyid"), "exactly the members"),
    "a payload that is no string": (lambda data: data.update(payload=1), "payload: expected a str"),
    "a key id that is no string": (
        lambda data: data["signatures"][0].update(keyid=1),
        "keyid: expected a string",
    ),
    "an empty key id": (lambda data: data["signatures"][0].update(keyid=""), "not 64 hex digits"),
    "an upper-case key id": (
        lambda data: data["signatures"][0].update(keyid="A" * 64),
        "not 64 hex digits",
    ),
    "a key id with a newline": (
        lambda data: data["signatures"][0].update(keyid=A[1:] + "\n"),
        "not 64 hex digits",
    ),
    "signatures that are no list": (lambda data: data.update(signatures={}), "expected a list"),
    "a signature that is no object": (
        lambda data: data.update(signatures=["x"]),
        "exactly the members",
    ),
    "no signature": (lambda data: data.update(signatures=[]), "expected 1 to 64 signatures"),
    "unsorted signatures": (lambda data: data["signatures"].reverse(), "not sorted by key id"),
    "the same key twice": (
        lambda data: data["signatures"].append(data["signatures"][1]),
        "or a key stands twice",
    ),
    "65 signatures": (
        lambda data: data.update(
            signatures=[{"keyid": f"{n:064x}", "sig": "eA=="} for n in range(MAX_SIGNATURES + 1)]
        ),
        "expected 1 to 64 signatures, found 65",
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_an_envelope_of_another_shape_is_refused(name: str) -> None:
    bend, problem = SHAPES[name]
    data = json.loads(SPELLING)
    bend(data)
    with pytest.raises(TrustError) as refusal:
        parse(strictjson.canonical(data), "x")
    assert problem in refusal.value.message


def test_64_signatures_are_allowed() -> None:
    many = tuple(Signature(f"{number:064x}", b"x") for number in range(MAX_SIGNATURES))
    envelope = Envelope(b"{}", many)
    assert parse(envelope.dump(), "x") == envelope


def test_merging_keeps_the_first_signature_of_each_key() -> None:
    other = Envelope(b"{}", (Signature(A, b"other"), Signature("c" * 64, b"three")))
    assert merge([ENVELOPE, other]).signatures == (
        *ENVELOPE.signatures,
        Signature("c" * 64, b"three"),
    )


def test_different_payloads_are_not_merged() -> None:
    with pytest.raises(TrustError, match="different statements"):
        merge([ENVELOPE, Envelope(b"[]", ENVELOPE.signatures)])


def test_base64_in_the_dump_is_the_standard_one() -> None:
    data = bytes(range(256))
    dumped = json.loads(Envelope(data, (Signature(A, data),)).dump())
    assert dumped["payload"] == base64.standard_b64encode(data).decode()
