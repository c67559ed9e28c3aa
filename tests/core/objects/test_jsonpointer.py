from __future__ import annotations

import pytest

from bundler.core.objects import jsonpointer

DATA = {"a/b": [{"c~d": "x"}, "y"], "": 1}


@pytest.mark.parametrize("pointer", ["", "/a~1b", "/a~1b/0", "/a~1b/0/c~0d", "/a~1b/1", "/"])
def test_get_and_put_meet_at_the_same_place(pointer: str) -> None:
    assert jsonpointer.get(jsonpointer.put(DATA, pointer, "new"), pointer) == "new"
    assert DATA == {"a/b": [{"c~d": "x"}, "y"], "": 1}


@pytest.mark.parametrize(
    "pointer", ["/x", "/a~1b/2", "/a~1b/-", "/a~1b/00", "/a~1b/-1", "/a~1b/1/0"]
)
def test_what_is_not_there_is_a_key_error(pointer: str) -> None:
    with pytest.raises(KeyError):
        jsonpointer.get(DATA, pointer)
    with pytest.raises(KeyError):
        jsonpointer.put(DATA, pointer, "new")


@pytest.mark.parametrize("pointer", ["a", "/a~", "/a~2b"])
def test_what_is_no_pointer_is_a_value_error(pointer: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        jsonpointer.tokens(pointer)


def test_every_string_and_key_has_its_path() -> None:
    assert list(jsonpointer.strings(DATA)) == [(("a/b", 0, "c~d"), "x"), (("a/b", 1), "y")]
    assert [key for _, key in jsonpointer.keys(DATA)] == ["a/b", "c~d", ""]
    for path, text in jsonpointer.strings(DATA):
        assert jsonpointer.get(DATA, jsonpointer.spell(path)) == text
