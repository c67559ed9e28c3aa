"""Whose signatures are enough: every refusal, each with its own message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bundler.core.digest import Digest
from bundler.core.documents.trust import TrustPolicy, TrustRule
from bundler.core.errors import BundlerError, TrustError
from bundler.core.release import Release
from bundler.sign import trust as trust_module
from bundler.sign.envelope import PAYLOAD_TYPE, Envelope, Signature, pae, parse, read_slot
from bundler.sign.keys import PrivateKey
from bundler.sign.trust import Trust, Verdict, authenticate
from tests.making import signed as sign
from tests.sign.conftest import Keys
from tests.sign.forge import RELEASE, encode, policy, statement


def check(trust: Trust, *envelopes: Envelope) -> Verdict:
    places = ("slot", "b.tar.sig.json", "third")
    return authenticate(list(zip(places, envelopes, strict=False)), trust, "b.tar")


def refusal(trust: Trust, *envelopes: Envelope) -> str:
    with pytest.raises(TrustError) as refused:
        check(trust, *envelopes)
    return refused.value.message


def test_one_key_is_enough_for_one_key(key: PrivateKey) -> None:
    verdict = check(key.public, sign(RELEASE.statement(), key))
    assert verdict == Verdict(RELEASE, (key.public.fingerprint,), (), ())


def test_two_of_three_are_enough_for_two(keys: Keys) -> None:
    trust = policy(2, keys.ann, keys.bob, keys.eve)
    verdict = check(trust, sign(RELEASE.statement(), keys.ann, keys.bob))
    assert sorted(verdict.signers) == ["key-0", "key-1"]


def test_slot_and_sidecar_count_together(keys: Keys) -> None:
    payload = RELEASE.statement()
    trust = policy(2, keys.ann, keys.bob)
    verdict = check(trust, sign(payload, keys.ann), sign(payload, keys.bob))
    assert verdict.signers == ("key-0", "key-1")


def test_unknown_keys_are_reported_and_never_counted(keys: Keys) -> None:
    envelope = sign(RELEASE.statement(), keys.ann, keys.eve)
    assert check(policy(1, keys.ann, keys.bob), envelope).unknown == (keys.eve.public.fingerprint,)
    assert refusal(policy(2, keys.ann, keys.bob), envelope) == (
        "b.tar: expected signatures by 2 different keys, found 1: key-0"
    )


def test_no_signature(keys: Keys) -> None:
    assert refusal(keys.ann.public) == "b.tar: is not signed"
    assert refusal(policy(1, keys.ann)) == "b.tar: is not signed"


def test_a_wrong_key(keys: Keys) -> None:
    envelope = sign(RELEASE.statement(), keys.eve)
    eve, ann = keys.eve.public.fingerprint, keys.ann.public.fingerprint
    assert refusal(keys.ann.public, envelope) == f"b.tar: signed by {eve}; expected {ann}"
    assert refusal(policy(1, keys.ann, keys.bob), envelope) == (
        f"b.tar: signed by {eve}; expected key-0, key-1"
    )


def test_the_same_key_in_slot_and_sidecar_counts_once(keys: Keys) -> None:
    payload = RELEASE.statement()
    message = refusal(
        policy(2, keys.ann, keys.bob), sign(payload, keys.ann), sign(payload, keys.ann)
    )
    assert message.endswith("expected signatures by 2 different keys, found 1: key-0")


def test_the_same_key_under_two_ids_counts_once(keys: Keys) -> None:
    trust = policy(2, keys.ann, keys.ann)
    message = refusal(trust, sign(RELEASE.statement(), keys.ann))
    assert message.endswith("expected signatures by 2 different keys, found 1: key-0")


def test_a_signature_under_another_key_id_does_not_count(keys: Keys) -> None:
    payload = RELEASE.statement()
    twice = Envelope(
        payload,
        tuple(
            sorted(
                [
                    *sign(payload, keys.ann).signatures,
                    Signature("0" * 64, keys.ann.sign(pae(PAYLOAD_TYPE, payload))),
                ]
            )
        ),
    )
    assert "found 1: key-0" in refusal(policy(2, keys.ann, keys.bob), twice)


def test_a_revoked_key_does_not_count(keys: Keys) -> None:
    trust = policy(1, keys.ann, keys.bob, revoked=(keys.ann,))
    payload = RELEASE.statement()
    assert refusal(trust, sign(payload, keys.ann)) == (
        "b.tar: signed by nothing but revoked keys: key-0"
    )
    verdict = check(trust, sign(payload, keys.ann, keys.bob))
    assert verdict == Verdict(RELEASE, ("key-1",), (), (keys.ann.public.fingerprint,))


def test_a_revoked_key_is_named_where_a_threshold_is_not_met(keys: Keys) -> None:
    trust = policy(2, keys.ann, keys.bob, revoked=(keys.ann,))
    assert refusal(trust, sign(RELEASE.statement(), keys.ann, keys.bob)) == (
        "b.tar: expected signatures by 2 different keys, found 1: key-1, besides the revoked key-0"
    )


def test_a_revoked_key_that_no_rule_lists_is_named(keys: Keys) -> None:
    trust = policy(1, keys.ann, revoked=(keys.eve,))
    eve = keys.eve.public.fingerprint
    assert f"signed by {eve} (revoked); expected" in refusal(
        trust, sign(RELEASE.statement(), keys.eve)
    )
    verdict = check(trust, sign(RELEASE.statement(), keys.ann, keys.eve))
    assert (verdict.unknown, verdict.revoked) == ((), (eve,))


def test_a_signature_over_other_bytes_is_refused(keys: Keys) -> None:
    other = sign(replace(RELEASE, version="1.4.1").statement(), keys.ann)
    moved = Envelope(RELEASE.statement(), other.signatures)
    assert refusal(keys.ann.public, moved).startswith(
        f"slot: the signature by {keys.ann.public.fingerprint} is wrong"
    )


def test_a_signature_over_the_bare_payload_is_refused(keys: Keys) -> None:
    payload = RELEASE.statement()
    bare = Envelope(payload, (Signature(keys.ann.public.keyid, keys.ann.sign(payload)),))
    assert "is wrong" in refusal(keys.ann.public, bare)


def test_a_signature_over_another_payload_type_is_refused(keys: Keys) -> None:
    payload = RELEASE.statement()
    message = pae("application/json", payload)
    other = Envelope(payload, (Signature(keys.ann.public.keyid, keys.ann.sign(message)),))
    assert "is wrong" in refusal(keys.ann.public, other)


def test_a_wrong_signature_is_never_skipped(keys: Keys) -> None:
    """Two good signatures meet the threshold, but somebody tampered with the third."""
    payload = RELEASE.statement()
    wrong = Envelope(payload, (Signature(keys.eve.public.keyid, b"wrong"),))
    trust = policy(2, keys.ann, keys.bob, keys.eve)
    assert refusal(trust, sign(payload, keys.ann, keys.bob), wrong).startswith(
        "b.tar.sig.json: the signature by key-2 is wrong"
    )


def test_a_wrong_second_signature_by_the_same_key_is_refused(keys: Keys) -> None:
    payload = RELEASE.statement()
    wrong = Envelope(payload, (Signature(keys.ann.public.keyid, b"wrong"),))
    assert refusal(keys.ann.public, sign(payload, keys.ann), wrong).startswith("b.tar.sig.json: ")


def test_slot_and_sidecar_over_different_statements_are_refused(keys: Keys) -> None:
    other = replace(RELEASE, version="1.4.1")
    message = refusal(
        keys.ann.public, sign(RELEASE.statement(), keys.ann), sign(other.statement(), keys.ann)
    )
    assert message == "slot and b.tar.sig.json are over different statements"


def test_no_rule_for_the_name(keys: Keys) -> None:
    trust = policy(1, keys.ann, names=("other-*",))
    assert refusal(trust, sign(RELEASE.statement(), keys.ann)) == (
        "b.tar: no rule of the trust policy covers the name 'movie-search'"
    )


def test_a_forged_name_only_chooses_whose_keys_must_have_signed(keys: Keys) -> None:
    """Eve may sign toys; calling a movie a toy makes it a toy, signed by Eve, and no movie."""
    movies = policy(1, keys.ann, names=("movie-*",)).rules[0]
    toys = policy(1, keys.eve, names=("toy-*",)).rules[0]
    trust = TrustPolicy(rules=(movies, toys), revoked=frozenset())
    toy = replace(RELEASE, name="toy-search")
    assert check(trust, sign(toy.statement(), keys.eve)).release.name == "toy-search"
    assert "signed by" in refusal(trust, sign(RELEASE.statement(), keys.eve))


def test_the_first_rule_decides(keys: Keys) -> None:
    strict = policy(2, keys.ann, keys.bob, names=("movie-*",)).rules[0]
    lax = policy(1, keys.ann, names=("*",)).rules[0]
    trust = TrustPolicy(rules=(strict, lax), revoked=frozenset())
    assert "expected signatures by 2" in refusal(trust, sign(RELEASE.statement(), keys.ann))


@pytest.mark.parametrize("lowest", ["1.4.0", "1.4.0-rc.1", "0.9.0"])
def test_a_version_that_is_new_enough(keys: Keys, lowest: str) -> None:
    trust = policy(1, keys.ann, min_version=lowest)
    assert check(trust, sign(RELEASE.statement(), keys.ann)).release == RELEASE


@pytest.mark.parametrize("lowest", ["1.4.1", "1.10.0", "2.0.0-rc.1"])
def test_a_version_that_is_too_old(keys: Keys, lowest: str) -> None:
    trust = policy(1, keys.ann, min_version=lowest)
    assert f"version 1.4.0 is older than {lowest}" in refusal(
        trust, sign(RELEASE.statement(), keys.ann)
    )


def test_a_rule_that_was_chosen_for_another_name_is_not_used(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust_module, "claimed_name", lambda payload: "movie-other")
    message = refusal(policy(1, keys.ann), sign(RELEASE.statement(), keys.ann))
    assert message == "b.tar: the rule was chosen for 'movie-other', not 'movie-search'"


def _bent(bend: Callable[[dict[str, Any]], object]) -> bytes:
    data = statement()
    bend(data)
    return encode(data)


STATEMENTS = {
    "a failed test report": (
        _bent(lambda data: data.update(predicateType="https://in-toto.io/attestation/test-result")),
        "predicateType: expected",
    ),
    "another subject": (
        _bent(lambda data: data["subject"][0].update(name="oci-layout")),
        "subject[0].name: expected",
    ),
    "two subjects": (
        _bent(lambda data: data["subject"].append(data["subject"][0])),
        "expected exactly one subject, found 2",
    ),
    "no subject": (_bent(lambda data: data.update(subject=[])), "exactly one subject, found 0"),
    "an unknown field": (_bent(lambda data: data.update(note="")), "unknown member 'note'"),
    "an unknown field of the subject": (
        _bent(lambda data: data["subject"][0].update(note="")),
        "unknown member 'note'",
    ),
    "an unknown field of the predicate": (
        _bent(lambda data: data["predicate"].update(note="")),
        "unknown member 'note'",
    ),
    "a second digest": (
        _bent(lambda data: data["subject"][0]["digest"].update(sha512="0" * 128)),
        "unknown member 'sha512'",
    ),
    "another spelling": (RELEASE.statement() + b"\n", "not in its canonical spelling"),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_well_signed_statement_that_is_no_release_is_refused(keys: Keys, name: str) -> None:
    payload, problem = STATEMENTS[name]
    envelope = sign(payload, keys.ann)
    assert problem in refusal(keys.ann.public, envelope)
    assert problem in refusal(policy(1, keys.ann), envelope)


HOSTILE = {
    "nothing": b"",
    "not UTF-8": b"\xff",
    "deep": b"[" * 40_000,
    "two names": b'{"predicate":{"name":"movie-search"},"predicate":{"name":"toy"}}',
    "a name that is no string": b'{"predicate":{"name":{}}}',
    "a zero byte": b'{"predicate":{"name":"movie-\\u0000"}}',
    "nothing but a name": b'{"predicate":{"name":"movie-search"}}',
    "a huge number": b"9" * 40_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_before_signatures_are_verified_a_payload_can_do_no_harm(keys: Keys, name: str) -> None:
    """Nobody vouches for it: refused for its signatures, or because it names no bundle."""
    envelope = sign(HOSTILE[name], keys.eve)
    assert "signed by sha256:" in refusal(keys.ann.public, envelope)
    problem = "signed by sha256:" if name == "nothing but a name" else "the signed statement"
    assert problem in refusal(policy(1, keys.ann), envelope)


def test_the_statement_is_not_looked_at_before_the_signatures_hold(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse_statement(payload: bytes) -> Release:
        raise AssertionError("interpreted what nobody vouched for")

    monkeypatch.setattr(trust_module, "parse_statement", parse_statement)
    payload = RELEASE.statement()
    wrong = Envelope(payload, (Signature(keys.ann.public.keyid, b"wrong"),))
    for trust in (keys.ann.public, policy(1, keys.ann, min_version="9.0.0")):
        assert "is wrong" in refusal(trust, wrong)
        assert "signed by" in refusal(trust, sign(payload, keys.eve))


def test_every_bit_of_a_signed_envelope_matters(key: PrivateKey) -> None:
    release = Release("a", "0.0.1", Digest.of(b""), 1)
    data = sign(release.statement(), key).dump()
    assert check(key.public, parse(data, "x")).release == release
    accepted = []
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            check(key.public, parse(bytes(flipped), "x"))
        except TrustError:
            continue
        accepted.append(bit)
    assert accepted == []


def test_every_bit_of_the_padding_of_a_slot_matters(keys: Keys) -> None:
    envelope = sign(RELEASE.statement(), keys.ann)
    slot = envelope.slot()
    for place in (len(envelope.dump()), len(slot) // 2, len(slot) - 1):
        for bit in range(8):
            flipped = bytearray(slot)
            flipped[place] ^= 1 << bit
            with pytest.raises(TrustError):
                read_slot(bytes(flipped))


def test_a_key_of_the_policy_that_is_none_is_named(keys: Keys) -> None:
    rule = policy(1, keys.ann).rules[0]
    broken = replace(rule.keys[0], id="release-2026", pem="nothing")
    trust = TrustPolicy(rules=(TrustRule(rule.names, 1, (broken,), None),), revoked=frozenset())
    with pytest.raises(BundlerError, match="key 'release-2026' of the trust policy: ") as refused:
        check(trust, sign(RELEASE.statement(), keys.ann))
    assert refused.value.exit_code == 2
