"""The values of a Secret, which no message may hold: they end up in terminals and logs."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator

from bundler.core.errors import ClusterError
from bundler.core.objects.differences import MASK
from bundler.core.objects.manifests import JsonObject

# What is shorter stands in any message by chance.
_SHORTEST = 4
_FIELDS = ("data", "stringData")
# How structured-merge-diff shows what it did not expect.
_SHOWN = re.compile(r"got &?value\..*", re.DOTALL)


def require_texts(obj: JsonObject, what: str) -> None:
    """ClusterError for a Secret with a value that is no text: the server's own would show it."""
    for name, key, value in _values(obj):
        if value is not None and not isinstance(value, str):
            raise ClusterError(
                f"{what}: {name}: {key[:100]!r}: expected a string, found another kind of value",
                "in YAML, a number or a word like `true` is a string when it is in quotation marks",
            )


def unsaid(message: str, obj: JsonObject) -> str:
    """`message` without what `obj` holds, if that is a Secret."""
    if not _is_secret(obj):
        return message
    message = _SHOWN.sub("got something else", message)
    found = {each for value in _values(obj) for each in _forms(*value)}
    for each in sorted(found, key=len, reverse=True):
        message = message.replace(each, MASK)
    return message


def _is_secret(obj: JsonObject) -> bool:
    return (obj.get("apiVersion"), obj.get("kind")) == ("v1", "Secret")


def _values(obj: JsonObject) -> Iterator[tuple[str, str, object]]:
    for name in _FIELDS if _is_secret(obj) else ():
        found = obj.get(name)
        for key, value in found.items() if isinstance(found, dict) else ():
            yield name, str(key), value


def _forms(name: str, _: str, value: object) -> Iterator[str]:
    """How a value may be written in a message: as it is, quoted, and in base64 or out of it."""
    if not isinstance(value, str):
        return
    texts = [value, base64.b64encode(value.encode()).decode()]
    if name == "data":
        try:
            texts[1] = base64.b64decode(value).decode()
        except ValueError:
            del texts[1]
    for each in texts:
        if len(each) >= _SHORTEST:
            yield from (each, json.dumps(each)[1:-1], json.dumps(each, ensure_ascii=False)[1:-1])
