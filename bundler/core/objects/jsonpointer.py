"""JSON pointers (RFC 6901) into plain data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

Path = tuple[str | int, ...]

_ESCAPE = re.compile(r"~(?![01])")
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")


def spell(path: Iterable[str | int]) -> str:
    """The pointer to `path`, a path of keys and indexes."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)


def tokens(pointer: str) -> tuple[str, ...]:
    """The unescaped steps of `pointer`; ValueError, with a sentence, when it is none."""
    if pointer and not pointer.startswith("/"):
        raise ValueError("expected a JSON pointer, which begins with /")
    if _ESCAPE.search(pointer):
        raise ValueError("expected ~0 or ~1 after the tilde")
    steps = pointer.split("/")[1:]
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in steps)


def get(value: Any, pointer: str) -> Any:
    """What stands at `pointer` in `value`; KeyError when nothing does, ValueError as `tokens`."""
    for step in tokens(pointer):
        value = value[_step(value, step)]
    return value


def put(value: Any, pointer: str, new: object) -> Any:
    """A copy of `value` with `new` at `pointer`, where something must be; errors as `get`.

    What lies beside the path is shared with `value`.
    """

    def replace(part: Any, steps: tuple[str, ...]) -> Any:
        if not steps:
            return new
        copy = part.copy() if isinstance(part, dict | list) else part
        step = _step(copy, steps[0])
        copy[step] = replace(copy[step], steps[1:])
        return copy

    return replace(value, tokens(pointer))


def strings(value: object, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every string value within `value` with its path, in document order; keys are left out."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from strings(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from strings(child, (*path, index))


def keys(value: object, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every key within `value` with the path of what it names, in document order."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield (*path, key), key
            yield from keys(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from keys(child, (*path, index))


def _step(value: object, step: str) -> Any:
    if isinstance(value, dict) and step in value:
        return step
    if isinstance(value, list) and _INDEX.fullmatch(step) and int(step) < len(value):
        return int(step)
    raise KeyError(step)
