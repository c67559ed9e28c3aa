"""Versions of bundles: SemVer 2.0.0 (semver.org), without build metadata.

Two versions that differ in build metadata alone would be equal in precedence and different in
bytes; a bundle's version must say which of two is newer, so there is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering

_NUMBER = r"0|[1-9][0-9]{0,15}"
_IDENTIFIER = r"0|[1-9][0-9]{0,15}|[0-9]*[A-Za-z-][0-9A-Za-z-]*"
PATTERN = rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-((?:{_IDENTIFIER})(?:\.(?:{_IDENTIFIER}))*))?"
MAX_LENGTH = 64

_VERSION = re.compile(PATTERN)


@total_ordering
@dataclass(frozen=True)
class Version:
    """A version, ordered as section 11 of SemVer 2.0.0 orders them; `str()` is its spelling."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Version:
        """The version written as `text`, 64 characters at most; ValueError with a reason if not."""
        if "+" in text:
            raise ValueError("holds build metadata (+…), which a bundle's version can't have")
        if len(text) > MAX_LENGTH or not _VERSION.fullmatch(text):
            raise ValueError('is not a SemVer 2 version such as "1.4.0" or "2.0.0-rc.1"')
        return cls(text)

    def __str__(self) -> str:
        return self.text

    def __lt__(self, other: Version) -> bool:
        return self._precedence() < other._precedence()

    def _precedence(self) -> tuple[tuple[int, ...], bool, tuple[tuple[bool, int, str], ...]]:
        """The numbers, then "is a release" (a pre-release comes first), then its identifiers."""
        core, _, pre = self.text.partition("-")
        identifiers = tuple(
            (False, int(part), "") if part.isdigit() else (True, 0, part)
            for part in (pre.split(".") if pre else ())
        )
        return tuple(int(part) for part in core.split(".")), not pre, identifiers
