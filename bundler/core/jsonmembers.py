"""The members of a large JSON object one at a time, never all of it as Python values.

A parser makes some sixty bytes of every three in ``[[],[],[],…``; here a value is found, and the
caller decides whether it is worth parsing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

_MAX_DEPTH = 64
# A string matches to its end or, without its last quote, to the end of the text: what is open
# must not be looked through again from each of its bytes.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+("?)'
_NAME = re.compile(_STRING, re.DOTALL)
_SCALAR = re.compile(_STRING + rb'|[^\s"\[\]{},:]++', re.DOTALL)
_NESTING = re.compile(_STRING + rb"|[\[\]{}]", re.DOTALL)
_SPACE = re.compile(rb"[ \t\n\r]*+")
_CLOSES = {b"]": b"[", b"}": b"{"}


class Span(NamedTuple):
    """Where a value's text lies, from `begin` up to `end`."""

    begin: int
    end: int


def object_members(data: bytes, span: Span | None = None) -> Iterator[tuple[str, Span]]:
    """Each name of the JSON object at `span` (default: all of `data`), and where its value lies.

    Of values only the extent is certain: strings end, brackets match. ValueError when it is not
    one object and nothing besides, is not UTF-8, or a name holds half of a surrogate pair.
    """
    begin, end = span or (0, len(data))
    position = _past(data, _space(data, begin), b"{")
    if data[position : position + 1] != b"}":
        while True:
            name, position = _name(data, position)
            value = Span(position, _value_end(data, position, end))
            yield name, value
            position = _space(data, value.end)
            if data[position : position + 1] != b",":
                break
            position = _space(data, position + 1)
    if _past(data, position, b"}") != _space(data, end):
        raise ValueError(f"expected nothing behind the object, at byte {position + 1}")


def string(data: bytes, span: Span) -> str:
    """The JSON string at `span`; ValueError when it is none, or half of a pair is in it."""
    text = json.loads(data[span.begin : span.end].decode("utf-8"))
    if not isinstance(text, str):
        raise ValueError(f"expected a string at byte {span.begin}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"{text!r:.100} holds half of a surrogate pair") from None
    return text


def _name(data: bytes, position: int) -> tuple[str, int]:
    match = _NAME.match(data, position)
    if match is None or not match[1]:
        raise ValueError(f"expected a name in quotes at byte {position}")
    name = string(data, Span(position, match.end()))
    return name, _past(data, _space(data, match.end()), b":")


def _value_end(data: bytes, position: int, end: int) -> int:
    if data[position : position + 1] not in (b"[", b"{"):
        match = _SCALAR.match(data, position, end)
        if match is None or match[1] == b"":
            raise ValueError(f"expected a value at byte {position}")
        return match.end()
    opened: list[bytes] = []
    for match in _NESTING.finditer(data, position, end):
        token = match[0]
        if token in _CLOSES:
            if opened.pop() != _CLOSES[token]:
                raise ValueError(f"brackets do not match at byte {match.start()}")
            if not opened:
                return match.end()
        elif token in (b"[", b"{"):
            opened.append(token)
            if len(opened) > _MAX_DEPTH:
                raise ValueError(f"is nested deeper than {_MAX_DEPTH} levels")
    raise ValueError(f"what begins at byte {position} has no end")


def _past(data: bytes, position: int, token: bytes) -> int:
    """Behind `token`, which has to stand at `position`, and behind the space that follows."""
    if data[position : position + 1] != token:
        raise ValueError(f"expected {token.decode()!r} at byte {position}")
    return _space(data, position + 1)


def _space(data: bytes, position: int) -> int:
    match = _SPACE.match(data, position)
    return match.end() if match else position
