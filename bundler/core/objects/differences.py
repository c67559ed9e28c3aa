"""What differs between two forms of an object, place by place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bundler.core.objects import jsonpointer
from bundler.core.objects.manifests import JsonObject, ObjectId

MASK = "***"

# The server's own bookkeeping, which differs although nothing does.
_BOOKKEEPING = frozenset({"managedFields", "resourceVersion", "generation", "creationTimestamp"})

# Of a Secret: where its values are, one by one, and what may be shown of it.
_FIELDS: JsonObject = {"data": {}, "stringData": {}}
_PLAIN = ("/metadata/labels", "/type", "/immutable")


@dataclass(frozen=True)
class Difference:
    """One place of an object, by its JSON pointer (RFC 6901).

    `before` and `after` are plain data, or None where there is nothing; `MASK` in a Secret.
    """

    pointer: str
    before: object
    after: object


def essence(obj: JsonObject) -> JsonObject:
    """What counts of `obj`: all but its status and the server's bookkeeping."""
    metadata = obj.get("metadata") or {}
    essential = {key: value for key, value in metadata.items() if key not in _BOOKKEEPING}
    return {key: value for key, value in obj.items() if key != "status"} | {"metadata": essential}


def differences(before: JsonObject, after: JsonObject) -> tuple[Difference, ...]:
    """Where the essence of two forms of one object differs.

    Of a Secret it is said which of its fields become different, but not what any of them is: also
    an annotation may hold them all. Only what has no room for secrets is shown.
    """
    if (ObjectId.of(after).group, after["kind"]) != ("", "Secret"):
        return tuple(_walk(essence(before), essence(after), ()))
    found = _walk(_FIELDS | essence(before), _FIELDS | essence(after), ())
    return tuple(
        each
        if each.pointer.startswith(_PLAIN)
        else Difference(each.pointer, _mask(each.before), _mask(each.after))
        for each in found
    )


def _walk(before: Any, after: Any, path: jsonpointer.Path) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from _walk(before.get(key), after.get(key), (*path, key))
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            old, new = (each[index] if index < len(each) else None for each in (before, after))
            yield from _walk(old, new, (*path, index))
    elif before != after or type(before) is not type(after):
        yield Difference(jsonpointer.spell(path), before, after)


def _mask(value: object) -> str | None:
    return None if value is None else MASK
