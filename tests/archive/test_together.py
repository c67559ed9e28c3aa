"""Work side by side: results in order, and one failure is everybody's end."""

from __future__ import annotations

import threading

import pytest

from bundler.archive.together import together
from bundler.core.errors import IntegrityError
from bundler.core.progress import SILENT, Progress


class Counted:
    """A Progress that adds up."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.done = 0

    def phase(self, label: str, total: int | None) -> None:
        self.phases.append(label)

    def advance(self, count: int) -> None:
        self.done += count


def test_results_are_in_the_order_of_the_items() -> None:
    second_is_done = threading.Event()

    def work(item: int, progress: Progress) -> int:
        if item == 1:
            assert second_is_done.wait(60)
        else:
            second_is_done.set()
        return item * 10

    assert together(work, [1, 2], SILENT) == [10, 20]


def test_everything_is_reported_to_the_one_progress() -> None:
    counted = Counted()

    def work(item: int, progress: Progress) -> None:
        progress.phase(f"piece {item}", None)
        progress.advance(item)

    together(work, [1, 2, 3], counted)
    assert (sorted(counted.phases), counted.done) == (["piece 1", "piece 2", "piece 3"], 6)


def test_the_first_failure_ends_the_others() -> None:
    """The one that fails waits until the other is under way, which without it would never end."""
    under_way = threading.Event()

    def work(item: str, progress: Progress) -> None:
        if item == "fails":
            assert under_way.wait(60)
            raise IntegrityError("broken")
        while True:
            progress.advance(1)
            under_way.set()

    with pytest.raises(IntegrityError, match="broken"):
        together(work, ["endless", "fails"], SILENT, threads=2)


def test_after_a_failure_nothing_else_begins() -> None:
    begun: list[int] = []

    def work(item: int, progress: Progress) -> None:
        begun.append(item)
        if item == 0:
            raise IntegrityError("broken")
        while True:
            progress.advance(1)

    with pytest.raises(IntegrityError, match="broken"):
        together(work, range(100), SILENT, threads=1)
    assert begun in ([0], [0, 1])


def test_of_nothing_there_is_no_result() -> None:
    assert together(lambda item, progress: item, [], SILENT) == []
