"""YAML that every reader takes for the same data."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import yaml

from bundler.core.errors import ToolError
from bundler.core.yamldump import dump_all
from bundler.core.yamltext import load_all
from bundler.tools.kustomize import find_kustomize

ODD = (
    "no", "Yes", "y", "N", "on", "off", "null", "~", "", " ", "true", "1e-5", "1.10", "0x1F",
    "0o17", "017", "1_000", "12:30", "12:30:45", ".5", "+1", "-", "- a", "a: b", "a #b", "#a",
    "*a", "&a", "!a", "%a", "@a", "`a", "'a'", '"a"', "{a}", "[a]", "a,b", "a\nb", "a\nb\n",
    "\na", "a \nb", "  a\n b", "a\tb", "\x7f", "\u2028", "é", "\U0001f600", "=", "<<",
    "2026-01-01", ".inf", ".NaN", "a:", "a b ", " a", "x" * 300 + " " + "y" * 300, "\\",
    "a\\nb", "\r\n", "---", "...", "? a", "| a", "> a", "a'b", "1.2.3", "v1", "apps/v1",
    "sha256:00", "1:2", "0", "0b1",
)  # fmt: skip

# What ends a line for some readers, what may not stand in YAML at all, and what needs quotes.
ALPHABET = (
    "ab1_.e/=~ \t\n\n:-#'\"\\|>&*!%@`{}[],?<"
    "\x00\x07\x0b\x0c\x1b\x1f\x7f\x80\x85\x9f\xa0\u200b\u2028\u2029\ufeff\ufffe\xe9\U0001f600\U0010ffff"
)


def texts(count: int, alphabet: str = ALPHABET) -> list[str]:
    """The same texts each time, all of them short, since what goes wrong is about neighbours."""
    draw = random.Random(1)
    return ["".join(draw.choices(alphabet, k=draw.randint(1, 9))) for _ in range(count)]


LINES = (
    "# never\x85rm -rf /models\n", "a\n\u2028b", "a\n\u2029b", "a\n\ufeffb", "a\n\x1bb", "a\n\tb",
    "\n\x7f", "a\rb\n", "a\n\ufffe",
)  # fmt: skip


@pytest.mark.parametrize("text", LINES)
def test_only_what_ends_a_line_for_everybody_is_written_as_lines(text: str) -> None:
    document = dump_all([{"key": text}])
    assert document.startswith('---\nkey: "')
    assert document.isascii()
    assert document.count("\n") == len("-k")
    assert "\x85" not in document


def test_texts_of_odd_characters_stay_those_texts() -> None:
    value = [{"key": text, "list": [text]} for text in texts(2000)]
    document = dump_all([value])
    assert [node.value for node in load_all(document, "x", ambiguous="refuse")] == [value]
    assert list(yaml.safe_load_all(document)) == [value]


def _as_go_writes(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def kustomize_reads(folder: Path, document: str, data: dict[str, str]) -> bool:
    """Whether Kustomize finds `data` in `document`.

    It compares by a JSON patch and throws the data away, since its own output loses some of them:
    it writes NEL as it stands, and fails over C1 controls.
    """
    path = "/data"
    patch = [
        {"op": "test", "path": path, "value": data},
        {"op": "replace", "path": path, "value": {"read": "well"}},
    ]
    patches = [{"path": "patch.json", "target": {"kind": "ConfigMap"}}]
    (folder / "all.yaml").write_bytes(document.encode())
    (folder / "patch.json").write_text(_as_go_writes(patch), encoding="utf-8")
    (folder / "kustomization.yaml").write_text(
        json.dumps({"resources": ["all.yaml"], "patches": patches})
    )
    return "read: well" in find_kustomize().render(folder, ".")


@pytest.mark.needs("kustomize")
def test_kustomize_reads_the_same(tmp_path: Path) -> None:
    data = {f"k{number}": text for number, text in enumerate([*LINES, *ODD, *texts(500)])}
    metadata = {"name": "x"}
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    assert kustomize_reads(tmp_path, dump_all([obj]), data)
    as_block = dump_all([{**obj, "data": {"k": "# a\nb\n"}}]).replace("# a\n", "# a\x85", 1)
    with pytest.raises(ToolError, match="test failed"):
        kustomize_reads(tmp_path, as_block, {"k": "# a\x85b\n"})


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
