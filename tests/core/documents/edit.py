"""One edit of an example, and what must be said about it."""

from __future__ import annotations

from typing import NamedTuple


class Bad(NamedTuple):
    """An edit of an example, and what must be said about it.

    `at` is line:column, `says` a part of the problem and `nearest` a part of the hint. `schema`
    is False where JSON Schema has no words for the rule.
    """

    old: str
    new: str
    at: str
    field: str
    says: str
    nearest: str = ""
    schema: bool = True


def edited(example: str, bad: Bad) -> str:
    """The example with the edit; the text to replace must stand in it."""
    assert bad.old in example
    return example.replace(bad.old, bad.new, 1)
