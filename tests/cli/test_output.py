"""What reaches standard output: one form for people, one for programs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from bundler.cli import output
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import PreflightError


@dataclass(frozen=True)
class Inner:
    layer_count: int


@dataclass(frozen=True)
class Result:
    file_name: Path
    index: Digest
    parts: tuple[Inner, ...]
    blob: Descriptor
    names: frozenset[str]
    settings: dict[str, str]


def result() -> Result:
    digest = Digest.of(b"x")
    return Result(
        Path("a/b"),
        digest,
        (Inner(2),),
        Descriptor("text/plain", digest, 1),
        frozenset({"b", "a"}),
        {"snake_case": "kept"},
    )


def test_a_dataclass_becomes_an_object_in_camel_case(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit(result(), "unused", as_json=True)
    digest = str(Digest.of(b"x"))
    assert json.loads(capsys.readouterr().out) == {
        "fileName": "a/b",
        "index": digest,
        "parts": [{"layerCount": 2}],
        "blob": {"mediaType": "text/plain", "digest": digest, "size": 1},
        "names": ["a", "b"],
        "settings": {"snake_case": "kept"},
    }


def test_a_preflight_that_failed_says_its_checks(capsys: pytest.CaptureFixture[str]) -> None:
    check = {"name": "GPU", "outcome": "failed", "message": "none", "remedy": None}
    assert output.report(PreflightError("preflight: 1 failed", None, [check]), as_json=True) == 8
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["checks"], error["exitCode"]) == ([check], 8)


def test_text_is_made_only_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    def never() -> str:
        raise AssertionError

    output.emit({"a": None}, never, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"a": None}


@pytest.mark.parametrize("text", ["one\ntwo", "one\ntwo\n"])
def test_text_ends_with_one_newline(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    output.emit({}, lambda: text, as_json=False)
    assert capsys.readouterr() == ("one\ntwo\n", "")


def test_what_has_no_json_form_is_a_bug() -> None:
    with pytest.raises(TypeError, match="no JSON form for bytes"):
        output.plain({"a": [b"x"]})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\rb", "a\\rb"),
        ("a\x9bb", "a\\x9bb"),
        ("a\u202eb", "a\\u202eb"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("Grüße 語", "Grüße 語"),
    ],
)
def test_a_name_cannot_rewrite_the_screen(
    text: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output.emit({}, text, as_json=False)
    output.note(text)
    assert capsys.readouterr() == (shown + "\n", shown + "\n")


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["verify", "--json", "f"], True),
        (["verify", "f"], False),
        (["verify", "--", "--json"], False),
        (["verify", "--json", "--", "f"], True),
    ],
)
def test_json_is_an_option_before_the_double_dash(arguments: list[str], wanted: bool) -> None:
    assert output.wants_json(arguments) is wanted
