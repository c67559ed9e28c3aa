"""JSON that every parser reads alike, and its one canonical spelling.

Go's and Python's parsers disagree about duplicate keys, keys that differ in case, lone
surrogates and large numbers; a document with any of these is refused (docs/format.md, "JSON").
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NoReturn

from bundler.core.errors import IntegrityError

MAX_DEPTH = 32
_MAX_INTEGER = 2**53 - 1

# The letters besides A-Z that Go's encoding/json folds onto ASCII field names.
_FOLD = {ord("\u017f"): "s", ord("\u212a"): "k"} | {
    upper: chr(upper + 32) for upper in range(ord("A"), ord("Z") + 1)
}


def parse(data: bytes, what: str) -> Any:
    """The value of the JSON text `data`; `what` names it in an IntegrityError."""

    def refuse(problem: str) -> NoReturn:
        raise IntegrityError(f"{what}: {problem}")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        folded: dict[str, str] = {}
        for key, _ in pairs:
            twin = folded.get(fold(key))
            if twin is not None:
                refuse(f"key {key!r} stands twice, or beside {twin!r}, which differs only in case")
            folded[fold(key)] = key
        return dict(pairs)

    def integer(text: str) -> int:
        if len(text) > 17 or abs(int(text)) > _MAX_INTEGER:
            refuse(f"number {text[:20]} is beyond 2^53-1")
        return int(text)

    def fraction(text: str) -> NoReturn:
        refuse(f"number {text[:20]} is no integer")

    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=unique,
            parse_int=integer,
            parse_float=fraction,
            parse_constant=fraction,
        )
    except UnicodeDecodeError:
        refuse("is not UTF-8")
    except json.JSONDecodeError as error:
        refuse(f"is not JSON: {error.msg} at byte {error.pos}")
    except RecursionError:
        refuse(f"is nested deeper than {MAX_DEPTH} levels")
    _check_depth(value, what)
    if b"\\u" in data:  # only an escape can bring half of a pair
        _check_text(value, what)
    return value


def fold(key: str) -> str:
    """`key` as Go's encoding/json folds it when it looks for an ASCII field name."""
    return key.translate(_FOLD)


def _check_depth(value: object, what: str) -> None:
    level = [value]
    for depth in range(MAX_DEPTH + 2):
        containers = [item for item in level if isinstance(item, dict | list)]
        if not containers:
            return
        if depth == MAX_DEPTH:
            break
        level = [child for item in containers for child in _children(item)]
    raise IntegrityError(f"{what}: is nested deeper than {MAX_DEPTH} levels")


def _check_text(value: object, what: str) -> None:
    level = [value]
    while level:
        for item in level:
            if isinstance(item, str) and any("\ud800" <= char <= "\udfff" for char in item):
                raise IntegrityError(f"{what}: a string holds half of a surrogate pair")
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (*item, *_children(item))  # a dict's keys, too
        ]


def _children(container: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container


def canonical(value: object) -> bytes:
    """The one spelling: sorted keys, no spaces, UTF-8, nothing escaped that need not be."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8")
