"""What a refusal may say about a Secret: which key it is, and never its value."""

from __future__ import annotations

import base64

import pytest

from bundler.cluster.client.answers import content
from bundler.cluster.client.secretvalues import require_texts, unsaid
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject
from bundler.tools.http import Answer


def secret(**fields: object) -> JsonObject:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}} | fields


@pytest.mark.parametrize("value", [90210377, {"password": "HUNTER2"}, True, ["HUNTER2"]])
@pytest.mark.parametrize("field", ["data", "stringData"])
def test_a_value_that_is_no_text_is_refused_by_its_key(field: str, value: object) -> None:
    with pytest.raises(ClusterError, match=f"s: {field}: 'pin': expected a string") as caught:
        require_texts(secret(**{field: {"pin": value}}), "s")
    assert str(value) not in f"{caught.value.message} {caught.value.hint}"


def test_texts_and_other_kinds_are_let_through() -> None:
    require_texts(secret(stringData={"pin": "1"}, data={"none": None}), "s")
    require_texts({"apiVersion": "x/v1", "kind": "Secret", "data": {"pin": 1}}, "s")


def test_what_the_server_says_has_no_values() -> None:
    plain = 'so "secret"'
    coded = base64.b64encode(b"other-secret").decode()
    sent = secret(stringData={"a": plain, "b": "abc"}, data={"c": coded})
    shown = base64.b64encode(plain.encode()).decode()
    said = f'{plain} "so \\"secret\\"" {shown} {coded} other-secret abc'
    assert unsaid(said, sent) == '*** "***" *** *** *** abc'
    assert unsaid(said, sent | {"kind": "ConfigMap"}) == said


def test_a_refusal_does_not_show_what_was_sent() -> None:
    body = b'{"message": ".data.pin: expected string, got &value.valueUnstructured{Value:902103}"}'
    with pytest.raises(ClusterError) as caught:
        content(Answer(500, {}, body, ""), "apply", "Secret s", secret(data={"pin": 902103}))
    assert caught.value.message.endswith(".data.pin: expected string, got something else")
