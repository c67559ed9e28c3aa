"""The Secrets that a bundle names, and never carries."""

from __future__ import annotations

import pytest

from bundler.core.documents.bundle import parse_bundle
from bundler.core.documents.secretrefs import SecretRef
from bundler.core.errors import DocumentError
from tests.core.documents.examples import SMALLEST_BUNDLE

ONE = "{name: bucket, namespace: serving, keys: [user, pass.word], description: the bucket's login}"


def parsed(*items: str) -> tuple[SecretRef, ...]:
    text = SMALLEST_BUNDLE + "  secretRefs:\n" + "".join(f"    - {item}\n" for item in items)
    return parse_bundle(text, "bundle.yaml").secret_refs


def test_a_secret_has_a_name_keys_and_a_description() -> None:
    assert parsed(ONE) == (
        SecretRef(
            name="bucket",
            namespace="serving",
            keys=("user", "pass.word"),
            description="the bucket's login",
        ),
    )
    assert parse_bundle(SMALLEST_BUNDLE, "bundle.yaml").secret_refs == ()


@pytest.mark.parametrize(
    ("old", "new", "field", "words"),
    [
        ("bucket,", "Bucket,", "name", "expected a Secret's name"),
        ("serving", "a/b", "namespace", "expected lower-case"),
        ("[user, pass.word]", "[]", "keys", "expected at least 1"),
        ("pass.word", "user", "keys[1]", "as item 0 is already"),
        ("pass.word", "pass/word", "keys[1]", "expected letters, digits"),
        (", description: the bucket's login", "", "description", "is missing"),
        ("user, pass.word]", "user], value: hunter2", "value", "unknown field"),
    ],
)
def test_what_is_wrong_with_one_is_said(old: str, new: str, field: str, words: str) -> None:
    item = ONE.replace(old, new)
    assert item != ONE
    with pytest.raises(DocumentError) as caught:
        parsed(item)
    assert caught.value.field == f"spec.secretRefs[0].{field}"
    assert words in caught.value.problem


def test_one_secret_stands_once() -> None:
    with pytest.raises(DocumentError, match=r"is the same Secret as spec.secretRefs\[0\]"):
        parsed(ONE, ONE.replace("[user, pass.word]", "[token]"))
    assert len(parsed(ONE, ONE.replace("serving", "other"))) == 2
