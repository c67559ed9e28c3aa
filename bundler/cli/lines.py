"""The lines that push and install both print: a label of 13 columns, then what there is to say."""

from __future__ import annotations

from collections.abc import Sequence

from bundler.cli.progress import size_text
from bundler.cluster.push import PushPlan


def line(label: str, text: object) -> str:
    """`text` in the column of all others."""
    return f"{label:<13}{text}"


def status_line(status: str, signers: Sequence[str]) -> str:
    """Whether somebody vouches for the bundle, and who."""
    return line("status", f"{status}, signed by {', '.join(signers)}" if signers else status)


def sent_line(label: str, plan: PushPlan) -> str:
    """What goes over the line, and what a destination has already."""
    if not (plan.transfers or plan.entries):
        return line(label, "nothing: all images, models and files are there already")
    return line(
        label,
        f"{count(plan.blobs, 'blob')} ({size_text(plan.size)}), "
        f"{plan.shared} shared between repositories, {count(len(plan.entries), 'entry')}",
    )


def count(number: int, word: str) -> str:
    """``1 entry``, ``2 entries``."""
    if number == 1:
        return f"1 {word}"
    return f"{number} {word.removesuffix('y')}ies" if word.endswith("y") else f"{number} {word}s"
