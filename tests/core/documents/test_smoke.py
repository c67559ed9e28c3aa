"""The section `smoke` of a Bundle."""

from __future__ import annotations

import jsonschema
import pytest

from bundler.core.documents.bundle import parse_bundle
from bundler.core.documents.plain import to_json
from bundler.core.documents.schema import json_schema
from bundler.core.documents.smoke import LONGEST_BODY, Expected, Smoke
from bundler.core.errors import DocumentError
from bundler.core.yamltext import load_all
from tests.core.documents.examples import BUNDLE

SMOKE = """\
  smoke:
    - service: embed
      namespace: serving
      port: 8080
      path: /v1/models/embed:predict?raw=1
      method: POST
      body: |
        {"instances": ["one", "two"]}
      status: 200
      expect:
        - {pointer: /predictions, type: array, length: 2}
        - {pointer: /model, equals: embed}
    - {service: embed, namespace: serving, port: "https:http", path: /v2/health/ready}
"""
TEXT = BUNDLE.replace("  policy:", f"{SMOKE}  policy:")


def valid(text: str) -> bool:
    (node,) = load_all(text, "x.yaml")
    return jsonschema.Draft202012Validator(json_schema("Bundle")).is_valid(node.value)


def test_every_field_arrives() -> None:
    first, second = parse_bundle(TEXT, "x.yaml").smoke
    assert first == Smoke(
        service="embed",
        namespace="serving",
        port=8080,
        path="/v1/models/embed:predict?raw=1",
        method="POST",
        body='{"instances": ["one", "two"]}\n',
        expect=(
            Expected(pointer="/predictions", type="array", length=2),
            Expected(pointer="/model", equals="embed"),
        ),
    )
    assert (second.port, second.method, second.status, second.expect) == (
        "https:http",
        "GET",
        200,
        (),
    )
    assert valid(TEXT)


def test_writing_and_reading_are_inverse() -> None:
    bundle = parse_bundle(TEXT, "x.yaml")
    assert to_json(bundle)["spec"]["smoke"][1]["path"] == "/v2/health/ready"
    assert to_json(bundle)["spec"]["smoke"][0]["expect"][0] == {
        "pointer": "/predictions",
        "type": "array",
        "length": 2,
    }


# (old, new, field, a part of the problem, whether JSON Schema refuses it, too)
WRONG = [
    ("service: embed\n", "service: Embed\n", "service", "lower-case letters", True),
    ("      namespace: serving\n", "", "namespace", "is missing", True),
    ("port: 8080", "port: 0", "port", "is 0, expected a port from 1 to 65535", False),
    ("port: 8080", "port: 65536", "port", "is 65536", False),
    ("port: 8080", "port: tcp:x", "port", "a port's name or number", False),
    ("port: 8080", "port: 1.5", "port", "expected a string or an integer", True),
    ("path: /v1", "path: v1", "path", "expected a path", True),
    ("path: /v1", "path: /../v1", "path", "without . and ..", False),
    ("path: /v1", "path: /%2e%2e/v1", "path", "escapes", True),
    ("path: /v1", "path: /./v1", "path", "without . and ..", False),
    ("path: /v1/", "path: /v 1/", "path", "expected a path", True),
    ("path: /v1", "path: /v1#", "path", "expected a path", True),
    ("method: POST", "method: PUT", "method", "expected one of GET, POST", True),
    ("method: POST", "method: GET", "body", "and method is GET", True),
    ("status: 200", "status: 100", "status", "from 200 to 599", True),
    ("status: 200", "status: 600", "status", "from 200 to 599", False),
    ("pointer: /predictions", "pointer: predictions", "expect[0].pointer", "JSON pointer", True),
    ("type: array", "type: list", "expect[0].type", "expected one of object, array", True),
    ("type: array", "type: number", "expect[0].length", "a number has no length", True),
    ("length: 2", "length: -1", "expect[0].length", "at least 0", True),
    ("length: 2", "length: 2, equals: x", "expect[0].length", "says it all", True),
    ("equals: embed", "equal: embed", "expect[1].equal", "unknown field", True),
]


@pytest.mark.parametrize(("old", "new", "field", "says", "schema"), WRONG)
def test_what_is_wrong_is_named(old: str, new: str, field: str, says: str, schema: bool) -> None:
    assert old in SMOKE
    text = TEXT.replace(SMOKE, SMOKE.replace(old, new, 1))
    with pytest.raises(DocumentError) as caught:
        parse_bundle(text, "x.yaml")
    assert caught.value.field == f"spec.smoke[0].{field}"
    assert says in caught.value.problem
    assert valid(text) is not schema


def test_a_body_has_bounds() -> None:
    long = SMOKE.replace("one", "x" * LONGEST_BODY)
    with pytest.raises(DocumentError, match="more than 65536"):
        parse_bundle(TEXT.replace(SMOKE, long), "x.yaml")
