"""What the value of a field must satisfy beyond its type, and how JSON Schema says the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

from bundler.core import version

if TYPE_CHECKING:
    from bundler.core.yamltext import Path

LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
HOST = rf"{LABEL}(\.{LABEL})*"


class Problem(NamedTuple):
    """What is wrong, at a path from the value that was checked, and perhaps what to do."""

    path: Path
    text: str
    hint: str | None = None


@dataclass(frozen=True)
class Check:
    """Stands in a field's ``Annotated``, after its type.

    `problems` yields what is wrong with a value of that type; `schema` holds the keywords of
    JSON Schema that refuse the same, as far as there are any.
    """

    problems: Callable[[Any], Iterator[Problem]]
    schema: Mapping[str, Any]


def matches(pattern: str, what: str, longest: int = 1024) -> Check:
    """A string of at most `longest` characters that `pattern` matches from end to end."""

    def problems(value: str) -> Iterator[Problem]:
        if len(value) > longest:
            yield Problem((), f"has {len(value)} characters, more than {longest}")
        elif not re.fullmatch(pattern, value):
            yield Problem((), f"is {shown(value)}, expected {what}")

    return Check(problems, {"pattern": f"^(?:{pattern})$", "maxLength": longest})


def at_least(least: int) -> Check:
    """A number that is not below `least`, or a list with at least so many items."""

    def problems(value: int | tuple[object, ...]) -> Iterator[Problem]:
        if isinstance(value, tuple) and len(value) < least:
            yield Problem((), f"has {len(value)} items, expected at least {least}")
        elif isinstance(value, int) and value < least:
            yield Problem((), f"is {value}, expected at least {least}")

    return Check(problems, {"minimum": least, "minItems": least})


def unique(by: str | None = None) -> Check:
    """A list without two equal items or, with `by`, without two items that share that field."""

    def problems(value: tuple[object, ...]) -> Iterator[Problem]:
        first: dict[object, int] = {}
        for index, item in enumerate(value):
            key = item if by is None else getattr(item, by)
            if (earlier := first.setdefault(key, index)) != index:
                path: Path = (index,) if by is None else (index, by)
                what = f"is {shown(key)}" if isinstance(key, str) else "is the same"
                yield Problem(path, f"{what}, as item {earlier} is already")

    return Check(problems, {"uniqueItems": True})


def _version(value: str) -> Iterator[Problem]:
    try:
        version.Version.parse(value)
    except ValueError as error:
        yield Problem((), f"is {shown(value)}, which {error}")


def _inside(value: str) -> Iterator[Problem]:
    parts = value.split("/")
    if "\\" in value or any(ord(char) < 32 for char in value) or {"", ".", ".."} & set(parts):
        expected = "a path inside this document's folder, such as policies/default.yaml"
        yield Problem((), f"is {shown(value)}, expected {expected}")


def _day(value: str) -> Iterator[Problem]:
    try:
        written_so = date.fromisoformat(value).isoformat() == value
    except ValueError:
        written_so = False
    if not written_so:
        yield Problem((), f"is {shown(value)}, expected a day, written YYYY-MM-DD")


def shown(text: str) -> str:
    """`text` in quotes, escaped, and cut where it is long, for a message."""
    return repr(text if len(text) <= 80 else text[:77] + "…")


_PART = r"(?!\.{1,2}(?:/|$))[^/\\\x00-\x1f]+"

LINE = matches(r"[^\x00-\x1f\x7f]*[^\s\x7f][^\x00-\x1f\x7f]*", "one line of text")
NAME = matches(LABEL, "lower-case letters, digits and inner dashes", 63)
SEMVER = Check(_version, {"pattern": f"^(?:{version.PATTERN})$", "maxLength": version.MAX_LENGTH})
INSIDE = Check(_inside, {"pattern": f"^{_PART}(?:/{_PART})*$"})
DAY = Check(_day, {"format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"})
