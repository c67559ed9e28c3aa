"""JSON Schema (2020-12) of every kind of document, out of the dataclasses that parse them.

For editors: it refuses what a schema can express. Parsing refuses more.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from bundler.core.documents.bundle import Bundle
from bundler.core.documents.checks import Check
from bundler.core.documents.members import About, Member, by_section, header
from bundler.core.documents.policy import Policy
from bundler.core.documents.structure import nearest
from bundler.core.documents.trust import TrustPolicy
from bundler.core.errors import UsageError

KINDS: Mapping[str, type] = {kind.kind: kind for kind in (Bundle, TrustPolicy, Policy)}

_SCALARS = {str: "string", int: "integer", bool: "boolean"}
# Keywords that a check may give and that mean nothing for another type.
_ONLY_FOR = {
    "array": {"minItems", "uniqueItems"},
    "integer": {"minimum"},
    "string": {"pattern", "maxLength", "format"},
}


def json_schema(kind: str) -> dict[str, Any]:
    """The schema of the documents of `kind`; UsageError with the nearest name if there is none."""
    if kind not in KINDS:
        raise UsageError(f"no kind of document is called {kind!r}", nearest(kind, KINDS))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind,
        **_record(KINDS[kind]),
    }


def _schema(shape: Any) -> dict[str, Any]:
    origin, arguments = get_origin(shape), get_args(shape)
    if origin is Annotated:
        return _annotated(_schema(arguments[0]), arguments[1:])
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, types.UnionType):
        return _union(tuple(part for part in arguments if part is not type(None)))
    if origin is tuple:
        return {"type": "array", "items": _schema(arguments[0])}
    if origin is frozenset:
        return {"type": "array", "items": _schema(arguments[0]), "uniqueItems": True}
    if origin is Mapping:
        names, values = (_schema(argument) for argument in arguments)
        return {"type": "object", "propertyNames": names, "additionalProperties": values}
    if dataclasses.is_dataclass(shape):
        return _record(shape)
    return {"type": _SCALARS[shape]}


def _annotated(schema: dict[str, Any], notes: tuple[Any, ...]) -> dict[str, Any]:
    for note in notes:
        if isinstance(note, About):
            schema["description"] = note.text
        elif isinstance(note, Check):
            words = _ONLY_FOR.get(str(schema.get("type")), set())
            schema |= {key: word for key, word in note.schema.items() if key in words}
    return schema


def _union(parts: tuple[Any, ...]) -> dict[str, Any]:
    return _schema(parts[0]) if len(parts) == 1 else {"type": [_SCALARS[part] for part in parts]}


def _record(kind: Any) -> dict[str, Any]:
    sections = by_section(kind)
    constants = {key: {"const": value} for key, value in header(kind).items()}
    named = {name: _object(members) for name, members in sections.items() if name}
    top = _object(sections.get("", ()))
    return {
        "description": kind.__doc__.split("\n\n")[0],
        "type": "object",
        "properties": {**constants, **named, **top["properties"]},
        "required": [*constants, *named, *top["required"]],
        "additionalProperties": False,
        **getattr(kind, "schema_rules", {}),
    }


def _object(members: tuple[Member, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {member.key: _schema(member.shape) for member in members},
        "required": [member.key for member in members if member.required],
        "additionalProperties": False,
    }
