"""A digest exists only once parsed; a descriptor says what bytes are."""

from __future__ import annotations

import hashlib

import pytest

from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError

HEX = hashlib.sha256(b"some bytes").hexdigest()


def test_a_digest_is_read_as_it_is_written() -> None:
    digest = Digest.parse(f"sha256:{HEX}")
    assert digest == Digest.of(b"some bytes")
    assert (digest.hex, str(digest)) == (HEX, f"sha256:{HEX}")


@pytest.mark.parametrize(
    "text",
    [
        "", HEX, f"sha256:{HEX[:-1]}", f"sha256:{HEX}0", f"sha256:{HEX.upper()}", f"SHA256:{HEX}",
        f"sha512:{HEX}", f"sha256:{HEX}\n", f" sha256:{HEX}", f"sha256:{'g' * 64}",
        f"sha256:{'٠' * 64}", f"sha256:../../{HEX[6:]}",
    ],
)  # fmt: skip
def test_anything_else_is_no_digest(text: str) -> None:
    with pytest.raises(IntegrityError, match="expected sha256:<64 hex digits>"):
        Digest.parse(text)


def test_a_descriptor_has_the_three_members_of_oci() -> None:
    made = Descriptor.of("text/plain", b"some bytes")
    assert made == Descriptor("text/plain", Digest(HEX), 10)
    assert made.to_json() == {"mediaType": "text/plain", "digest": f"sha256:{HEX}", "size": 10}
