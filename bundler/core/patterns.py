"""Regular expressions that a document brings along, bounded before anything is matched.

Python's `re` tries the ways in which a text may match one after the other, and somebody else's
pattern may have more ways than there is time: ``(a+)+``, ``(a|a)*``, ``.*.*.*.*x``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PATTERN_LENGTH = 256
VALUE_LENGTH = 1024

# Ways to match the longest value: seconds at the very worst.
_WAYS = 4_000_000
_ATOM = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[^()|]", re.DOTALL)
_OPEN = re.compile(r"\((?:\?(?:[:=!>]|<[=!]|P<\w+>|[aims]+:))?")
_QUANTIFIER = re.compile(r"(?:([*+?])|\{(\d*)(,?)(\d*)\})[?+]?")


class _TooManyError(Exception):
    """There are more ways than `_WAYS`, or they can't be counted."""


def problem(pattern: str) -> str | None:
    """What is wrong with `pattern`, which `re.compile` takes; None when it may be used.

    Counted are the ways in which it could match `VALUE_LENGTH` characters: the choices of each
    quantifier and alternative, multiplied. That is too many wherever quantifiers are nested.
    """
    if len(pattern) > PATTERN_LENGTH:
        return f"has {len(pattern)} characters, expected {PATTERN_LENGTH} at most"
    try:
        counter = _Counter(pattern)
        counter.alternatives()
    except (_TooManyError, RecursionError):
        return "may take too long to match: it has nested quantifiers, or too many in a row"
    return None


@dataclass
class _Counter:
    pattern: str
    at: int = 0

    def alternatives(self) -> int:
        """The ways of what stands here up to the end or a closing parenthesis."""
        ways, total = 1, 0
        while self.at < len(self.pattern) and self.pattern[self.at] != ")":
            if self.pattern[self.at] == "|":
                self.at += 1
                ways, total = 1, total + ways
            else:
                ways = _bounded(ways * self._repeated(self._item()))
        return total + ways

    def _item(self) -> int:
        group = _OPEN.match(self.pattern, self.at)
        if group is None:
            atom = _ATOM.match(self.pattern, self.at)
            if atom is None:
                raise _TooManyError
            self.at = atom.end()
            return 1
        self.at = group.end()
        # Any other extension, of which few are needed: flags, conditions, references.
        if self.pattern.startswith("?", self.at):
            raise _TooManyError
        ways = self.alternatives()
        self.at += 1
        return ways

    def _repeated(self, ways: int) -> int:
        found = _QUANTIFIER.match(self.pattern, self.at)
        if found is None or (found[0].startswith("{") and not (found[2] or found[4])):
            return ways
        self.at = found.end()
        least, most = _bounds(found)
        # The sum of ways ** n for each number n of repetitions.
        total, power = 0, _bounded(ways ** min(least, VALUE_LENGTH))
        for _ in range(least, most + 1):
            total = _bounded(total + power)
            power *= ways
        return max(total, 1)


def _bounds(quantifier: re.Match[str]) -> tuple[int, int]:
    least = {"*": 0, "+": 1, "?": 0}.get(quantifier[1] or "", int(quantifier[2] or 0))
    if quantifier[1]:
        return least, 1 if quantifier[1] == "?" else VALUE_LENGTH
    most = int(quantifier[4] or VALUE_LENGTH) if quantifier[3] else least
    return least, min(most, VALUE_LENGTH)


def _bounded(ways: int) -> int:
    if ways > _WAYS:
        raise _TooManyError
    return ways
