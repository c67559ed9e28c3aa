"""`airbundle keygen`: a new key pair."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bundler.core.errors import UsageError
from bundler.sign.keys import Algorithm, PrivateKey

_SHORTEST = 8


@dataclass(frozen=True)
class KeyPair:
    """Where the two halves of a new key are, and the public half's fingerprint."""

    private: Path
    public: Path
    algorithm: Algorithm
    fingerprint: str


def public_path(private: Path) -> Path:
    """Where the public half of `private` goes: ``release.pub`` for ``release.key``.

    A name without ``.key`` keeps all of itself: ``release`` has ``release.pub``.
    """
    return private.with_name(f"{private.name.removesuffix('.key')}.pub")


def check_name(private: Path) -> None:
    """UsageError when `private` is called what a public key is called: it would be handed out."""
    if private.name.endswith(".pub"):
        raise UsageError(
            f"{private}: expected a name for the private key, found that of a public one",
            f"such as {private.with_suffix('.key')}; the public half goes beside it",
        )


def check_absent(private: Path) -> None:
    """UsageError when `private` or its public half exists already: no key is overwritten."""
    for path in (private, public_path(private)):
        if path.exists() or path.is_symlink():
            raise UsageError(f"{path}: exists already", "choose another name, or move it away")


def keygen(private: Path, algorithm: Algorithm, passphrase: bytes | None) -> KeyPair:
    """Makes a key pair: `private`, which only its owner can read, and its public half beside.

    The private key is encrypted with `passphrase`, or not at all when that is None. UsageError
    when either file exists already, its name ends in ``.pub`` or the passphrase has less than 8
    characters (nothing is written then), or when they can't be written.
    """
    check_name(private)
    check_absent(private)
    _check_passphrase(passphrase)
    public = public_path(private)
    key = PrivateKey.generate(algorithm)
    _write_new(private, key.encrypted_pem(passphrase), 0o600)
    _write_new(public, key.public.pem(), 0o644)
    return KeyPair(private, public, algorithm, key.public.fingerprint)


def _check_passphrase(passphrase: bytes | None) -> None:
    length = len((passphrase or b"").decode("utf-8", "replace"))
    if 0 < length < _SHORTEST:  # an empty one has a refusal of its own
        raise UsageError(
            f"the passphrase has {length} characters, expected {_SHORTEST} at least",
            "choose a longer one, or say --no-passphrase",
        )


def _write_new(path: Path, data: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UsageError(f"{path}: can't be written: {error.strerror}") from error
