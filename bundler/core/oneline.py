"""Foreign text made fit for one line of a terminal."""

from __future__ import annotations


def one_line(text: str, most: int) -> str:
    """`text` in one line of at most `most` characters, what nobody can see spelled ``\\x1b``."""
    shown = "".join(map(_shown, text.strip()[: most + 1]))
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def _shown(char: str) -> str:
    if char in "\n\t":
        return " "
    return char if char.isprintable() else char.encode("unicode_escape").decode()
