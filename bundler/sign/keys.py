"""Key pairs: ECDSA P-256 (the default) and P-384, Ed25519; private keys rest as PKCS#8 in PEM.

ECDSA signatures are DER over SHA-256 (P-256) or SHA-384 (P-384); Ed25519 signs the data itself.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, PublicFormat

from bundler.core.errors import UsageError

MAX_PEM_SIZE = 16 * 1024
_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")

_Public = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
_Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class Algorithm(StrEnum):
    """The kinds of keys, by the name that `keygen` and error messages use."""

    P256 = "p256"
    P384 = "p384"
    ED25519 = "ed25519"


@dataclass(frozen=True)
class PublicKey:
    """A public key that can verify; two are equal when their SPKI is (RFC 5280, 4.1.2.7).

    `spki` is the SubjectPublicKeyInfo in DER; build one with `parse` or `load`.
    """

    spki: bytes
    algorithm: Algorithm

    @classmethod
    def parse(cls, pem: bytes | str, what: str = "the public key") -> PublicKey:
        """The one ``PUBLIC KEY`` block that `pem` consists of; UsageError naming `what`."""
        data = pem.encode() if isinstance(pem, str) else pem
        _check_block(data, ("PUBLIC KEY",), what)
        try:
            key = serialization.load_pem_public_key(data)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise UsageError(f"{what}: is no public key in PEM: {error}") from error
        return _public(key, what)

    @classmethod
    def load(cls, path: Path) -> PublicKey:
        """The key in the file `path`; UsageError when it can't be read."""
        return cls.parse(_read(path), str(path))

    @property
    def keyid(self) -> str:
        """The hex sha256 of the SPKI in DER."""
        return hashlib.sha256(self.spki).hexdigest()

    @property
    def fingerprint(self) -> str:
        """The key id as people and trust policies write it: ``sha256:<hex>``."""
        return f"sha256:{self.keyid}"

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over `data`."""
        key = serialization.load_der_public_key(self.spki)
        try:
            if isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(signature, data, _ecdsa(self.algorithm))
            elif isinstance(key, ed25519.Ed25519PublicKey):
                key.verify(signature, data)
            else:
                raise AssertionError(self.algorithm)
        except InvalidSignature:
            return False
        return True

    def pem(self) -> bytes:
        """The key as a ``PUBLIC KEY`` block."""
        key = serialization.load_der_public_key(self.spki)
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class PrivateKey:
    """A private key that can sign; it never prints itself."""

    def __init__(self, key: _Private, what: str) -> None:
        self._key = key
        self.public = _public(key.public_key(), what)

    @classmethod
    def generate(cls, algorithm: Algorithm) -> PrivateKey:
        """A new key from the operating system's random source."""
        if algorithm is Algorithm.ED25519:
            return cls(ed25519.Ed25519PrivateKey.generate(), "the new key")
        curve = ec.SECP256R1() if algorithm is Algorithm.P256 else ec.SECP384R1()
        return cls(ec.generate_private_key(curve), "the new key")

    @classmethod
    def load(cls, path: Path, passphrase: bytes | None) -> PrivateKey:
        """The key in the PKCS#8 file `path`; `passphrase` is looked at only when it is encrypted.

        UsageError when the file can't be read, holds no such key, or the passphrase is wrong.
        """
        data = _read(path)
        password = passphrase
        if not _check_private(data, str(path)):
            password = None
        elif not passphrase:
            raise UsageError(f"{path}: is encrypted, and the passphrase is missing or empty")
        try:
            key = serialization.load_pem_private_key(data, password)
        except (ValueError, UnsupportedAlgorithm) as error:
            problem = "the passphrase is wrong, or the file is damaged" if password else str(error)
            raise UsageError(f"{path}: can't be read as a private key: {problem}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
            raise _unsupported(str(path))
        return cls(key, str(path))

    def sign(self, data: bytes) -> bytes:
        """A signature over `data`; ECDSA's differ from call to call."""
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(data)
        return self._key.sign(data, _ecdsa(self.public.algorithm))

    def encrypted_pem(self, passphrase: bytes | None) -> bytes:
        """The key as PKCS#8, encrypted with `passphrase`, or in the clear when that is None.

        The encryption is PBES2: PBKDF2 with SHA-256, AES-256-CBC (RFC 8018). UsageError when
        the passphrase is empty.
        """
        if passphrase == b"":
            raise UsageError("the passphrase is empty", "choose one, or say --no-passphrase")
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase is not None:
            encryption = serialization.BestAvailableEncryption(passphrase)
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def is_encrypted(path: Path) -> bool:
    """Whether the private key in `path` needs a passphrase; UsageError when it holds none."""
    return _check_private(_read(path), str(path))


def _public(key: object, what: str) -> PublicKey:
    if isinstance(key, ed25519.Ed25519PublicKey):
        algorithm = Algorithm.ED25519
    elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        algorithm = Algorithm.P256
    elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP384R1):
        algorithm = Algorithm.P384
    else:
        raise _unsupported(what)
    # Written anew: a compressed point would give the same key a second id.
    return PublicKey(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), algorithm)


def _unsupported(what: str) -> UsageError:
    return UsageError(
        f"{what}: is a key of a kind that can't be used here; expected ECDSA P-256, "
        "ECDSA P-384 or Ed25519",
        "make one with airbundle keygen",
    )


def _ecdsa(algorithm: Algorithm) -> ec.ECDSA:
    return ec.ECDSA(hashes.SHA384() if algorithm is Algorithm.P384 else hashes.SHA256())


def _check_private(pem: bytes, what: str) -> bool:
    label = _check_block(pem, ("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), what)
    return label.startswith("ENCRYPTED")


def _check_block(pem: bytes, labels: tuple[str, ...], what: str) -> str:
    """The label of the only PEM block in `pem`: with two, readers differ on which one counts."""
    found: list[str] = [label.decode("ascii") for label in _BEGIN.findall(pem)]
    if len(found) != 1:
        raise UsageError(f"{what}: expected one PEM block, found {len(found)}")
    if found[0] not in labels:
        expected = " or ".join(labels)
        raise UsageError(f"{what}: expected a PEM block {expected}, found {found[0]}")
    return found[0]


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PEM_SIZE + 1)
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}") from error
    if len(data) > MAX_PEM_SIZE:
        raise UsageError(f"{path}: is longer than {MAX_PEM_SIZE} bytes, so it is no key")
    return data
