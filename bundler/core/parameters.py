"""Parameters: all that a site may change, where that is allowed, and the values put there.

What a parameter may never reach is what the audit was about: which code runs, with which rights,
on which files.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence

from bundler.core import jsonpointer
from bundler.core.documents.bundle import Parameter, ParameterTarget
from bundler.core.errors import PolicyError, UsageError
from bundler.core.findings import Finding
from bundler.core.manifests import JsonObject, ObjectId
from bundler.core.reference import RESERVED_DOMAIN

Value = str | int | bool

_TYPES: Mapping[str, type] = {"string": str, "enum": str, "integer": int, "boolean": bool}
_DECIMAL = re.compile(r"0|-?[1-9][0-9]{0,18}")
_INT64 = range(-(2**63), 2**63)

_CODE = frozenset({"image", "command", "args"})
_RIGHTS = frozenset(
    {
        "securityContext",
        "serviceAccountName",
        "serviceAccount",  # its deprecated alias in pod specs
        "automountServiceAccountToken",
        "roleRef",
        "subjects",
        "webhook",
        "webhooks",
        "clientConfig",  # where a webhook is, in CRDs and admission configurations
    }
)
_SOURCES = frozenset({"volumes", "storageUri", "storageUris"})
_WHOLE_GROUPS = frozenset({"rbac.authorization.k8s.io", "admissionregistration.k8s.io"})
# In these the word says where requests come in, which only the site knows, or is anybody's key.
_HOST_KINDS = frozenset(
    {"Ingress", "Gateway", "HTTPRoute", "GRPCRoute", "TLSRoute", "ConfigMap", "Secret"}
)
_VOLUME_FIELDS = frozenset(
    {"accessModes", "capacity", "persistentVolumeReclaimPolicy", "storageClassName", "volumeMode"}
)


def check(
    parameters: Sequence[Parameter], objects_by_target: Mapping[str, Sequence[JsonObject]]
) -> tuple[Finding, ...]:
    """What is wrong with where `parameters` point; empty when nothing is.

    The objects are those of each target after `images.rewrite`, so that an image inside of a
    string is seen. A place must be there in one target at least, be one scalar of the
    parameter's type, and be none that is forbidden.
    """
    return tuple(
        finding
        for parameter in parameters
        for target in parameter.targets
        for finding in _check_target(parameter, target, objects_by_target)
    )


def values(parameters: Sequence[Parameter], settings: Mapping[str, str]) -> dict[str, Value]:
    """The value of each parameter: from `settings` (name to text, as on a command line) or default.

    UsageError for an unknown name and for a value that its parameter does not allow.
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
    return {
        parameter.name: _value(parameter, settings[parameter.name])
        if parameter.name in settings
        else parameter.default
        for parameter in parameters
    }


def substitute(
    objects: Sequence[JsonObject], parameters: Sequence[Parameter], values: Mapping[str, Value]
) -> tuple[JsonObject, ...]:
    """`objects` of one target with the values at their places; a place that isn't here is skipped.

    `values` is what the function of that name gave. PolicyError when a place fits two objects.
    """
    changed = list(objects)
    for parameter in parameters:
        for target in parameter.targets:
            found = _find(changed, target)
            if len(found) > 1:
                raise PolicyError(f"parameter {parameter.name}: {_ambiguous(changed, found)}")
            for index in found:
                changed[index] = jsonpointer.put(
                    changed[index], target.path, values[parameter.name]
                )
    return tuple(changed)


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
            problems |= dict.fromkeys(_problems(parameter, target.path, objects[index]))
    if not seen:
        problems[f"{target.path} isn't there in any target"] = None
    for problem in problems:
        yield Finding(
            "parameters",
            "error",
            f"{target.kind} {place}",
            f"parameter {parameter.name}: {problem}",
        )


def _find(objects: Sequence[JsonObject], target: ParameterTarget) -> list[int]:
    """Indexes of the objects that `target` means and that have something at its path."""
    return [
        index
        for index, obj in enumerate(objects)
        if obj["kind"] == target.kind
        and obj["metadata"]["name"] == target.name
        and target.namespace in (None, obj["metadata"].get("namespace"))
        and _has(obj, target.path)
    ]


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
    reason = _forbidden(jsonpointer.tokens(path), obj)
    if reason:
        yield f"{path} is {reason}, which no parameter may change"
        return
    present = jsonpointer.get(obj, path)
    if isinstance(present, str) and RESERVED_DOMAIN in present.lower():
        yield f"{path} holds an image or model, which no parameter may change"
    elif type(present) is not _TYPES[parameter.type]:
        expected = _TYPES[parameter.type].__name__
        yield f"{path}: expected one {expected} to replace, found {type(present).__name__}"


def _forbidden(steps: tuple[str, ...], obj: JsonObject) -> str | None:
    return (
        _forbidden_identity(steps)
        or _forbidden_word(steps, obj["kind"])
        or _forbidden_object(steps, obj)
    )


def _forbidden_identity(steps: tuple[str, ...]) -> str | None:
    if steps[0] in ("kind", "apiVersion") or steps[:2] in (
        ("metadata", "name"),
        ("metadata", "namespace"),
    ):
        return "the identity of the object"
    if any(step.startswith("pod-security.kubernetes.io/") for step in steps):
        return "the Pod Security of a namespace"
    return None


def _forbidden_word(steps: tuple[str, ...], kind: str) -> str | None:
    words = set(steps)
    if words & _CODE:
        return "what a container runs"
    if words & _RIGHTS:
        return "a right, or who has it"
    if words & _SOURCES:
        return "the source of a volume"
    if kind not in _HOST_KINDS and any(step.startswith("host") for step in steps):
        return "a way to the host"
    return None


def _forbidden_object(steps: tuple[str, ...], obj: JsonObject) -> str | None:
    group = ObjectId.of(obj).group
    if group in _WHOLE_GROUPS and steps[0] != "metadata":
        return f"part of a {obj['kind']}"
    fields = set(steps[1:2])
    if obj["kind"] == "PersistentVolume" and steps[0] == "spec" and not fields & _VOLUME_FIELDS:
        return "the source of a volume"
    return None


def _value(parameter: Parameter, text: str) -> Value:
    def refuse(expected: str) -> UsageError:
        return UsageError(
            f"parameter {parameter.name}: expected {expected}, found {text[:200]!r}",
            hint=parameter.description,
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
        raise refuse(f"one of {', '.join(parameter.values)}")
    if parameter.pattern is not None and not re.fullmatch(parameter.pattern, text):
        raise refuse(f"what matches {parameter.pattern}")
    if RESERVED_DOMAIN in text.lower():
        raise refuse(f"a value without {RESERVED_DOMAIN}, which stands for images and models")
    return text
