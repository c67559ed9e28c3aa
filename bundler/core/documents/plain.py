"""From dataclasses back to plain data: what `structure` reads, it gives back unchanged."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from bundler.core.documents.members import by_section, header


def to_json(value: Any) -> Any:
    """`value`, a document or a part of one, as JSON's own types; absent is what is None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _record(value)
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(to_json(item) for item in value)
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    return value


def _record(value: Any) -> dict[str, Any]:
    kind: Any = type(value)
    made: dict[str, Any] = header(kind)
    for section, members in by_section(kind).items():
        fields = {
            member.key: to_json(found)
            for member in members
            if (found := getattr(value, member.name)) is not None
        }
        made |= {section: fields} if section else fields
    return made
