"""Foreign text in one line."""

from __future__ import annotations

import pytest

from bundler.core.oneline import one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        (" a\n  b\tc \n", "a   b c"),
        ("\x1b[2J\x00\x9b\r", r"\x1b[2J\x00\x9b"),
        ("\u202egnp\u200b", r"\u202egnp\u200b"),
        ("\ud800", r"\ud800"),
        ("ß…漢", "ß…漢"),
        ("x" * 20, "x" * 20),
        ("x" * 21, "x" * 19 + "…"),
        ("\x00" * 20, r"\x00\x00\x00\x00\x0" "…"),
        ("", ""),
    ],
)
def test_a_line_is_one_and_bounded(text: str, shown: str) -> None:
    assert one_line(text, 20) == shown
