"""Parameters: all that a site may change, where that is allowed, and the values put there.

What a parameter may never reach is what the audit was about: which code runs, with which rights,
on which files.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bundler.core import patterns
from bundler.core.documents.bundle import Parameter, ParameterTarget
from bundler.core.errors import PolicyError, UsageError
from bundler.core.findings import Finding
from bundler.core.objects import jsonpointer, parameterplaces
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.reference import RESERVED_DOMAIN

Value = str | int | bool

_TYPES: Mapping[str, type] = {"string": str, "enum": str, "integer": int, "boolean": bool}
_DECIMAL = re.compile(r"0|-?[1-9][0-9]{0,18}")
_INT64 = range(-(2**63), 2**63)


def check(
    parameters: Sequence[Parameter], objects_by_target: Mapping[str, Sequence[JsonObject]]
) -> tuple[Finding, ...]:
    """What is wrong with where `parameters` point; empty when nothing is.

    The objects are those of each target after `images.rewrite`, so that an image inside of a
    string is seen. A place must be there in one target at least, be one scalar of the
    parameter's type, and be none that is forbidden. What stands there is judged and packed where
    there is no default, so it must be what a site could set.
    """
    return tuple(
        finding
        for parameter in parameters
        for target in parameter.targets
        for finding in _check_target(parameter, target, objects_by_target)
    )


def values(parameters: Sequence[Parameter], settings: Mapping[str, str]) -> dict[str, Value]:
    """The value of each parameter: from `settings` (name to text, as on a command line) or default.

    Those that have neither are left out: `substitute` leaves what the manifests have. UsageError
    for an unknown name and for a value that its parameter does not allow.
    """
    known = [parameter.name for parameter in parameters]
    for name in settings:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, 1, 0.5)
            hint = f"did you mean {nearest[0]}?" if nearest else f"there are: {', '.join(known)}"
            raise UsageError(
                f"parameter {name!r} isn't one of this bundle",
                hint if known else "this bundle has no parameters",
            )
    found: dict[str, Value] = {}
    for parameter in parameters:
        if parameter.name in settings:
            found[parameter.name] = _value(parameter, settings[parameter.name])
        elif parameter.default is not None:
            found[parameter.name] = parameter.default
    return found


def placed(parameters: Sequence[Parameter], objects: Sequence[JsonObject]) -> tuple[Parameter, ...]:
    """Those of `parameters` that change something in `objects`, which are all of one target."""
    return tuple(each for each in parameters if any(_find(objects, t) for t in each.targets))


def require_settled(target: str, here: Sequence[Parameter], settings: Mapping[str, str]) -> None:
    """UsageError unless each parameter of `target` (`placed` in its objects) that is required is
    set, and all that is set is one of them: another would change nothing, and was meant to.
    """
    names = [parameter.name for parameter in here]
    for name in settings:
        if name not in names:
            raise UsageError(
                f"parameter {name!r} changes nothing in the target {target}",
                f"leave it out; those of this target: {', '.join(names) or 'none'}",
            )
    missing = [each for each in here if each.required and each.name not in settings]
    if missing:
        count = f"{len(missing)} parameter" + ("s" if len(missing) > 1 else "")
        lines = [f"  {each.name}: {each.description} ({_expected(each)})" for each in missing]
        raise UsageError(
            "\n".join([f"target {target}: {count} not set, and a site must set it", *lines]),
            "add " + " ".join(f"--set {each.name}=…" for each in missing),
        )


def substitute(
    objects: Sequence[JsonObject], parameters: Sequence[Parameter], values: Mapping[str, Value]
) -> tuple[JsonObject, ...]:
    """`objects` of one target with the values at their places; a place that isn't here is skipped.

    `values` is what the function of that name gave; places without a value stay as they are.
    PolicyError when a place fits two objects.
    """
    changed = list(objects)
    for parameter in parameters:
        if parameter.name not in values:
            continue
        for target in parameter.targets:
            found = _find(changed, target)
            if len(found) > 1:
                raise PolicyError(f"parameter {parameter.name}: {_ambiguous(changed, found)}")
            for index in found:
                changed[index] = jsonpointer.put(
                    changed[index], target.path, values[parameter.name]
                )
    return tuple(changed)


def require_allowed(parameters: Sequence[Parameter], objects: Sequence[JsonObject]) -> None:
    """PolicyError when a place of `parameters` in `objects`, of one target, is none that `check`
    lets pass: a bundle was perhaps made by a program that has no such law.
    """
    for parameter in parameters:
        for target in parameter.targets:
            for index in _find(objects, target):
                for problem in _problems(parameter, target.path, objects[index]):
                    raise PolicyError(f"parameter {parameter.name}: {problem}")


def _check_target(
    parameter: Parameter,
    target: ParameterTarget,
    objects_by_target: Mapping[str, Sequence[JsonObject]],
) -> Iterator[Finding]:
    place = f"{target.namespace}/{target.name}" if target.namespace else target.name
    problems: dict[str, None] = {}
    seen = False
    for objects in objects_by_target.values():
        found = _find(objects, target)
        seen = seen or bool(found)
        if len(found) > 1:
            problems[_ambiguous(objects, found)] = None
        for index in found:
            wrong = tuple(_problems(parameter, target.path, objects[index]))
            wrong = wrong or tuple(_unlikely(parameter, target.path, objects[index]))
            problems |= dict.fromkeys(wrong)
    for problem in problems:
        yield Finding(
            "parameters",
            "error",
            f"{target.kind} {place}",
            f"parameter {parameter.name}: {problem}",
        )
    if not seen:
        everything = [obj for objects in objects_by_target.values() for obj in objects]
        problem, hint = _nowhere(target, everything)
        yield Finding(
            "parameter-target",
            "error",
            f"{target.kind} {place}",
            f"parameter {parameter.name}: {problem}",
            hint,
        )


def _nowhere(target: ParameterTarget, objects: Sequence[JsonObject]) -> tuple[str, str]:
    """Which half of `target` isn't there, object or path, and what is there that is like it."""
    meant = [obj for obj in objects if _is_meant(target, obj)]
    if not meant:
        subject = f"{target.kind} {f'{target.namespace}/' * bool(target.namespace)}{target.name}"
        # Both spellings: a target may leave the namespace out.
        names = {str(ObjectId.of(obj)): obj for obj in objects}
        short = {f"{obj['kind']} {obj['metadata']['name']}": name for name, obj in names.items()}
        nearest = _nearest(subject, short | {name: name for name in names})
        return "its object isn't there in any target", nearest or "look at what the targets hold"
    paths = {jsonpointer.spell(path) for obj in meant for path in _places(obj)}
    nearest = _nearest(target.path, {path: path for path in paths})
    return (
        f"{target.path} isn't there in any target",
        nearest or f"name a value that {ObjectId.of(meant[0])} has",
    )


