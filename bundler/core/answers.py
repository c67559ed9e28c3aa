"""Whether the answer to a smoke question is the one that the bundle expects."""

from __future__ import annotations

import json
from collections.abc import Iterable

from bundler.core.documents.smoke import Expected
from bundler.core.objects import jsonpointer
from bundler.core.oneline import one_line

_LONGEST = 200
_NAMES: dict[type, str] = {
    dict: "object",
    list: "array",
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    type(None): "null",
}


def disagreement(expected: Iterable[Expected], body: bytes) -> str | None:
    """How `body` differs from what is `expected` of it, in words; None where it doesn't.

    Where nothing is expected, any bytes will do.
    """
    wanted = tuple(expected)
    if not wanted:
        return None
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return "expected JSON, found something else"
    return next((found for each in wanted if (found := _problem(each, answer))), None)


def _problem(expected: Expected, answer: object) -> str | None:
    place = expected.pointer or "the answer"
    try:
        value = jsonpointer.get(answer, expected.pointer)
    except KeyError:
        return f"{place}: expected a value, found none"
    found = _NAMES[type(value)]
    if expected.type not in (None, found):
        return f"{place}: expected {_article(str(expected.type))}, found {_article(found)}"
    if expected.length is not None:
        if not isinstance(value, dict | list | str):
            return f"{place}: expected what has a length, found {_article(found)}"
        if len(value) != expected.length:
            return f"{place}: expected a length of {expected.length}, found one of {len(value)}"
    if expected.equals is not None and not _same(expected.equals, value):
        return f"{place}: expected {_shown(expected.equals)}, found {_shown(value)}"
    return None


def _same(wanted: object, found: object) -> bool:
    """True is no 1, as in JSON; 1.0 is 1."""
    return wanted == found and isinstance(wanted, bool) == isinstance(found, bool)


def _shown(value: object) -> str:
    return one_line(json.dumps(value, ensure_ascii=False), _LONGEST)


def _article(name: str) -> str:
    if name == "null":
        return name
    return f"{'an' if name[0] in 'ao' else 'a'} {name}"
