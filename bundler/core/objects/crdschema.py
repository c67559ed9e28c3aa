"""Custom resources checked against the CustomResourceDefinition that travels beside them.

The API server does this as soon as it knows the kind; before, it can't be asked. Structural
schemas:
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
What is not looked at, and left to the server: formats, rules in CEL, the keys of lists, and
patterns that Python reads otherwise than Go or might never finish.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sized
from typing import Any

from bundler.core import patterns
from bundler.core.objects.manifests import JsonObject

Schema = Mapping[str, Any]
_Rule = Callable[[Any, Schema], bool]

_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_INT_OR_STRING = "x-kubernetes-int-or-string"
_EMBEDDED = "x-kubernetes-embedded-resource"
_IDENTITY = ("apiVersion", "kind", "metadata")
_SHOWN = 200


def schema_problems(obj: JsonObject, crd: JsonObject) -> tuple[str, ...]:
    """What the API server would have against `obj`, whose kind `crd` defines; in words.

    Each begins with the path of the field. Empty where nothing was found, which is no promise.
    """
    versions = crd["spec"].get("versions") or []
    served = {each["name"]: each for each in versions if each.get("served")}
    name = obj["apiVersion"].rpartition("/")[2]
    if name not in served:
        said = ", ".join(served) or "none"
        return (f"apiVersion: expected a version that the CRD serves ({said}), found {name}",)
    schema = (served[name].get("schema") or {}).get("openAPIV3Schema")
    if not isinstance(schema, dict):
        return ()
    content = {key: value for key, value in obj.items() if key not in _IDENTITY}
    known = {key: each for key, each in _properties(schema).items() if key not in _IDENTITY}
    required = [each for each in schema.get("required") or [] if each not in _IDENTITY]
    return tuple(_problems(content, {**schema, "properties": known, "required": required}, ""))


def _problems(value: Any, schema: Schema, path: str) -> Iterator[str]:
    """Of `value` and all in it; defaults are filled in on the way, as the server does."""
    if value is None and schema.get("nullable"):
        return
    expected = _expected(value, schema)
    if expected is not None:
        yield f"{path or '(the object)'}: expected {expected}, found {_named(value)}"
        return
    if isinstance(value, dict):
        value = _completed(value, schema)
        yield from _fields(value, schema, path)
    elif isinstance(value, list):
        inner = schema.get("items")
        if isinstance(inner, dict):
            for index, each in enumerate(value):
                yield from _problems(each, inner, f"{path}[{index}]")
    yield from _values(value, schema, path)


def _fields(value: Mapping[str, Any], schema: Schema, path: str) -> Iterator[str]:
    known, others = _properties(schema), schema.get("additionalProperties")
    for key, each in value.items():
        place = f"{path}.{key}" if path else str(key)
        if key in known:
            yield from _problems(each, known[key], place)
        elif isinstance(others, dict):
            yield from _problems(each, others, place)
        elif not (others or schema.get(_PRESERVE) or (schema.get(_EMBEDDED) and key in _IDENTITY)):
            yield f"{place}: expected a field that the CRD has, found an unknown one"


def _completed(value: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """`value` with its defaults; null is no value where it isn't allowed."""
    known = _properties(schema)
    there = {
        key: each
        for key, each in value.items()
        if each is not None or key not in known or known[key].get("nullable")
    }
    defaults = {key: each["default"] for key, each in known.items() if "default" in each}
    return defaults | there


def _values(value: Any, schema: Schema, path: str) -> Iterator[str]:
    """What has to hold beside types and fields; also inside of allOf and the like."""
    where = path or "(the object)"
    for name, holds in _RULES.items():
        if name in schema and not holds(value, schema):
            yield f"{where}: expected {name} {_short(schema[name])}, found {_short(value)}"
    if isinstance(value, dict):
        for key in schema.get("required") or []:
            if key not in value:
                yield f"{f'{path}.{key}' if path else key}: expected, found nothing"
    for each in schema.get("allOf") or []:
        yield from _inner(value, each, path)
    for name, enough in _BRANCHES.items():
        branches = schema.get(name)
        if branches and not enough([not any(_inner(value, each, path)) for each in branches]):
            yield f"{where}: expected {name} of what the CRD lists, found {_short(value)}"
    if "not" in schema and not any(_inner(value, schema["not"], path)):
        yield f"{where}: expected anything but what the CRD excludes, found {_short(value)}"


def _inner(value: Any, schema: Schema, path: str) -> Iterator[str]:
    """Of a branch, which has no types and no unknown fields of its own."""
    if schema.get("type") and _expected(value, schema) is not None:
        yield f"{path}: another type"
        return
    yield from _values(value, schema, path)
    if isinstance(value, dict):
        for key, each in _properties(schema).items():
            if key in value:
                yield from _inner(value[key], each, f"{path}.{key}")
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            yield from _inner(item, schema["items"], f"{path}[{index}]")


def _properties(schema: Schema) -> Mapping[str, Any]:
    found = schema.get("properties")
    return found if isinstance(found, dict) else {}


def _expected(value: Any, schema: Schema) -> str | None:
    """What type was expected, if `value` has another one."""
    if schema.get(_INT_OR_STRING):
        return None if isinstance(value, str) or _is_integer(value) else "an integer or a string"
    name = str(schema.get("type"))
    return None if name not in _TYPES or _TYPES[name](value) else f"type {name}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: object) -> bool:
    whole = isinstance(value, float) and value.is_integer()
    return whole or (isinstance(value, int) and not isinstance(value, bool))


def _named(value: object) -> str:
    """The type of `value`, and never its words, which may be secret."""
    return next((name for name, fits in _TYPES.items() if fits(value)), "null")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _matches(value: Any, schema: Schema) -> bool:
    if not isinstance(value, str) or len(value) > patterns.VALUE_LENGTH:
        return True
    try:
        form = re.compile(schema["pattern"], re.ASCII)
    except (re.error, OverflowError):
        return True
    return patterns.problem(schema["pattern"]) is not None or form.search(value) is not None


def _listed(value: Any, schema: Schema) -> bool:
    same = (each for each in schema["enum"] if isinstance(each, bool) == isinstance(value, bool))
    return value in same


def _least(value: Any, schema: Schema) -> bool:
    if not _is_number(value):
        return True
    limit = schema["minimum"]
    return bool(value > limit if schema.get("exclusiveMinimum") else value >= limit)


def _most(value: Any, schema: Schema) -> bool:
    if not _is_number(value):
        return True
    limit = schema["maximum"]
    return bool(value < limit if schema.get("exclusiveMaximum") else value <= limit)


def _length(measured: type[Sized], name: str, fits: Callable[[int, int], bool]) -> _Rule:
    def holds(value: Any, schema: Schema) -> bool:
        return not isinstance(value, measured) or fits(len(value), schema[name])

    return holds


_TYPES: Mapping[str, Callable[[object], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": _is_integer,
    "number": _is_number,
}
_RULES: Mapping[str, _Rule] = {
    "enum": _listed,
    "pattern": _matches,
    "minimum": _least,
    "maximum": _most,
    "minLength": _length(str, "minLength", operator.ge),
    "maxLength": _length(str, "maxLength", operator.le),
    "minItems": _length(list, "minItems", operator.ge),
    "maxItems": _length(list, "maxItems", operator.le),
    "minProperties": _length(dict, "minProperties", operator.ge),
    "maxProperties": _length(dict, "maxProperties", operator.le),
}
_BRANCHES: Mapping[str, Callable[[list[bool]], bool]] = {
    "anyOf": any,
    "oneOf": lambda fits: sum(fits) == 1,
}
