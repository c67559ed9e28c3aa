"""From nodes of YAML to frozen dataclasses, strictly: nothing is coerced, nothing is ignored.

What a dataclass says about its document stands in `members`; here it is followed.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin

from bundler.core.documents.checks import Check, Problem, shown, unique
from bundler.core.documents.members import API_VERSION, HEADER, Member, by_section, reserved_keys
from bundler.core.errors import DocumentError
from bundler.core.yamltext import Node, Path, load_all, spell

LATER_KINDS = ("ModelServing", "TrainingRun")

_T = TypeVar("_T")
_EXPECTED = {str: "a string", int: "an integer", bool: "true or false"}


def parse_document(text: str, where: str, kind: type[_T]) -> _T:
    """The one document of YAML in `text`, which must be of this kind; DocumentError otherwise."""
    nodes = [node for node in load_all(text, where) if node.content is not None]
    name = str(getattr(kind, "kind", kind.__name__))
    if not nodes:
        raise DocumentError(where, "", f"holds no document, expected one of kind {name}")
    for node in nodes:
        _check_header(node, name)
    if len(nodes) > 1:
        raise DocumentError(nodes[1].where, "", f"is a second {name}; a file holds one")
    made: _T = structure(nodes[0], kind)
    return made


def _check_header(node: Node, kind: str) -> None:
    members = _mapping(node, ())
    for key, expected in zip(HEADER, (API_VERSION, kind), strict=True):
        if key not in members:
            raise DocumentError(node.where, key, "is missing", f"write {key}: {expected}")
        found = structure(members[key], str, (key,))
        if key == "kind" and found in LATER_KINDS:
            raise DocumentError(members[key].where, key, f"{found} is reserved for a later version")
        if found != expected:
            raise DocumentError(
                members[key].where, key, f"is {shown(found)}", f"expected here: {expected}"
            )


def structure(node: Node, shape: Any, path: Path = ()) -> Any:
    """The value of `node` as the annotated type `shape`; `path` names it in a DocumentError."""
    origin, arguments = get_origin(shape), get_args(shape)
    if origin is Annotated:
        value = structure(node, arguments[0], path)
        for check in arguments[1:]:
            if isinstance(check, Check):
                _refuse_first(check.problems(value), node, path)
        return value
    if origin is Literal:
        return _choice(node, arguments, path)
    if origin in (Union, types.UnionType):
        return _union(node, tuple(part for part in arguments if part is not type(None)), path)
    if origin is tuple:
        return _items(node, arguments[0], path)
    if origin is frozenset:
        return _set(node, arguments[0], path)
    if origin is Mapping:
        return _table(node, arguments[0], arguments[1], path)
    if dataclasses.is_dataclass(shape):
        return _record(node, shape, path)
    return _scalar(node, (shape,), path)


def _record(node: Node, kind: Any, path: Path) -> Any:
    sections = by_section(kind)
    reserved = reserved_keys(kind)
    header = HEADER if hasattr(kind, "kind") else ()
    named = [section for section in sections if section]
    top = [member.key for member in sections.get("", ())]
    _check_keys(node, path, [*header, *named, *top], reserved)
    values = _values(node, sections.get("", ()), path)
    for section in named:
        inner, place = _get(node, section, path), (*path, section)
        _check_keys(inner, place, [member.key for member in sections[section]], reserved)
        values |= _values(inner, sections[section], place)
    made = kind(**values)
    if hasattr(made, "problems"):
        _refuse_first(made.problems(), node, path)
    return made


def _values(node: Node, members: Iterable[Member], path: Path) -> dict[str, Any]:
    present = _mapping(node, path)
    return {
        member.name: structure(_get(node, member.key, path), member.shape, (*path, member.key))
        for member in members
        if member.required or member.key in present
    }


def _get(node: Node, key: str, path: Path) -> Node:
    members = _mapping(node, path)
    if key not in members:
        raise DocumentError(node.where, spell((*path, key)), "is missing")
    return members[key]


def _check_keys(
    node: Node, path: Path, valid: Collection[str], reserved: Mapping[str, str]
) -> None:
    for key in _mapping(node, path):
        if key not in valid:
            field = spell((*path, key))
            if key in reserved:
                raise DocumentError(node.keys[key], field, reserved[key])
            raise DocumentError(node.keys[key], field, "unknown field", nearest(key, valid))


def nearest(word: str, valid: Collection[str]) -> str:
    """A hint: the valid name that `word` is most like, if any is, and all valid names."""
    close = difflib.get_close_matches(word.lower(), {name.lower(): name for name in valid}, 1)
    names = {name.lower(): name for name in valid}
    guess = f"did you mean {names[close[0]]}? " if close else ""
    return f"{guess}valid here: {', '.join(valid)}"


def _mapping(node: Node, path: Path) -> Mapping[str, Node]:
    if not isinstance(node.content, Mapping):
        _refuse_type(node, path, "a mapping")
    return node.content


def _items(node: Node, shape: Any, path: Path) -> tuple[Any, ...]:
    if not isinstance(node.content, tuple):
        _refuse_type(node, path, "a list")
    return tuple(structure(item, shape, (*path, index)) for index, item in enumerate(node.content))


def _set(node: Node, shape: Any, path: Path) -> frozenset[Any]:
    items = _items(node, shape, path)
    _refuse_first(unique().problems(items), node, path)
    return frozenset(items)


def _table(node: Node, keys: Any, shape: Any, path: Path) -> Mapping[str, Any]:
    made: dict[str, Any] = {}
    for key, child in _mapping(node, path).items():
        structure(Node(node.keys[key], key, {}, key), keys, (*path, key))
        made[key] = structure(child, shape, (*path, key))
    return made


def _union(node: Node, parts: tuple[Any, ...], path: Path) -> Any:
    return structure(node, parts[0], path) if len(parts) == 1 else _scalar(node, parts, path)


def _choice(node: Node, choices: tuple[str, ...], path: Path) -> str:
    found = str(_scalar(node, (str,), path))
    if found not in choices:
        problem = f"is {shown(found)}, expected one of {', '.join(choices)}"
        raise DocumentError(node.where, spell(path), problem, nearest(found, choices))
    return found


def _scalar(node: Node, kinds: tuple[type, ...], path: Path) -> Any:
    if type(node.content) not in kinds:
        _refuse_type(node, path, " or ".join(_EXPECTED[kind] for kind in kinds), str in kinds)
    return node.content


def _refuse_type(node: Node, path: Path, expected: str, quotable: bool = False) -> NoReturn:
    hint = None
    if isinstance(node.content, Mapping):
        found = "a mapping"
    elif isinstance(node.content, tuple):
        found = "a list"
    elif node.content is None:
        found, hint = "empty", "give it a value, or remove it"
    elif isinstance(node.content, str):
        found = f"the string {shown(node.source)}"
    else:
        found = (
            f"{node.source[:60]}, {'a boolean' if isinstance(node.content, bool) else 'a number'}"
        )
        hint = f'write it in quotes: "{node.source[:60]}"' if quotable else None
    if expected == _EXPECTED[bool]:
        hint = "write true or false, without quotes"
    raise DocumentError(node.where, spell(path), f"is {found}, expected {expected}", hint)


def _refuse_first(problems: Iterable[Problem], node: Node, path: Path) -> None:
    for problem in problems:
        place = problem.path
        while place and not _reaches(node, place):
            place = place[:-1]  # a default is to blame: point at what would hold it
        raise DocumentError(
            node.mark(place), spell((*path, *problem.path)), problem.text, problem.hint
        )


def _reaches(node: Node, path: Path) -> bool:
    try:
        node.at(path)
    except LookupError:
        return False
    return True
