"""Programs that know nothing of us judge our envelopes as we do."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bundler.core.digest import Digest
from bundler.core.release import PREDICATE_TYPE, Release
from bundler.sign.envelope import Envelope, Signature
from bundler.sign.keys import Algorithm, PrivateKey
from tests.making import signed
from tests.sign.conftest import Keys

INDEX = b'{"schemaVersion":2}'
RELEASE = Release("movie-search", "1.4.0", Digest.of(INDEX), len(INDEX))

Tool = Callable[[str], Path]


@pytest.fixture
def dsse_check(tool: Tool, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """go-securesystemslib's verdict on an envelope, by so many of these keys."""

    def check(
        envelope: bytes, *keys: PrivateKey, threshold: int = 1
    ) -> subprocess.CompletedProcess[str]:
        (tmp_path / "envelope.json").write_bytes(envelope)
        for key in keys:
            (tmp_path / f"{key.public.keyid}.pem").write_bytes(key.public.pem())
        pems = [str(tmp_path / f"{key.public.keyid}.pem") for key in keys]
        return _run(
            tool("dsse-check"), "-threshold", str(threshold), str(tmp_path / "envelope.json"), *pems
        )

    return check


def _run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(program), *arguments], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.needs("dsse-check")
def test_go_accepts_a_signature_of_each_kind(
    key: PrivateKey, dsse_check: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    verdict = dsse_check(signed(RELEASE.statement(), key).dump(), key)
    assert (verdict.returncode, verdict.stdout) == (0, f"{key.public.keyid}\n"), verdict.stderr


@pytest.mark.needs("dsse-check")
def test_go_accepts_a_slot_with_its_spaces(
    keys: Keys, dsse_check: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    verdict = dsse_check(signed(RELEASE.statement(), keys.ann).slot(), keys.ann)
    assert verdict.returncode == 0, verdict.stderr


@pytest.mark.needs("dsse-check")
def test_go_counts_as_we_count(
    keys: Keys, dsse_check: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    two = signed(RELEASE.statement(), keys.ann, keys.bob).dump()
    assert dsse_check(two, *keys, threshold=2).returncode == 0
    assert dsse_check(two, *keys, threshold=3).returncode == 1
    assert dsse_check(two, keys.eve).returncode == 1


@pytest.mark.needs("dsse-check")
def test_go_refuses_a_flipped_signature(
    key: PrivateKey, dsse_check: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    envelope = signed(RELEASE.statement(), key)
    sig = envelope.signatures[0].sig
    accepted = []
    for place in (0, len(sig) // 2, len(sig) - 1):
        flipped = sig[:place] + bytes([sig[place] ^ 1]) + sig[place + 1 :]
        other = Envelope(envelope.payload, (Signature(key.public.keyid, flipped),))
        if dsse_check(other.dump(), key).returncode != 1:
            accepted.append(place)
    assert accepted == []


@pytest.mark.needs("dsse-check")
def test_go_refuses_other_bytes(
    key: PrivateKey, dsse_check: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    moved = Envelope(
        replace(RELEASE, version="1.4.1").statement(),
        signed(RELEASE.statement(), key).signatures,
    )
    assert dsse_check(moved.dump(), key).returncode == 1


@pytest.fixture
def cosign(tool: Tool, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """cosign's verdict on an envelope about a blob, without its transparency log."""

    def check(envelope: Envelope, key: PrivateKey, blob: bytes) -> subprocess.CompletedProcess[str]:
        (tmp_path / "b.tar.sig.json").write_bytes(envelope.dump())
        (tmp_path / "release.pub").write_bytes(key.public.pem())
        (tmp_path / "index.json").write_bytes(blob)
        return _run(
            tool("cosign"),
            "verify-blob-attestation",
            "--insecure-ignore-tlog",
            "--key",
            str(tmp_path / "release.pub"),
            "--type",
            PREDICATE_TYPE,
            "--signature",
            str(tmp_path / "b.tar.sig.json"),
            str(tmp_path / "index.json"),
        )

    return check


@pytest.mark.needs("cosign")
def test_cosign_accepts_a_p256_signature(
    keys: Keys, cosign: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    verdict = cosign(signed(RELEASE.statement(), keys.ann), keys.ann, INDEX)
    assert verdict.returncode == 0, verdict.stderr
    assert "Verified OK" in verdict.stderr


@pytest.mark.needs("cosign")
def test_cosign_refuses_what_we_refuse(
    keys: Keys, cosign: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    envelope = signed(RELEASE.statement(), keys.ann)
    other = json.loads(RELEASE.statement()) | {"predicateType": "https://example.com/test/v1"}
    assert cosign(envelope, keys.eve, INDEX).returncode != 0
    assert cosign(envelope, keys.ann, INDEX + b"\n").returncode != 0
    assert cosign(signed(json.dumps(other).encode(), keys.ann), keys.ann, INDEX).returncode != 0


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_openssl_opens_our_private_keys(tool: Tool, tmp_path: Path, algorithm: Algorithm) -> None:
    key = PrivateKey.generate(algorithm)
    (tmp_path / "release.key").write_bytes(key.encrypted_pem(b"correct horse"))
    opened = _run(
        tool("openssl"),
        "pkey",
        "-pubout",
        "-passin",
        "pass:correct horse",
        "-in",
        str(tmp_path / "release.key"),
    )
    assert opened.stdout == key.public.pem().decode(), opened.stderr
