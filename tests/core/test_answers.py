"""Whether an answer is the one that a smoke call expects."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bundler.core.answers import disagreement
from bundler.core.documents.smoke import Expected

ANSWER = {"predictions": [{"label": "PERSON", "score": 1.0}, 2], "ready": True, "none": None}


@pytest.mark.parametrize(
    "expected",
    [
        {"pointer": ""},
        {"pointer": "", "type": "object", "length": 3},
        {"pointer": "/predictions", "type": "array", "length": 2},
        {"pointer": "/predictions/0/label", "type": "string", "length": 6},
        {"pointer": "/predictions/0/label", "equals": "PERSON"},
        {"pointer": "/predictions/0/score", "type": "number", "equals": 1},
        {"pointer": "/predictions/1", "type": "number", "equals": 2},
        {"pointer": "/ready", "type": "boolean", "equals": True},
        {"pointer": "/none", "type": "null"},
    ],
)
def test_what_is_expected_is_found(expected: dict[str, Any]) -> None:
    assert disagreement([Expected(**expected)], json.dumps(ANSWER).encode()) is None


@pytest.mark.parametrize(
    ("expected", "says"),
    [
        ({"pointer": "/nothing"}, "/nothing: expected a value, found none"),
        ({"pointer": "/predictions/2"}, "/predictions/2: expected a value, found none"),
        ({"pointer": "", "type": "array"}, "the answer: expected an array, found an object"),
        (
            {"pointer": "/predictions", "length": 3},
            "/predictions: expected a length of 3, found one of 2",
        ),
        ({"pointer": "/ready", "length": 1}, "/ready: expected what has a length, found a boolean"),
        ({"pointer": "/ready", "type": "number"}, "/ready: expected a number, found a boolean"),
        ({"pointer": "/ready", "equals": 1}, "/ready: expected 1, found true"),
        ({"pointer": "/none", "type": "string"}, "/none: expected a string, found null"),
        (
            {"pointer": "/predictions/0/label", "equals": "\x1b"},
            r'/predictions/0/label: expected "\u001b", found "PERSON"',
        ),
    ],
)
def test_what_is_not_expected_is_told(expected: dict[str, Any], says: str) -> None:
    assert disagreement([Expected(**expected)], json.dumps(ANSWER).encode()) == says


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused_where_json_is_expected(body: bytes) -> None:
    assert disagreement([Expected(pointer="")], body) == "expected JSON, found something else"
    assert disagreement([], body) is None
