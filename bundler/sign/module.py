"""Which cryptography is loaded, and whether it is held to what FIPS 140 approves."""

from __future__ import annotations

from cryptography.hazmat.backends import default_backend
from cryptography.hazmat.primitives import hashes


def loaded_module() -> tuple[str, bool]:
    """The OpenSSL that signs and verifies (``OpenSSL 3.5.0 8 Apr 2025``), and whether its FIPS
    provider is in force: then MD5, which FIPS does not approve, is refused.
    """
    backend = default_backend()
    return backend.openssl_version_text(), not backend.hash_supported(hashes.MD5())
