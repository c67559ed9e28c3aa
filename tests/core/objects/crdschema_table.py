"""Values under schemas, and whether an API server takes them: held against a real one, too.

tests/cluster_room/test_crdschema.py makes one kind of all of these, with a field for each.
"""

from __future__ import annotations

from typing import Any

STRING = {"type": "string"}
INTEGER = {"type": "integer"}
THING = {"type": "object", "properties": {"name": STRING}}
MAP = {"type": "object", "additionalProperties": INTEGER}
FREE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
EITHER = {"x-kubernetes-int-or-string": True, "anyOf": [INTEGER, STRING]}
EMBEDDED = {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"a": STRING}}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
ONE_OF = {
    "type": "object",
    "properties": {"a": STRING, "b": STRING},
    "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
}
NOT = {"type": "object", "properties": {"a": STRING, "b": STRING}, "not": {"required": ["b"]}}
ALL = {"type": "string", "allOf": [{"minLength": 2}, {"pattern": "^a"}]}
BRANCH = {
    "type": "object",
    "properties": {"kind": STRING, "list": {"type": "array", "items": INTEGER}},
    "anyOf": [
        {"properties": {"kind": {"enum": ["a"]}}, "required": ["kind"]},
        {"properties": {"list": {"items": {"maximum": 3}}}, "required": ["list"]},
    ],
}
REQUIRED = {"type": "object", "properties": {"a": STRING, "b": STRING}, "required": ["a"]}
DEFAULTED = REQUIRED | {"properties": {"a": STRING | {"default": "x"}, "b": STRING}}
NESTED = {
    "type": "object",
    "properties": {"in": DEFAULTED | {"default": {"a": "y"}}},
    "required": ["in"],
}

# Schema, value, and what is said of it (None: it is taken).
CASES: list[tuple[dict[str, Any], Any, str | None]] = [
    (STRING, "x", None),
    (STRING, 1, "expected type string, found integer"),
    (STRING, True, "expected type string, found boolean"),
    (STRING, ["x"], "expected type string, found array"),
    (INTEGER, 1, None),
    (INTEGER, "1", "expected type integer, found string"),
    (INTEGER, 1.5, "expected type integer, found number"),
    (INTEGER, True, "expected type integer, found boolean"),
    ({"type": "number"}, 1.5, None),
    ({"type": "number"}, 1, None),
    ({"type": "number"}, "1", "expected type number, found string"),
    ({"type": "boolean"}, True, None),
    ({"type": "boolean"}, 0, "expected type boolean, found integer"),
    (THING, {"name": "x"}, None),
    (THING, {}, None),
    (THING, {"nam": "x"}, ".nam: expected a field that the CRD has, found an unknown one"),
    (THING, "x", "expected type object, found string"),
    (THING, {"name": 5}, ".name: expected type string, found integer"),
    (MAP, {"a": 1}, None),
    (MAP, {"a": "1"}, ".a: expected type integer, found string"),
    (FREE, {"a": {"b": [1]}}, None),
    (EITHER, "50%", None),
    (EITHER, 3, None),
    (EITHER, [3], "expected an integer or a string, found array"),
    (EMBEDDED, POD | {"a": "x"}, None),
    (EMBEDDED, POD | {"b": "x"}, ".b: expected a field that the CRD has"),
    ({"type": "array", "items": THING}, [{"name": "a"}, {"name": "b"}], None),
    ({"type": "array", "items": THING}, [{"name": "a"}, {"x": "b"}], "[1].x: expected a field"),
    ({"type": "array", "items": STRING}, "x", "expected type array, found string"),
    ({"type": "array", "items": STRING, "minItems": 2}, ["x"], "expected minItems 2"),
    ({"type": "array", "items": STRING, "maxItems": 1}, ["x", "y"], "expected maxItems 1"),
    (MAP | {"minProperties": 1}, {}, "expected minProperties 1"),
    (MAP | {"maxProperties": 1}, {"a": 1, "b": 2}, "expected maxProperties 1"),
    (STRING | {"enum": ["a", "b"]}, "a", None),
    (STRING | {"enum": ["a", "b"]}, "c", "expected enum ['a', 'b'], found 'c'"),
    (STRING | {"pattern": "^a+$"}, "aaa", None),
    (STRING | {"pattern": "^a+$"}, "ab", "expected pattern '^a+$', found 'ab'"),
    (STRING | {"pattern": "b"}, "abc", None),
    (STRING | {"minLength": 2}, "é", "expected minLength 2"),
    (STRING | {"maxLength": 2}, "éé", None),
    (STRING | {"maxLength": 2}, "abc", "expected maxLength 2"),
    (INTEGER | {"minimum": 1}, 1, None),
    (INTEGER | {"minimum": 1}, 0, "expected minimum 1, found 0"),
    (INTEGER | {"minimum": 1, "exclusiveMinimum": True}, 1, "expected minimum 1, found 1"),
    (INTEGER | {"maximum": 5}, 5, None),
    (INTEGER | {"maximum": 5}, 6, "expected maximum 5, found 6"),
    (INTEGER | {"maximum": 5, "exclusiveMaximum": True}, 5, "expected maximum 5, found 5"),
    (REQUIRED, {"a": "x"}, None),
    (REQUIRED, {"b": "x"}, ".a: expected, found nothing"),
    (REQUIRED, {"a": None}, ".a: expected, found nothing"),
    (DEFAULTED, {"b": "x"}, None),
    (DEFAULTED, {"a": None}, None),
    (NESTED, {}, None),
    (STRING | {"nullable": True}, None, None),
    (ONE_OF, {"a": "x"}, None),
    (ONE_OF, {"a": "x", "b": "y"}, "expected oneOf of what the CRD lists"),
    (ONE_OF, {}, "expected oneOf of what the CRD lists"),
    (NOT, {"a": "x"}, None),
    (NOT, {"b": "x"}, "expected anything but what the CRD excludes"),
    (ALL, "ab", None),
    (ALL, "a", "expected minLength 2"),
    (ALL, "bb", "expected pattern '^a'"),
    (BRANCH, {"kind": "a"}, None),
    (BRANCH, {"kind": "b", "list": [3]}, None),
    (BRANCH, {"kind": "b", "list": [4]}, "expected anyOf of what the CRD lists"),
]


def kind(group: str) -> dict[str, Any]:
    """The definition of a kind with a field `spec.cN` for each case, served as v1 alone."""
    fields = {f"c{number}": schema for number, (schema, _, _) in enumerate(CASES)}
    spec = {"type": "object", "properties": fields}
    schema = {"type": "object", "properties": {"spec": spec}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"cases.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": "Case", "plural": "cases", "singular": "case"},
            "scope": "Cluster",
            "versions": [version],
        },
    }


def thing(group: str, number: int) -> dict[str, Any]:
    """An object of that kind with the value of one case."""
    return {
        "apiVersion": f"{group}/v1",
        "kind": "Case",
        "metadata": {"name": "one"},
        "spec": {f"c{number}": CASES[number][1]},
    }
