"""`airbundle schema`: the schema on standard output, and the nearest name."""

from __future__ import annotations

import json

import pytest

from bundler.cli import main
from bundler.core.documents.schema import KINDS, json_schema


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_it_prints_the_schema(
    kind: str, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["schema", kind, *more]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema(kind)


def test_an_unknown_kind_exits_2_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["schema", "bundel"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "error: no kind of document is called 'bundel'" in shown.err
    assert "hint: did you mean Bundle?" in shown.err
