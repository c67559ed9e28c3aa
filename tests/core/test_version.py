"""Versions: SemVer 2 without build metadata, in its order."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bundler.core.version import Version

# The first eight are the example of section 11 of SemVer 2.0.0.
ASCENDING = [
    "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
    "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1-0", "1.0.1--", "1.0.1", "1.2.0", "1.10.0",
    "2.0.0-1", "2.0.0-A", "2.0.0-a", "2.0.0-a-b.00a", "10.0.0",
]  # fmt: skip


@pytest.mark.parametrize(("low", "high"), list(pairwise(ASCENDING)))
def test_order(low: str, high: str) -> None:
    assert Version.parse(low) < Version.parse(high)
    assert Version.parse(high) > Version.parse(low)
    assert not Version.parse(high) <= Version.parse(low)


@pytest.mark.parametrize("text", ASCENDING)
def test_a_version_is_its_text(text: str) -> None:
    assert str(Version.parse(text)) == text
    assert Version.parse(text) == Version.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "1", "1.4", "1.4.0.0", "v1.4.0", "01.4.0", "1.4.00", "1.4.0-", "1.4.0-a..b",
        "1.4.0-01", "1.4.0-ä", "1.4.x", " 1.4.0", "1.4.0\n", "1.4.٣", "1.4.0-" + "a" * 64,
        "1.4." + "9" * 17,
    ],
)  # fmt: skip
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a SemVer 2 version"):
        Version.parse(text)


def test_build_metadata_is_refused() -> None:
    with pytest.raises(ValueError, match="build metadata"):
        Version.parse("1.4.0+2026")
