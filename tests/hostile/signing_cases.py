"""Lies in the statement and in the slot: who signed what."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator

from bundler.archive import format as fmt
from bundler.core import strictjson
from bundler.core.digest import Digest
from bundler.sign.envelope import PAYLOAD_TYPE, pae
from bundler.sign.keys import Algorithm, PrivateKey
from tests.hostile.case import Case, Make
from tests.hostile.forging import Json, Parts
from tests.making import KEY, signed

OTHER = PrivateKey.generate(Algorithm.ED25519)


def statements() -> Iterator[Case]:
    """Statements that are no release, or one of something else; all of them rightly signed."""

    def stated(edit: Callable[[Json], object]) -> Make:
        def make(parts: Parts) -> bytes:
            value = json.loads(parts.stated())
            edit(value)
            parts.statement = strictjson.canonical(value)
            return parts.file()

        return make

    def predicate(**members: object) -> Make:
        return stated(lambda s: s["predicate"].update(members))

    other = {"name": "index.json", "digest": {"sha256": 64 * "0"}}
    capitals = {"sha256": 64 * "A"}
    edits: dict[str, Make] = {
        "another predicate type": stated(lambda s: s.update(predicateType="https://x.dev/test/v1")),
        "another statement type": stated(
            lambda s: s.update(_type="https://in-toto.io/Statement/v0")
        ),
        "another subject": stated(lambda s: s["subject"][0].update(name="index")),
        "two subjects": stated(lambda s: s["subject"].append(other)),
        "no subject": stated(lambda s: s.update(subject=[])),
        "a second digest": stated(lambda s: s["subject"][0]["digest"].update(sha512="00")),
        "an unknown field": stated(lambda s: s.update(extra=1)),
        "an unknown field of the subject": stated(lambda s: s["subject"][0].update(uri="x")),
        "an unknown field of the predicate": predicate(extra=1),
        "a later format": predicate(formatVersion=2),
        "a format that is true": predicate(formatVersion=True),
        "no version": stated(lambda s: s["predicate"].pop("version")),
        "a version with build metadata": predicate(version="1.4.0+x"),
        "a version that is none": predicate(version="1.4"),
        "a version of 65 characters": predicate(version="1.4.0-" + 59 * "a"),
        "a number of 17 digits": predicate(version=f"1.4.{10**16}"),
        "a number that begins with 0": predicate(version="1.04.0"),
        "a release candidate that begins with 0": predicate(version="1.4.0-01"),
        "a version behind a v": predicate(version="v1.4.0"),
        "a name with capitals": predicate(name="Movie"),
        "a name of 64 characters": predicate(name=64 * "n"),
        "a name that ends in a dash": predicate(name="movie-"),
        "an empty name": predicate(name=""),
        "a digest in capitals": stated(lambda s: s["subject"][0].update(digest=capitals)),
        "a predicate that is a list": stated(lambda s: s.update(predicate=[])),
        "a size of 0": predicate(indexSize=0),
        "a size beyond 16 MiB": predicate(indexSize=16 * 1024**2 + 1),
        "a size as a string": predicate(indexSize="100"),
    }
    for name, make in edits.items():
        yield Case(f"statement: {name}", "trust", make)
    yield Case("statement: another name", "integrity", predicate(name="other"))
    yield Case("statement: another version", "integrity", predicate(version="9.9.9"))
    yield Case("statement: a size too small", "integrity", predicate(indexSize=10))
    subject = stated(lambda s: s.update(subject=[other]))
    yield Case("statement: another index", "integrity", subject)
    yield Case("statement: with white space", "trust", _payload(lambda text: text + b" "))
    twice = _payload(lambda t: t.replace(b'{"_type"', b'{"_type":"x","_type"'))
    yield Case("statement: a key twice", "trust", twice)
    capital = _payload(lambda t: t.replace(b'"predicateType"', b'"PredicateType"'))
    yield Case("statement: a key in another case", "trust", capital)


def _payload(edit: Callable[[bytes], bytes]) -> Make:
    def make(parts: Parts) -> bytes:
        parts.statement = edit(parts.stated())
        return parts.file()

    return make


def others(count: int) -> list[Json]:
    """Signatures by keys that nobody knows, which are none."""
    return [
        {"keyid": Digest.of(bytes([number])).hex, "sig": base64.b64encode(b"none").decode()}
        for number in range(count)
    ]


def with_others(parts: Parts, count: int) -> bytes:
    """The bundle with `count` signatures by unknown keys beside the right one."""
    value = json.loads(signed(parts.stated(), KEY).dump())
    value["signatures"] = sorted(
        [*others(count), *value["signatures"]], key=lambda each: str(each["keyid"])
    )
    parts.slot = strictjson.canonical(value).ljust(fmt.SLOT_SIZE)
    return parts.file()


def slots() -> Iterator[Case]:
    """Envelopes in the slot that are not the one spelling, or not signed as they should."""

    def slot(edit: Callable[[bytes], bytes]) -> Make:
        def make(parts: Parts) -> bytes:
            envelope = signed(parts.stated(), KEY).dump()
            parts.slot = edit(envelope).ljust(fmt.SLOT_SIZE)[: fmt.SLOT_SIZE]
            return parts.file()

        return make

    def edited(edit: Callable[[Json], object]) -> Make:
        def change(envelope: bytes) -> bytes:
            value = json.loads(envelope)
            edit(value)
            return strictjson.canonical(value)

        return slot(change)

    def spelled(envelope: bytes) -> bytes:
        """Another base64 for the same bytes: the unused bits of the last letter are set."""
        value = json.loads(envelope)
        sig = value["signatures"][0]["sig"]  # 64 bytes: ends in one letter and ==
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        letter = alphabet[alphabet.index(sig[-3]) | 1]
        value["signatures"][0]["sig"] = sig[:-3] + letter + "=="
        return strictjson.canonical(value)

    def by_another(parts: Parts) -> bytes:
        parts.slot = signed(parts.stated(), OTHER).slot()
        return parts.file()

    def over_other_bytes(parts: Parts) -> bytes:
        good = json.loads(signed(parts.stated(), KEY).dump())
        wrong = KEY.sign(pae(PAYLOAD_TYPE, parts.stated() + b" "))
        good["signatures"][0]["sig"] = base64.b64encode(wrong).decode()
        parts.slot = strictjson.canonical(good).ljust(fmt.SLOT_SIZE)
        return parts.file()

    def unsigned(parts: Parts) -> bytes:
        parts.slot = b" " * fmt.SLOT_SIZE
        return parts.file()

    def known_keyid_of_another(parts: Parts) -> bytes:
        value = json.loads(signed(parts.stated(), OTHER).dump())
        value["signatures"][0]["keyid"] = KEY.public.keyid
        parts.slot = strictjson.canonical(value).ljust(fmt.SLOT_SIZE)
        return parts.file()

    def double(value: Json) -> None:
        value["signatures"] *= 2

    def turned(value: Json) -> None:
        value["signatures"] = [*others(2), *value["signatures"]]
        value["signatures"].sort(key=lambda each: each["keyid"], reverse=True)

    def too_many(value: Json) -> None:
        value["signatures"] = sorted(
            [*others(64), *value["signatures"]], key=lambda each: each["keyid"]
        )

    makes: dict[str, Make] = {
        "a leading space": slot(lambda e: b" " + e),
        "a newline behind": slot(lambda e: e + b"\n"),
        "a tab for padding": slot(lambda e: e.ljust(fmt.SLOT_SIZE, b"\t")),
        "NULs for padding": slot(lambda e: e.ljust(fmt.SLOT_SIZE, b"\0")),
        "something in the padding": slot(lambda e: e + b"  x"),
        "two envelopes": slot(lambda e: e + e),
        "white space inside": slot(lambda e: e.replace(b",", b", ", 1)),
        "half of it": slot(lambda e: e[: len(e) // 2]),
        "no JSON": slot(lambda e: b"signature"),
        "another base64": slot(spelled),
        "base64 without padding": edited(lambda v: v.update(payload=v["payload"].rstrip("="))),
        "url-safe base64": edited(lambda v: v.update(payload="-_" + v["payload"][2:])),
        "an unknown member": edited(lambda v: v.update(x=1)),
        "another payload type": edited(lambda v: v.update(payloadType="text/plain")),
        "no signatures": edited(lambda v: v.update(signatures=[])),
        "the same signature twice": edited(double),
        "signatures out of order": edited(turned),
        "65 signatures": edited(too_many),
        "a keyid in capitals": edited(
            lambda v: v["signatures"][0].update(keyid=v["signatures"][0]["keyid"].upper())
        ),
        "an empty keyid": edited(lambda v: v["signatures"][0].update(keyid="")),
        "a certificate": edited(lambda v: v["signatures"][0].update(cert="x")),
        "an empty signature": edited(lambda v: v["signatures"][0].update(sig="")),
        "signed by another key": by_another,
        "the keyid of a key that did not sign": known_keyid_of_another,
        "a signature over other bytes": over_other_bytes,
        "not signed": unsigned,
    }
    for name, make in makes.items():
        yield Case(f"slot: {name}", "trust", make)
