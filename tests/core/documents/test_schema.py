"""JSON Schemas: valid themselves, true to the examples, and as strict as a schema can be."""

from __future__ import annotations

import jsonschema
import pytest

from bundler.core.documents.schema import KINDS, json_schema
from bundler.core.errors import UsageError
from bundler.core.yamltext import load_all
from tests.core.documents.bad import BAD
from tests.core.documents.edit import Bad, edited
from tests.core.documents.examples import EXAMPLES

RIGHT = [(kind, text) for kind, texts in EXAMPLES.items() for text in texts]
WRONG = {
    f"{kind}: {name}": (kind, bad)
    for kind, table in BAD.items()
    for name, bad in table.items()
    if bad.schema
}


def valid(kind: str, text: str) -> bool:
    (node,) = load_all(text, "x.yaml")
    return jsonschema.Draft202012Validator(json_schema(kind)).is_valid(node.value)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_a_schema(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema(kind))


@pytest.mark.parametrize(("kind", "text"), RIGHT)
def test_every_example_validates(kind: str, text: str) -> None:
    assert valid(kind, text)


@pytest.mark.parametrize(("kind", "bad"), WRONG.values(), ids=list(WRONG))
def test_every_wrong_document_fails(kind: str, bad: Bad) -> None:
    assert not valid(kind, edited(EXAMPLES[kind][0], bad))


def test_every_field_says_what_it_is_for() -> None:
    names = json_schema("Policy")["properties"]["waivers"]["items"]["properties"]
    assert all(name["description"] for name in names.values())


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        json_schema("TrustPolcy")
    assert caught.value.hint == (
        "did you mean TrustPolicy? valid here: Bundle, TrustPolicy, Policy"
    )
