"""What a user sees: bundles by the wrong people, through the real command line."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from bundler.core.digest import Digest
from bundler.core.release import Release as Statement
from bundler.sign.envelope import Envelope, Signature
from bundler.sign.keys import Algorithm, PrivateKey
from bundler.sign.open import open_bundle
from tests.hostile.desk import COMMANDS, NAME, OBJECTS, Desk, arguments, damage, empty_slot
from tests.making import KEY, signed
from tests.releases import LAYERS, Release

OTHER = PrivateKey.generate(Algorithm.P256)


# --- behaviour 4: wrong key, no key, unsigned --------------------------------------------------


def test_a_wrong_key_is_refused_with_both_fingerprints(desk: Desk) -> None:
    found, expected = KEY.public.fingerprint, OTHER.public.fingerprint
    desk.verify(*desk.key(OTHER)).refuses(4, f"signed by {found}; expected {expected}")


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_key_every_command_names_the_three_options(command: str, desk: Desk) -> None:
    said = desk.run(*arguments(command, desk))
    said.refuses(4, "exactly one of --trust, --key and --allow-unsigned, found none")
    assert desk.listing().keys() == {"b.tar"}


def test_an_unsigned_bundle_is_refused(desk: Desk) -> None:
    empty_slot(desk)
    desk.verify().refuses(4, r"b\.tar: is not signed\nhint: .*--allow-unsigned")
    desk.verify(*desk.policy(1, KEY)).refuses(4, r"b\.tar: is not signed")


@pytest.mark.parametrize("command", ["verify", "inspect", "render", "push", "install --export"])
@pytest.mark.parametrize("status", ["UNSIGNED", "UNTRUSTED"])
def test_what_nobody_vouches_for_is_announced_on_the_first_line(
    status: str, command: str, desk: Desk
) -> None:
    if status == "UNSIGNED":
        empty_slot(desk)
    said = desk.run(*arguments(command, desk, "--allow-unsigned"))
    assert said.code == 0
    assert said.err.splitlines()[0].startswith(f"{status}: nobody ")


def test_what_nobody_vouches_for_is_checked_all_the_same(desk: Desk) -> None:
    empty_slot(desk)
    damage(desk.file, LAYERS[0])
    said = desk.verify("--allow-unsigned")
    said.refuses(3, "blobs/sha256/.*layer 0.*another digest")
    assert said.err.startswith("UNSIGNED: ")


# --- behaviours 5 and 6: who, how many, which version -------------------------------------------


def test_one_signature_where_two_are_asked_for(desk: Desk) -> None:
    said = desk.verify(*desk.policy(2, KEY, OTHER))
    said.refuses(4, "expected signatures by 2 different keys, found 1: key-0")


def test_two_signatures_by_two_keys_pass(desk: Desk) -> None:
    desk.beside(signed(desk.parts.stated(), OTHER))
    said = desk.verify(*desk.policy(2, KEY, OTHER))
    assert said.code == 0
    assert "signer    key-0\nsigner    key-1\n" in said.out


def resign(desk: Desk, key: PrivateKey) -> bytes:
    """Puts a signature by `key` into the slot, in place of that by KEY; the statement."""
    parts = desk.parts
    statement = parts.stated()
    parts.slot = signed(statement, key).slot()
    desk.file.write_bytes(parts.file())
    return statement


def test_two_signatures_by_one_key_are_one(desk: Desk) -> None:
    """Different bytes, both valid: ECDSA takes a new random number each time."""
    statement = resign(desk, OTHER)
    again = signed(statement, OTHER)
    assert again.slot() not in desk.file.read_bytes()
    desk.beside(again)
    said = desk.verify(*desk.policy(2, OTHER, KEY))
    said.refuses(4, "expected signatures by 2 different keys, found 1: key-0")


def test_the_same_key_under_two_ids_is_refused(desk: Desk) -> None:
    desk.verify(*desk.policy(2, KEY, KEY)).refuses(2, "is the same key as 'key-0'")


def test_the_same_key_in_another_encoding_is_refused(desk: Desk) -> None:
    """A compressed point: other text, other DER, the same key."""
    resign(desk, OTHER)
    option, path = desk.policy(2, OTHER, KEY)
    document = json.loads(Path(path).read_text())
    point = OTHER.public.spki[-65:]
    compressed = bytes([2 + point[64] % 2]) + point[1:33]
    head = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    text = base64.b64encode(head + compressed).decode()
    pem = f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n"
    document["rules"][0]["keys"][1]["pem"] = pem
    Path(path).write_text(json.dumps(document))
    desk.verify(option, path).refuses(4, "found 1: key-0")


def test_a_revoked_key_does_not_count(desk: Desk) -> None:
    revoked = [KEY.public.fingerprint]
    said = desk.verify(*desk.policy(1, KEY, OTHER, revoked=revoked))
    said.refuses(4, "signed by nothing but revoked keys: key-0")
    desk.beside(signed(desk.parts.stated(), OTHER))
    said = desk.verify(*desk.policy(1, KEY, OTHER, revoked=revoked))
    assert said.code == 0
    assert f"revoked   {KEY.public.fingerprint} (not counted)" in said.out
    said = desk.verify(*desk.policy(2, KEY, OTHER, revoked=revoked))
    said.refuses(4, "found 1: key-1, besides the revoked key-0")


def test_a_name_without_a_rule_is_refused(desk: Desk) -> None:
    said = desk.verify(*desk.policy(1, KEY, names=["music-*"]))
    said.refuses(4, "no rule of the trust policy covers the name 'movie-search'")


@pytest.mark.parametrize(("lowest", "code"), [("1.4.1", 4), ("1.10.0", 4), ("1.4.0", 0)])
def test_a_version_below_the_lowest_is_refused(lowest: str, code: int, desk: Desk) -> None:
    said = desk.verify(*desk.policy(1, KEY, minVersion=lowest))
    assert said.code == code
    assert (f"version 1.4.0 is older than {lowest}" in said.err) is (code == 4)


# --- sidecars ---------------------------------------------------------------------------------


def test_a_sidecar_by_an_unknown_key_is_shown_and_not_counted(desk: Desk) -> None:
    desk.beside(signed(desk.parts.stated(), OTHER))
    said = desk.verify()
    assert said.code == 0
    assert f"unknown   {OTHER.public.fingerprint} (not counted)" in said.out


def test_a_forged_sidecar_is_refused_though_the_slot_is_right(desk: Desk) -> None:
    stated = desk.parts.stated()
    desk.beside(Envelope(stated, (Signature(KEY.public.keyid, bytes(64)),)))
    desk.verify().refuses(4, r"b\.tar\.sig\.json: the signature by .* is wrong")


def test_a_sidecar_over_another_statement_is_refused(desk: Desk) -> None:
    newer = Statement(NAME, "9.9.9", Digest.of(desk.parts.index), len(desk.parts.index))
    desk.beside(signed(newer.statement(), KEY))
    desk.verify().refuses(4, "slot and .*sig.json are over different statements")
    empty_slot(desk)
    desk.verify().refuses(3, r"the signed statement says movie-search 9\.9\.9")


def test_a_sidecar_of_another_bundle_is_refused(desk: Desk) -> None:
    another = Release("movie-other", OBJECTS).write(desk.folder / "other.tar")
    with open_bundle(another, KEY.public) as bundle:
        assert bundle.envelope is not None
        desk.beside(bundle.envelope)
    desk.verify().refuses(4, "over different statements\nhint: remove .*sig.json")
    assert desk.verify("--allow-unsigned").code == 4
    empty_slot(desk)
    desk.verify().refuses(3, r"index\.json")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b" " * 65_537, "expected at most 65536 bytes, found more"),
        (b" " * 65_536, r"sig\.json: "),
        (b"", r"sig\.json: "),
        (b"{}", r"sig\.json: "),
    ],
)
def test_a_sidecar_that_is_no_envelope_is_refused(data: bytes, message: str, desk: Desk) -> None:
    desk.beside(data)
    desk.verify().refuses(4, message)
    assert desk.verify("--allow-unsigned").code == 4


def test_a_sidecar_of_one_byte_too_many_is_refused(desk: Desk) -> None:
    whole = signed(desk.parts.stated(), KEY).dump()
    desk.beside(whole)
    assert desk.verify().code == 0
    desk.beside(whole.ljust(65_537))
    desk.verify().refuses(4, "expected at most 65536 bytes, found more")
