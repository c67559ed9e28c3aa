"""`make bench` still works: every row is measured, on next to nothing, and no time is judged."""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path

import pytest

from benchmarks import installing, rows
from benchmarks.__main__ import measure
from benchmarks.data import MIB, Sizes, make_data
from benchmarks.measure import Bench, BenchError, Usage, in_turn, median
from benchmarks.results import Result, read_goals, result, table, write
from benchmarks.yardstick import packing, require_yardstick

WITHOUT_A_NODE = (*rows.ALL, *installing.ALL)
SMALL = Sizes(shards=(17 * MIB, MIB), layers=(MIB, 1000), others=(1000, 1000))


@pytest.mark.needs("limit", "crane", "docker-registry", "skopeo", "apiserver")
def test_every_row_is_measured_and_nothing_stays(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", SMALL)
    found = {row.name: row for row in measure(tmp_path, data, 1, WITHOUT_A_NODE)}
    assert found.keys() >= read_goals().keys()
    assert all(found[name].value > 0 for name in found if "," not in name)
    for name in ("build --locked", "verify", "push", "pull", "cold gate", "install"):
        assert found[name].ratio
    # None of the 18 MiB; a few pages may be the times of inodes that were read for the first time.
    assert found["push, written"].value < 1
    assert found["install, written"].value < 1
    assert found["upgrade of one manifest, blobs"].value == 0
    assert found["upgrade of one manifest, apply"].value > 0
    assert found["build --locked, extra disk"].value > 19
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.needs("limit", "openssl")
def test_a_yardstick_that_is_too_short_is_none(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(MIB))
    with pytest.raises(BenchError, match="the yardstick is none: on 1 threads"):
        require_yardstick(file, rounds=1, least=1000.0)


def test_data_of_the_same_sizes_is_made_once(tmp_path: Path) -> None:
    first = make_data(tmp_path, Sizes((2000,), (500,)))
    before = [path.read_bytes() for path in (*first.weights, *first.blobs)]
    again = make_data(tmp_path, Sizes((2000,), (500,)))
    assert [path.read_bytes() for path in (*again.weights, *again.blobs)] == before
    other = make_data(tmp_path, Sizes((3000,), (500,)))
    assert [path.stat().st_size > 3000 for path in other.weights] == [True]


def test_weights_are_hashed_twice_and_layers_once(tmp_path: Path) -> None:
    data = make_data(tmp_path, Sizes((2000, 3000), (500,)))
    plan = packing(data)
    assert [run.size for run in plan] == sorted((run.size for run in plan), reverse=True)
    assert [run.place for run in plan[1:]] == [run.place + run.size for run in plan[:-1]]
    assert {run.path: run.hashes for run in plan} == {
        **{str(path): 2 for path in data.weights},
        **{str(path): 1 for path in data.blobs},
    }


def test_what_a_program_needs_is_seen(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    deed = (
        "import os, subprocess, sys, time, pathlib\n"
        "pathlib.Path(os.environ['TMPDIR'], 'file').write_bytes(os.urandom(2**21))\n"
        "holds = 'x = bytearray(2**26); x[::4096] = bytes(2**14); print(flush=True); input()'\n"
        "child = subprocess.Popen([sys.executable, '-c', holds], stdin=-1, stdout=-1)\n"
        "child.stdout.readline()\n"
        "time.sleep(0.5)\n"
        "child.communicate(b'\\n')\n"
    )
    usage = bench.program([sys.executable, "-c", deed])
    assert usage.seconds > 0.5
    assert usage.disk >= 2**21
    assert usage.children >= 2**26


def test_a_program_that_fails_is_named_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"ended with 3\nlast words"):
        Bench(tmp_path).program(
            [sys.executable, "-c", "import sys; print('last words', file=sys.stderr); sys.exit(3)"]
        )


def test_ours_and_theirs_come_in_turn_and_the_median_counts() -> None:
    order: list[str] = []
    seconds = iter([9.0, 1.0, 2.0])

    def ours() -> Usage:
        order.append("ours")
        return Usage(next(seconds), memory=len(order))

    def theirs() -> Usage:
        order.append("theirs")
        return Usage(4.0)

    assert in_turn(3, ours, theirs) == (Usage(2.0, memory=3), Usage(4.0))
    assert order == ["ours", "theirs"] * 3
    assert median([Usage(1.0), Usage(3.0)]) == Usage(2.0)


@pytest.mark.parametrize(
    ("row", "ratio", "met"),
    [
        (result("x", 1.3, "s", 1.0, 1.3), 1.3, True),
        (result("x", 1.31, "s", 1.0, 1.3), 1.31, False),
        (result("x", 0.5, "s", goal=0.5), None, True),
        (result("x", 0.51, "s", goal=0.5), None, False),
        (result("x", 0.0, "MiB", goal=0), None, True),
        (result("x", 7.0, "MiB"), None, None),
    ],
)
def test_goals_are_for_the_ratio_or_else_the_value(
    row: Result, ratio: float | None, met: bool | None
) -> None:
    assert (row.ratio, row.met) == (ratio, met)


def test_results_are_a_list_and_a_table(tmp_path: Path) -> None:
    found = [result("verify", 2.0, "s", 1.0, 1.2), result("verify, memory", 40.0, "MiB", goal=256)]
    write(tmp_path / "build" / "bench.json", found)
    assert json.loads((tmp_path / "build" / "bench.json").read_text())[0] == {
        "name": "verify",
        "value": 2.0,
        "unit": "s",
        "against": 1.0,
        "ratio": 2.0,
        "goal": 1.2,
        "met": False,
    }
    lines = [line.split() for line in table(found).splitlines()]
    assert lines[1] == ["verify", "2.000", "s", "1.000", "s", "2.00", "≤", "1.2", "MISSED"]
    assert lines[2] == ["verify,", "memory", "40.000", "MiB", "≤", "256", "met"]


def test_every_goal_is_a_row_that_somebody_measures() -> None:
    """Where a part is missing, the first test is skipped; a goal's name is held all the same."""
    contests = {name.partition(",")[0] for name in read_goals()}
    source = "".join(inspect.getsource(module) for module in (rows, installing))
    assert [name for name in contests if f'"{name}"' not in source] == []
