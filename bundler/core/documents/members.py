"""How a dataclass describes its document.

A dataclass is a mapping whose keys are its fields in camelCase; a field without a default is
required, and what it must satisfy stands in its annotation as `checks.Check`. `Under` puts a
field into a section (``metadata``, ``spec``). A class variable `kind` makes it a document with
``apiVersion`` and ``kind``; `reserved` maps keys that a later version will read to the reason
why this one doesn't; a method ``problems`` yields what concerns several fields.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

API_VERSION = "airbundle.dev/v1alpha1"
HEADER = ("apiVersion", "kind")


@dataclass(frozen=True)
class Under:
    """Puts a field into the section of this name."""

    section: str


@dataclass(frozen=True)
class About:
    """What a field is for, in a sentence; editors show it."""

    text: str


@dataclass(frozen=True)
class Member:
    """A field as its document has it: its key, its annotated type, and whether it may be absent."""

    name: str
    key: str
    shape: Any
    required: bool


@functools.cache
def by_section(kind: type[Any]) -> Mapping[str, tuple[Member, ...]]:
    """The fields of the dataclass `kind` in their order, by section; "" is the top."""
    hints = get_type_hints(kind, include_extras=True)
    sections: dict[str, tuple[Member, ...]] = {}
    for field in dataclasses.fields(kind):
        shape = hints[field.name]
        section = next((part.section for part in get_args(shape) if isinstance(part, Under)), "")
        sections[section] = (*sections.get(section, ()), _member(field, shape))
    return sections


def _member(field: dataclasses.Field[Any], shape: Any) -> Member:
    first, *rest = field.name.split("_")
    missing = dataclasses.MISSING
    required = field.default is missing and field.default_factory is missing
    return Member(field.name, first + "".join(map(str.capitalize, rest)), shape, required)


def reserved_keys(kind: Any) -> Mapping[str, str]:
    """The keys that `kind` leaves to a later version, each with the reason."""
    reserved: Mapping[str, str] = getattr(kind, "reserved", {})
    return reserved


def header(kind: Any) -> dict[str, str]:
    """``apiVersion`` and ``kind`` of a document; nothing for what is no document."""
    return {"apiVersion": API_VERSION, "kind": kind.kind} if hasattr(kind, "kind") else {}
