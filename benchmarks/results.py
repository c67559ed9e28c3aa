"""What was measured, beside the goals that are written down in goals.json."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

GOALS = Path(__file__).with_name("goals.json")


@dataclass(frozen=True)
class Result:
    """One row: `value` in `unit`; `against` is what it is held to, `ratio` the one by the other.

    `goal` is the most that the ratio may be, or the value where nothing is held against it; None
    where nobody set a goal, and then `met` is None, too.
    """

    name: str
    value: float
    unit: str
    against: float | None
    ratio: float | None
    goal: float | None
    met: bool | None


def result(
    name: str, value: float, unit: str, against: float | None = None, goal: float | None = None
) -> Result:
    """A row, with what follows from it; three digits behind the point are kept."""
    ratio = None if against is None else round(value / against, 3)
    value = round(value, 3)
    met = None if goal is None else (value if ratio is None else ratio) <= goal
    return Result(
        name, value, unit, None if against is None else round(against, 3), ratio, goal, met
    )


def read_goals(path: Path = GOALS) -> dict[str, float]:
    """The goals by the names of rows."""
    goals: dict[str, float] = json.loads(path.read_text())
    return goals


def write(path: Path, results: Iterable[Result]) -> None:
    """A JSON list, one object a row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(each) for each in results], indent=1) + "\n")


def table(results: Iterable[Result]) -> str:
    """For people: a line a row, and what missed its goal says so."""
    head = ("row", "value", "against", "ratio", "goal", "")
    lines = [head, *(_cells(each) for each in results)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    return "\n".join(
        f"{line[0]:<{widths[0]}}  "
        + "  ".join(f"{cell:>{width}}" for cell, width in zip(line[1:5], widths[1:5], strict=True))
        + f"  {line[5]}".rstrip()
        for line in lines
    )


def _cells(row: Result) -> tuple[str, ...]:
    against = "" if row.against is None else f"{row.against:.3f} {row.unit}"
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    goal = "" if row.goal is None else f"≤ {row.goal:g}"
    verdict = {None: "", True: "met", False: "MISSED"}[row.met]
    return row.name, f"{row.value:.3f} {row.unit}", against, ratio, goal, verdict
