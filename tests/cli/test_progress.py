"""Progress, on a terminal and elsewhere."""

from __future__ import annotations

import io
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from bundler.cli import progress
from bundler.core.progress import Progress

MIB = 2**20


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")


def test_without_a_terminal_there_is_a_line_per_phase_and_one_now_and_then() -> None:
    stream, clock = io.StringIO(), Clock()
    with progress.shown(stream, clock) as watched:
        watched.phase("reading", 100 * MIB)
        for _ in range(10):
            clock.now += 1
            watched.advance(10 * MIB)
        watched.phase("listing", None)
    assert stream.getvalue().splitlines() == [
        "reading (100.0 MiB)",
        "reading: 50.0 MiB of 100.0 MiB, 50%, 10.0 MiB/s, 0:05 left",
        "reading: 100.0 MiB of 100.0 MiB, 100%, 10.0 MiB/s",
        "listing",
    ]


def test_a_terminal_gets_one_line_a_phase_with_rate_and_time_left() -> None:
    stream, clock = Terminal(), Clock()
    with progress.shown(stream, clock) as watched:
        watched.phase("reading", 100 * MIB)
        clock.now += 4
        watched.advance(25 * MIB)
        half_way = stream.getvalue()
        clock.now += 4
        watched.advance(75 * MIB)
    assert half_way.split("\r\x1b[2K")[-1] == (
        "reading [######..................] 25.0 MiB of 100.0 MiB, 25%, 6.2 MiB/s, 0:12 left"
    )
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().endswith("100%, 12.5 MiB/s\n")


def test_a_terminal_is_not_drawn_on_for_every_chunk() -> None:
    stream, clock = Terminal(), Clock()
    with progress.shown(stream, clock) as watched:
        watched.phase("reading", 1000)
        for _ in range(1000):
            clock.now += 0.001
            watched.advance(1)
    assert stream.getvalue().count("\r") < 15


def test_a_line_never_reaches_the_last_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    stream, clock = Terminal(), Clock()
    with progress.shown(stream, clock) as watched:
        watched.phase("reading a model with a long name", 100 * MIB)
        clock.now += 1
        watched.advance(MIB)
    drawn = stream.getvalue().rstrip("\n").split("\r\x1b[2K")
    assert max(map(len, drawn)) == 39


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with progress.shown(stream, Clock()) as watched:
        watched.phase("reading", None)
    assert stream.getvalue() == "reading\n"


def test_what_is_not_counted_has_no_size() -> None:
    stream = Terminal()
    with progress.shown(stream, Clock()) as watched:
        watched.phase("applying", None)
    assert stream.getvalue().replace("\r\x1b[2K", "|") == "|applying|applying\n"


def test_an_error_leaves_no_half_line_behind() -> None:
    stream = Terminal()

    def fail() -> None:
        with progress.shown(stream, Clock()) as watched:
            watched.phase("reading", 10)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert stream.getvalue().endswith("\n")


def test_it_speaks_on_standard_error_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.shown() as watched:
        watched.phase("reading", 10)
        watched.advance(10)
    assert capsys.readouterr() == ("", "reading (10 B)\n")


def test_a_label_cannot_rewrite_the_screen() -> None:
    stream = io.StringIO()
    with progress.shown(stream, Clock()) as watched:
        watched.phase("reading \x1b[2J", None)
    assert stream.getvalue() == "reading \\x1b[2J\n"


def test_several_threads_lose_no_byte() -> None:
    stream, clock = io.StringIO(), Clock()

    def work(watched: Progress) -> None:
        for _ in range(5000):
            watched.advance(1)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with progress.shown(stream, clock) as watched, ThreadPoolExecutor(8) as pool:
            watched.phase("reading", 8 * 5000)
            list(pool.map(work, [watched] * 8))
            clock.now += 10
            watched.advance(0)
    finally:
        sys.setswitchinterval(before)
    assert f"reading: {progress.size_text(8 * 5000)} of" in stream.getvalue()


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (3 * 2**29, "1.5 GiB"),
        (2**50, "1024.0 TiB"),
    ],
)
def test_sizes_are_written_for_people(size: int, text: str) -> None:
    assert progress.size_text(size) == text
