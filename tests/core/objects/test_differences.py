"""Two forms of an object: where they differ, and what may be told of it."""

from __future__ import annotations

from bundler.core.objects.differences import Difference, differences
from bundler.core.objects.manifests import JsonObject
from tests.releases import config_map


def secret(**data: str) -> JsonObject:
    return config_map("serving", "login", **data) | {"kind": "Secret"}


def test_each_place_that_differs_is_a_pointer() -> None:
    before = config_map("serving", "one") | {"data": {"a/b": "1", "gone": "x", "same": "y"}}
    after = config_map("serving", "one") | {"data": {"a/b": "2", "new": "z", "same": "y"}}
    assert differences(before, after) == (
        Difference("/data/a~1b", "1", "2"),
        Difference("/data/gone", "x", None),
        Difference("/data/new", None, "z"),
    )


def test_lists_differ_item_by_item() -> None:
    before = config_map("serving", "one") | {"list": [{"a": 1}, 2]}
    after = config_map("serving", "one") | {"list": [{"a": True}, 2, {"b": 3}]}
    assert differences(before, after) == (
        Difference("/list/0/a", 1, True),
        Difference("/list/2", None, {"b": 3}),
    )


def test_no_value_of_a_secret_is_told() -> None:
    annotated = secret(password="hunter2")
    annotated["metadata"]["annotations"] = {"last-applied": "hunter2"}
    assert differences(annotated, secret(password="hunter3", user="jo")) == (
        Difference("/data/password", "***", "***"),
        Difference("/data/user", None, "***"),
        Difference("/metadata/annotations", "***", None),
    )


def test_of_a_secret_each_field_is_told_and_what_can_hold_no_secret_is_shown() -> None:
    bare = secret()
    del bare["data"]
    before = bare | {"type": "Opaque"}
    after = secret(a="hunter2", b="hunter3") | {"type": "x", "stringData": {"c": "hunter4"}}
    after["metadata"]["labels"] = {"team": "x"}
    assert differences(before, after) == (
        Difference("/data/a", None, "***"),
        Difference("/data/b", None, "***"),
        Difference("/metadata/labels", None, {"team": "x"}),
        Difference("/stringData/c", None, "***"),
        Difference("/type", "Opaque", "x"),
    )


def test_another_api_s_secret_is_no_secret() -> None:
    before, after = (secret(key=text) | {"apiVersion": "example.org/v1"} for text in "ab")
    assert differences(before, after) == (Difference("/data/key", "a", "b"),)