def _nearest(word: str, known: Mapping[str, str]) -> str | None:
    close = difflib.get_close_matches(word, sorted(known), 1, 0.5)
    return f"did you mean {known[close[0]]}?" if close else None


def _places(value: Any, path: jsonpointer.Path = ()) -> Iterator[jsonpointer.Path]:
    """The path of every scalar below `value`."""
    children: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list):
        children = enumerate(value)
    else:
        yield path
    for step, child in children:
        yield from _places(child, (*path, step))


def _find(objects: Sequence[JsonObject], target: ParameterTarget) -> list[int]:
    """Indexes of the objects that `target` means and that have something at its path."""
    return [
        index
        for index, obj in enumerate(objects)
        if _is_meant(target, obj) and _has(obj, target.path)
    ]


def _is_meant(target: ParameterTarget, obj: JsonObject) -> bool:
    return (
        obj["kind"] == target.kind
        and obj["metadata"]["name"] == target.name
        and target.namespace in (None, obj["metadata"].get("namespace"))
    )


def _has(obj: JsonObject, pointer: str) -> bool:
    try:
        jsonpointer.get(obj, pointer)
    except KeyError:
        return False
    return True


def _ambiguous(objects: Sequence[JsonObject], found: Sequence[int]) -> str:
    names = [f"{ObjectId.of(objects[index])} ({objects[index]['apiVersion']})" for index in found]
    return f"fits {' and '.join(names)}: give the target a namespace"


def _problems(parameter: Parameter, path: str, obj: JsonObject) -> Iterator[str]:
    reason = parameterplaces.forbidden(jsonpointer.tokens(path), obj)
    if reason:
        yield f"{path} is {reason}, which no parameter may change"
        return
    present = jsonpointer.get(obj, path)
    if isinstance(present, str) and RESERVED_DOMAIN in present.lower():
        yield f"{path} holds an image or model, which no parameter may change"
    elif type(present) is not _TYPES[parameter.type]:
        expected = _TYPES[parameter.type].__name__
        yield f"{path}: expected one {expected} to replace, found {type(present).__name__}"


def _unlikely(parameter: Parameter, path: str, obj: JsonObject) -> Iterator[str]:
    """What stands at the place of a parameter without a default, if no site could set it."""
    if parameter.default is not None:
        return
    try:
        _value(parameter, _text(jsonpointer.get(obj, path)))
    except UsageError as error:
        said = error.message.removeprefix(f"parameter {parameter.name}: ")
        yield f"{path}: without a default, what stands here is judged: {said}"


def _text(value: Value) -> str:
    """`value` as a command line has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _expected(parameter: Parameter) -> str:
    if parameter.values:
        return f"one of {', '.join(parameter.values)}"
    return parameter.type if parameter.pattern is None else f"what matches {parameter.pattern}"


def _value(parameter: Parameter, text: str) -> Value:
    def refuse(expected: str) -> UsageError:
        example = "…" if parameter.default is None else _text(parameter.default)
        return UsageError(
            f"parameter {parameter.name}: expected {expected}, found {text[:200]!r}",
            hint=f"such as --set {parameter.name}={example} ({parameter.description})",
        )

    if parameter.type == "integer":
        if not _DECIMAL.fullmatch(text) or int(text) not in _INT64:
            raise refuse("an integer in decimal")
        return int(text)
    if parameter.type == "boolean":
        if text not in ("true", "false"):
            raise refuse("true or false")
        return text == "true"
    if parameter.type == "enum" and text not in parameter.values:
        raise refuse(_expected(parameter))
    if len(text) > patterns.VALUE_LENGTH:
        raise refuse(f"{patterns.VALUE_LENGTH} characters at most")
    if parameter.pattern is not None and not re.fullmatch(parameter.pattern, text):
        raise refuse(_expected(parameter))
    if RESERVED_DOMAIN in text.lower():
        raise refuse(f"a value without {RESERVED_DOMAIN}, which stands for images and models")
    return text
