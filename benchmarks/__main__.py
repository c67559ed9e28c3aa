"""`python -m benchmarks`: every row, into build/bench.json and onto the terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import installing, predicting, rows
from benchmarks.data import FULL, Data, make_data
from benchmarks.measure import Bench, BenchError
from benchmarks.results import Result, read_goals, table, write
from benchmarks.rows import ROUNDS, Site, prepare
from benchmarks.yardstick import require_yardstick
from tests.parts.components import BUILD

Row = Callable[[Site], list[Result]]
ALL: tuple[Row, ...] = (*rows.ALL, *installing.ALL, *predicting.ALL)


def measure(
    folder: Path, data: Data, rounds: int = ROUNDS, measured: Sequence[Row] = ALL
) -> Iterator[Result]:
    """Every row, one after the other; below `folder` nothing stays that was not there."""
    run, scratch = folder / "run", folder / "scratch"
    try:
        for each in (run, scratch):
            shutil.rmtree(each, ignore_errors=True)
            each.mkdir(parents=True)
        site = Site(Bench(run), scratch, data, read_goals(), rounds)
        prepare(site)
        for row in measured:
            yield from row(site)
    finally:
        for each in (run, scratch):
            shutil.rmtree(each, ignore_errors=True)


def main() -> int:
    """1 when the yardstick is none, or what is measured fails; a missed goal is only shown."""
    folder = BUILD / "bench"
    found: list[Result] = []
    try:
        data = make_data(folder / "data", FULL)
        shares = require_yardstick(data.weights[-1])
        print(f"yardstick: {', '.join(f'{share:.2f}' for share in shares)} of openssl's speed")
        for row in measure(folder, data):
            found.append(row)
            print(f"{row.name}: {row.value:.3f} {row.unit}", file=sys.stderr, flush=True)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    write(BUILD / "bench.json", found)
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
