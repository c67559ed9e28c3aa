"""Members of large JSON objects, one at a time."""

from __future__ import annotations

import json

import pytest

from bundler.core.jsonmembers import Span, object_members, string


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"a": 1, "b": [1, {"c": "]}"}], "": "", "d": {"e": None}, "f": True, "g": -1.5e3},
        {'"\\': '"\\', "\u00fc\U0001f600": "\n"},
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_every_member_is_found_as_it_was_written(value: object, indent: int | None) -> None:
    for text in (json.dumps(value, indent=indent), json.dumps(value, ensure_ascii=False)):
        data = b" " + text.encode() + b"\n"
        found = {name: json.loads(data[a:b]) for name, (a, b) in object_members(data)}
        assert found == value


def test_an_object_within() -> None:
    data = b'{"a": { "b" : "c" } , "d": 1}'
    spans = dict(object_members(data))
    ((name, span),) = object_members(data, spans["a"])
    assert (name, string(data, span)) == ("b", "c")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "expected '{' at byte 0"),
        (b"[]", "expected '{' at byte 0"),
        (b"{", "expected a name in quotes"),
        (b'{"a', "expected a name in quotes"),
        (b'{"a"', "expected ':'"),
        (b'{"a":', "expected a value"),
        (b'{"a":"b', "expected a value"),
        (b'{"a":[', "has no end"),
        (b'{"a":["', "has no end"),
        (b'{"a":[}', "brackets do not match"),
        (b'{"a":1', "expected '}'"),
        (b'{"a":1}}', "expected nothing behind the object"),
        (b'{"a":1 1}', "expected '}'"),
        (b'{"a":1,}', "expected a name in quotes"),
        (b'{"\xff":1}', "utf-8"),
        (b'{"\\ud800":1}', "half of a surrogate pair"),
        (b'{"a\n":1}', "control character"),
        pytest.param(b'{"a":' + b"[" * 65 + b"]" * 65 + b"}", "deeper than 64", id="deep"),
    ],
)
def test_what_is_no_object_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        list(object_members(data))


def test_a_value_that_is_no_string() -> None:
    with pytest.raises(ValueError, match="expected a string at byte 5"):
        string(b'{"a":1}', Span(5, 6))
