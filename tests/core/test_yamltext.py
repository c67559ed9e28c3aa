"""YAML: what is read, where it stood, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from bundler.core.errors import DocumentError
from bundler.core.yamltext import MAX_BYTES, MAX_DEPTH, load_all, node_of


def refusal(text: str, manifest: bool = False) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        load_all(text, "f.yaml", ambiguous="refuse" if manifest else "core")
    return caught.value


def test_every_value_and_key_has_its_mark() -> None:
    (node,) = load_all("a:\n  - x\n  - b: 'y'\n    c: {d: [1, 2]}\n", "f.yaml")
    assert node.value == {"a": ["x", {"b": "y", "c": {"d": [1, 2]}}]}
    assert node.mark() == "f.yaml:1:1"
    assert node.mark(("a",)) == "f.yaml:2:3"
    assert node.mark(("a", 1, "b")) == "f.yaml:3:8"
    assert node.mark(("a", 1, "c"), key=True) == "f.yaml:4:5"
    assert node.mark(("a", 1, "c", "d", 1)) == "f.yaml:4:16"


def test_documents_of_a_stream_keep_their_lines() -> None:
    nodes = load_all("a: 1\n---\n---\nb: 2\n", "f.yaml")
    assert [node.value for node in nodes] == [{"a": 1}, None, {"b": 2}]
    assert nodes[2].mark(("b",)) == "f.yaml:4:4"
    assert load_all("# nothing\n", "f.yaml") == []


def test_values_are_made_anew_so_that_aliases_do_not_share_them() -> None:
    (node,) = load_all("a: &x {k: [1]}\nb: *x\n", "f.yaml")
    value = node.value
    value["a"]["k"].append(2)
    assert value["b"] == {"k": [1]}
    assert node.value == {"a": {"k": [1]}, "b": {"k": [1]}}


def test_block_and_quoted_scalars_are_strings() -> None:
    (node,) = load_all("a: |\n  0644\nb: '1.10'\nc: \"no\"\nd: >-\n  yes\n", "f.yaml", "refuse")
    assert node.value == {"a": "0644\n", "b": "1.10", "c": "no", "d": "yes"}


REFUSED: dict[str, tuple[str, str, str, str]] = {
    # name: (text, line:column, field, part of the problem)
    "duplicate key": ("a:\n  b: 1\n  b: 2\n", "3:3", "a.b", "stands twice, first at f.yaml:2:3"),
    "duplicate key in quotes": ("{a: 1, 'a': 2}", "1:8", "a", "stands twice"),
    "merge key": ("a: {<<: {b: 1}}", "1:5", "a", "merge keys"),
    "number as key": ("a:\n  1: x\n", "2:3", "a", "key 1 is not a string"),
    "null as key": ("~: x", "1:1", "", "key ~ is not a string"),
    "boolean as key": ("true: x", "1:1", "", "key true is not a string"),
    "list as key": ("? [a]\n: b\n", "1:3", "", "a key is a list or a mapping"),
    "custom tag": ("a: !vault x", "1:4", "a", "carries the tag !vault"),
    "python tag": ("!!python/object:os.system {}", "1:1", "", "carries the tag"),
    "core tag": ("a: !!str 5", "1:4", "a", "carries the tag"),
    "tag on a list": ("a: !!set [x]", "1:4", "a", "carries the tag"),
    "endless alias": ("a: &x [1, *x]", "1:11", "a[1]", "inside its own anchor"),
    "unknown alias": ("a: *x", "1:4", "a", "no anchor before it"),
    "alias of another document": ("&x a\n---\n*x\n", "3:1", "", "no anchor before it"),
    "anchor twice": ("a: &x 1\nb: &x 2\n", "2:4", "b", "stands twice"),
    "YAML 1.1": ("%YAML 1.1\n---\na: 1\n", "1:1", "", "another version"),
    "half a surrogate": ('a: "\\ud800"', "1:4", "a", "half of a surrogate pair"),
    "forbidden character": ("a: b\nc: \x07\n", "2:4", "", "a character that YAML forbids"),
    "no YAML": ("a: [1\nb: 2\n", "2:2", "", "is not YAML"),
    "tab": ("a:\n\tb: 1\n", "2:1", "", "is not YAML"),
    "long integer": ("a: 18446744073709551616", "1:4", "a", "does not fit in 64 bits"),
    "huge integer": (f"a: {'9' * 5000}", "1:4", "a", "does not fit in 64 bits"),
    "huge float": ("a: 1e999", "1:4", "a", "does not fit in a 64-bit float"),
}


@pytest.mark.parametrize(("text", "at", "field", "problem"), REFUSED.values(), ids=list(REFUSED))
@pytest.mark.parametrize("manifest", [False, True], ids=["document", "manifest"])
def test_refused(text: str, at: str, field: str, problem: str, manifest: bool) -> None:
    error = refusal(text, manifest)
    assert (error.where, error.field) == (f"f.yaml:{at}", field)
    assert problem in error.problem


@pytest.mark.parametrize("text", ['"\\U00110000"', f"%YAML 1.{'9' * 5000}\n--- a"])
def test_numbers_that_break_the_parser_are_refused(text: str) -> None:
    assert "out of range" in refusal(text).problem


def test_nesting_is_bounded() -> None:
    deepest = "[" * (MAX_DEPTH - 1) + "x" + "]" * (MAX_DEPTH - 1)
    assert load_all(deepest, "f.yaml")[0].height == MAX_DEPTH
    assert "nested deeper than 64" in refusal(f"[{deepest}]").problem
    assert "nested deeper than 64" in refusal("- " * 5000 + "x").problem


def test_nesting_through_aliases_is_bounded() -> None:
    half = "[" * 40 + "x" + "]" * 40
    error = refusal(f"a: &x {half}\nb: {'[' * 30}*x{']' * 30}\n")
    assert "nested deeper than 64" in error.problem


def test_an_alias_bomb_is_refused_before_it_expands() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    error = refusal("\n".join(lines))
    assert "aliases expand to more than" in error.problem
    assert error.where.startswith("f.yaml:4:")


def test_a_text_holds_one_mebibyte_a_manifest_more() -> None:
    text = "# " + "x" * (MAX_BYTES - 2)
    assert load_all(text, "f.yaml") == []
    assert "more than 1048576" in refusal(text + "x").problem
    assert load_all(text + "x", "f.yaml", ambiguous="refuse") == []


AMBIGUOUS = {
    # plain scalar: what YAML 1.2 makes of it, what the hint offers
    "0644": (644, 'write 420, or "0644"'),
    "-010": (-10, "write -8"),
    "0o17": (15, "write 15"),
    "0X1f": ("0X1f", "write 31"),
    "-0x1f": ("-0x1f", "write -31"),
    "0b11": ("0b11", "write 3"),
    "0b+1": ("0b+1", "write 1"),
    "08": (8, "write 8"),
    "00": (0, "write 0"),
    "1_000": ("1_000", "write 1000"),
    "1_000.5": ("1_000.5", "write 1000.5"),
    "0_7": ("0_7", "write 7"),
    "1:30": ("1:30", 'write "1:30"'),
    "22:22:22.5": ("22:22:22.5", 'write "22:22:22.5"'),
    "=": ("=", 'write "="'),
    ".inf": (float("inf"), 'write ".inf"'),
    "-.INF": (float("-inf"), 'write "-.INF"'),
} | {
    word: (word, f'write "{word}", or true or false')
    for word in "y Y n N yes Yes YES no No NO on On ON off Off OFF".split()
}


@pytest.mark.parametrize(("text", "read"), AMBIGUOUS.items(), ids=list(AMBIGUOUS))
def test_a_manifest_may_not_say_what_readers_take_differently(
    text: str, read: tuple[Any, str]
) -> None:
    value, hint = read
    assert load_all(f"a: {text}", "f.yaml")[0].value == {"a": value}
    error = refusal(f"kind: X\na:\n  - {text}\n", manifest=True)
    assert (error.where, error.field) == ("f.yaml:3:5", "a[0]")
    assert error.problem.startswith(f"{text} is ")
    assert hint in str(error.hint)
    assert refusal(f"{text}: 1", manifest=True).where == "f.yaml:1:1"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("-0", 0), ("+12", 12), ("0x1F", 31), ("1e-5", 1e-5), ("1.10", 1.1), (".5", 0.5),
        ("1.", 1.0), ("~", None), ("", None), ("Null", None), ("True", True), ("FALSE", False),
        ("2001-01-01", "2001-01-01"), ("tRUE", "tRUE"), ("1.2.3", "1.2.3"), ("_1", "_1"),
        ("100m", "100m"), ("8Gi", "8Gi"), ("a:80", "a:80"), ("1:70", "1:70"), ("0xg", "0xg"),
        ("9223372036854775807", 2**63 - 1), ("-9223372036854775808", -(2**63)),
    ],
)  # fmt: skip
def test_what_all_readers_take_alike(text: str, value: Any) -> None:
    for ambiguous in ("core", "refuse"):
        (node,) = load_all(f"a: {text}", "f.yaml", ambiguous)
        found = node.value["a"]
        assert (found, type(found)) == (value, type(value))


def test_not_a_number_is_a_float_in_documents() -> None:
    (node,) = load_all("a: .nan", "f.yaml")
    assert node.value["a"] != node.value["a"]
    assert "no number that JSON can carry" in refusal("a: .nan", manifest=True).problem


def test_plain_data_becomes_a_node() -> None:
    value = {"a": [1, "x", None, {"b": True}]}
    node = node_of(value, "config")
    assert node.value == value
    assert node.mark(("a", 3, "b"), key=True) == "config"
