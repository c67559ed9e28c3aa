"""Every kind of document: right ones are read and written back, wrong ones name the place."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from bundler.core.documents.bundle import parse_bundle
from bundler.core.documents.plain import to_json
from bundler.core.documents.policy import parse_policy
from bundler.core.documents.trust import parse_trust_policy
from bundler.core.errors import DocumentError
from tests.core.documents.bad import BAD
from tests.core.documents.edit import Bad, edited
from tests.core.documents.examples import EXAMPLES

Parse = Callable[[str, str], Any]
PARSE: dict[str, Parse] = {
    "Bundle": parse_bundle,
    "TrustPolicy": parse_trust_policy,
    "Policy": parse_policy,
}
RIGHT = [(kind, text) for kind, texts in EXAMPLES.items() for text in texts]
WRONG = {
    f"{kind}: {name}": (kind, bad) for kind, table in BAD.items() for name, bad in table.items()
}


@pytest.mark.parametrize(("kind", "text"), RIGHT)
def test_writing_and_reading_are_inverse(kind: str, text: str) -> None:
    document = PARSE[kind](text, "x.yaml")
    again = json.dumps(to_json(document), ensure_ascii=False)
    assert PARSE[kind](again, "x.json") == document


@pytest.mark.parametrize(("kind", "bad"), WRONG.values(), ids=list(WRONG))
def test_a_wrong_document_names_line_field_and_nearest_name(kind: str, bad: Bad) -> None:
    with pytest.raises(DocumentError) as caught:
        PARSE[kind](edited(EXAMPLES[kind][0], bad), "x.yaml")
    error = caught.value
    assert (error.where, error.field) == (f"x.yaml:{bad.at}", bad.field)
    assert bad.says in error.problem
    assert bad.nearest in str(error.hint)
    assert error.exit_code == 2


@pytest.mark.parametrize("kind", PARSE)
@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        ("", "x.yaml", "holds no document"),
        ("# nothing\n---\n---\n", "x.yaml", "holds no document"),
        ("- a\n", "x.yaml:1:1", "is a list, expected a mapping"),
        ("text\n", "x.yaml:1:1", "expected a mapping"),
        ("{}\n", "x.yaml:1:1", "is missing"),
    ],
    ids=["nothing", "empty documents", "a list", "text", "an empty mapping"],
)
def test_what_is_no_document(kind: str, text: str, where: str, problem: str) -> None:
    with pytest.raises(DocumentError) as caught:
        PARSE[kind](text, "x.yaml")
    assert caught.value.where == where
    assert problem in caught.value.problem


@pytest.mark.parametrize("kind", PARSE)
def test_a_file_holds_one_document(kind: str) -> None:
    text = EXAMPLES[kind][0]
    with pytest.raises(DocumentError) as caught:
        PARSE[kind](f"{text}---\n{text}", "x.yaml")
    assert caught.value.where == f"x.yaml:{text.count(chr(10)) + 2}:1"
    assert "a second" in caught.value.problem


def test_an_unknown_field_lists_the_valid_ones() -> None:
    with pytest.raises(DocumentError) as caught:
        parse_policy("apiVersion: airbundle.dev/v1alpha1\nkind: Policy\nxyz: 1\n", "x.yaml")
    assert caught.value.hint == (
        "valid here: apiVersion, kind, allowHosts, checks, skip, waivers, partitions"
    )
