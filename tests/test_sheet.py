"""The operator's sheet, docs/far-side.md: it fits on paper, and every line of it can be typed."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from pathlib import Path

import click
import pytest

from bundler.cli.main import COMMANDS

PAGE = (Path(__file__).parents[1] / "docs" / "far-side.md").read_text(encoding="utf-8")
SHEET = PAGE[PAGE.index("## The sheet") : PAGE.index("## How the first key")]


def typed(text: str) -> list[str]:
    """What stands behind the prompts, lines that go on put together."""
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def calls() -> list[list[str]]:
    """The words of every call of airbundle on the page, in blocks or within a sentence."""
    within = re.findall(r"`(airbundle [^`]*)`", PAGE.replace("\n", " "))
    every = [shlex.split(line) for line in (*typed(PAGE), *within)]
    return [words[1:] for words in every if words[0] == "airbundle" and len(words) > 1]


def test_the_sheet_fits_on_one_page() -> None:
    lines = SHEET.splitlines()
    assert len(lines) <= 70
    assert max(map(len, lines)) <= 140


def test_the_steps_are_all_there_in_their_order() -> None:
    programs = [line.split()[0:2] for line in typed(SHEET) if not line.startswith("alias")]
    assert programs == [
        ["openssl", "pkey"],
        ["openssl", "dgst"],
        ["airbundle", "verify"],
        ["docker", "login"],
        ["airbundle", "doctor"],
        ["airbundle", "install"],
        ["airbundle", "status"],
        ["airbundle", "rollback"],
        ["airbundle", "uninstall"],
    ]


@pytest.mark.parametrize("words", calls(), ids=" ".join)
def test_every_call_is_one_that_the_command_line_knows(words: list[str]) -> None:
    assert words[0] in COMMANDS
    command: click.Command = import_module(COMMANDS[words[0]][0]).command
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words[1:] if word.startswith("-")} <= known
