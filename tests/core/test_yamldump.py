"""YAML that every reader takes for the same data."""

from __future__ import annotations

import pytest
import yaml

from bundler.core.yamldump import dump_all
from bundler.core.yamltext import load_all

ODD = (
    "no", "Yes", "y", "N", "on", "off", "null", "~", "", " ", "true", "1e-5", "1.10", "0x1F",
    "0o17", "017", "1_000", "12:30", "12:30:45", ".5", "+1", "-", "- a", "a: b", "a #b", "#a",
    "*a", "&a", "!a", "%a", "@a", "`a", "'a'", '"a"', "{a}", "[a]", "a,b", "a\nb", "a\nb\n",
    "\na", "a \nb", "  a\n b", "a\tb", "\x7f", "\u2028", "é", "\U0001f600", "=", "<<",
    "2026-01-01", ".inf", ".NaN", "a:", "a b ", " a", "x" * 300 + " " + "y" * 300, "\\",
    "a\\nb", "\r\n", "---", "...", "? a", "| a", "> a", "a'b", "1.2.3", "v1", "apps/v1",
    "sha256:00", "1:2", "0", "0b1",
)  # fmt: skip


@pytest.mark.parametrize("text", ODD)
def test_a_string_stays_that_string(text: str) -> None:
    value = {"key": text, text or "empty": ["a", text]}
    document = dump_all([value])
    # Both ways of reading, and neither may find a scalar that readers disagree about.
    assert [node.value for node in load_all(document, "x", ambiguous="refuse")] == [value]
    assert list(yaml.safe_load_all(document)) == [value]


@pytest.mark.parametrize(
    "value",
    [{"a": 1, "b": [True, None, 1.5, -3, 10**15]}, {"a": {}, "b": []}, {"a": {"b": [{"c": "d"}]}}],
)
def test_other_values_stay_what_they_are(value: object) -> None:
    document = dump_all([value, value])
    assert [node.value for node in load_all(document, "x", ambiguous="refuse")] == [value, value]


def test_keys_keep_their_order_and_nothing_is_an_alias() -> None:
    shared = {"z": "one", "a": "two"}
    assert dump_all([{"second": shared, "first": shared}]) == (
        "---\nsecond:\n  z: one\n  a: two\nfirst:\n  z: one\n  a: two\n"
    )


def test_text_of_many_lines_can_be_read() -> None:
    assert dump_all([{"a": "one\ntwo\n"}]) == "---\na: |\n  one\n  two\n"
