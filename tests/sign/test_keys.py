"""Key pairs: what they sign, how they rest on a disk, and what is no key."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, PublicFormat

from bundler.core.errors import UsageError
from bundler.sign.keys import Algorithm, PrivateKey, PublicKey, is_encrypted

PASSPHRASE = b"a long passphrase"


def test_a_signature_verifies(key: PrivateKey) -> None:
    assert key.public.verify(b"data", key.sign(b"data"))


def test_a_signature_over_other_bytes_does_not_verify(key: PrivateKey) -> None:
    assert not key.public.verify(b"Data", key.sign(b"data"))


@pytest.mark.parametrize("signature", [b"", b"\0", b"\x30\x00", b"x" * 64, b"x" * 5000])
def test_what_is_no_signature_does_not_verify(key: PrivateKey, signature: bytes) -> None:
    assert not key.public.verify(b"data", signature)


def test_a_signature_with_a_byte_behind_it_does_not_verify(key: PrivateKey) -> None:
    assert not key.public.verify(b"data", key.sign(b"data") + b"\0")


def test_another_key_does_not_verify(key: PrivateKey) -> None:
    other = PrivateKey.generate(key.public.algorithm)
    assert not other.public.verify(b"data", key.sign(b"data"))


@pytest.mark.parametrize(
    ("algorithm", "right", "wrong"),
    [
        (Algorithm.P256, hashes.SHA256(), hashes.SHA384()),
        (Algorithm.P384, hashes.SHA384(), hashes.SHA256()),
    ],
)
def test_the_hash_goes_with_the_curve(
    algorithm: Algorithm, right: hashes.HashAlgorithm, wrong: hashes.HashAlgorithm
) -> None:
    key = PrivateKey.generate(algorithm)
    public = serialization.load_der_public_key(key.public.spki)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    signature = key.sign(b"data")
    public.verify(signature, b"data", ec.ECDSA(right))
    with pytest.raises(InvalidSignature):
        public.verify(signature, b"data", ec.ECDSA(wrong))


def test_the_key_id_is_the_digest_of_the_public_key_info(key: PrivateKey) -> None:
    spki = serialization.load_pem_public_key(key.public.pem()).public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    assert key.public.keyid == hashlib.sha256(spki).hexdigest()
    assert key.public.fingerprint == f"sha256:{key.public.keyid}"


def test_a_public_key_survives_its_pem(key: PrivateKey) -> None:
    assert PublicKey.parse(key.public.pem()) == key.public
    assert PublicKey.parse(key.public.pem().decode()) == key.public


def test_a_compressed_point_is_the_same_key() -> None:
    number = ec.derive_private_key(7, ec.SECP256R1()).public_key()
    point = number.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    # SubjectPublicKeyInfo of id-ecPublicKey, prime256v1, with the point in its short form.
    spki = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + point
    pem = f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(spki).decode()}\n-----END PUBLIC KEY-----"
    assert PublicKey.parse(pem).spki == number.public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


ANY = PrivateKey.generate(Algorithm.P256)

NO_PUBLIC_KEYS = {
    "nothing": (b"", "expected one PEM block, found 0"),
    "no PEM": (b"key", "expected one PEM block, found 0"),
    "two keys": (ANY.public.pem() * 2, "expected one PEM block, found 2"),
    "a private key": (ANY.encrypted_pem(None), "found PRIVATE KEY"),
    "a certificate": (ANY.public.pem().replace(b"PUBLIC KEY", b"CERTIFICATE"), "found CERTIFICATE"),
    "damaged": (ANY.public.pem().replace(b"MFkw", b"MFkx"), "is no public key in PEM"),
    "an RSA key": (_pem(rsa.generate_private_key(65537, 2048)), "ECDSA P-256, ECDSA P-384 or Ed"),
    "another curve": (_pem(ec.generate_private_key(ec.SECP521R1())), "ECDSA P-256, ECDSA P-384"),
}


@pytest.mark.parametrize("name", NO_PUBLIC_KEYS)
def test_what_is_no_public_key_is_refused(name: str) -> None:
    pem, problem = NO_PUBLIC_KEYS[name]
    with pytest.raises(UsageError, match=f"^ann: .*{problem}"):
        PublicKey.parse(pem, "ann")


def test_a_private_key_survives_its_file(key: PrivateKey, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(key.encrypted_pem(PASSPHRASE))
    assert is_encrypted(path)
    assert b"ENCRYPTED" in path.read_bytes()
    assert PrivateKey.load(path, PASSPHRASE).public == key.public


def test_a_private_key_in_the_clear_needs_no_passphrase(key: PrivateKey, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(key.encrypted_pem(None))
    assert not is_encrypted(path)
    assert PrivateKey.load(path, PASSPHRASE).public == key.public
    assert PrivateKey.load(path, None).public == key.public


def test_an_empty_passphrase_is_none(key: PrivateKey) -> None:
    with pytest.raises(UsageError, match="passphrase is empty"):
        key.encrypted_pem(b"")


@pytest.mark.parametrize(
    ("passphrase", "problem"),
    [(None, "missing or empty"), (b"", "missing or empty"), (b"another", "passphrase is wrong")],
)
def test_a_wrong_passphrase_is_refused(
    tmp_path: Path, passphrase: bytes | None, problem: str
) -> None:
    path = tmp_path / "key"
    path.write_bytes(ANY.encrypted_pem(PASSPHRASE))
    with pytest.raises(UsageError, match=problem):
        PrivateKey.load(path, passphrase)


def test_a_private_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(
        rsa.generate_private_key(65537, 2048).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    with pytest.raises(UsageError, match="a kind that can't be used here"):
        PrivateKey.load(path, None)


def test_a_public_key_is_no_private_key(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(ANY.public.pem())
    with pytest.raises(UsageError, match="found PUBLIC KEY"):
        PrivateKey.load(path, None)


def test_a_damaged_private_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(ANY.encrypted_pem(None)[:60] + b"\n-----END PRIVATE KEY-----\n")
    with pytest.raises(UsageError, match="can't be read as a private key"):
        PrivateKey.load(path, None)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="key: can't be read: No such file"):
        PublicKey.load(tmp_path / "key")


def test_a_file_that_is_far_too_long_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(ANY.public.pem() + b"\n" * 20_000)
    with pytest.raises(UsageError, match="is longer than 16384 bytes"):
        PublicKey.load(path)


def test_a_private_key_never_prints_itself(key: PrivateKey) -> None:
    assert repr(key).startswith("<bundler.sign.keys.PrivateKey object")
