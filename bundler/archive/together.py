"""Several pieces of work at a time, with one fate: the first that fails ends all others."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

from bundler.core.progress import Progress

# One hashes while the other waits for the disk, on the smallest machines; more than four wait.
THREADS = max(2, min(4, os.cpu_count() or 2))

Item = TypeVar("Item")
Result = TypeVar("Result")


class _EndedError(Exception):
    """Another piece of work failed, or the user has had enough."""


class _Fate:
    """The Progress that all work reports to; once one has failed, reporting ends the others."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.ended = threading.Event()

    def phase(self, label: str, total: int | None) -> None:
        self._progress.phase(label, total)

    def advance(self, count: int) -> None:
        if self.ended.is_set():
            raise _EndedError
        self._progress.advance(count)


def together(
    work: Callable[[Item, Progress], Result],
    items: Iterable[Item],
    progress: Progress,
    threads: int = THREADS,
) -> list[Result]:
    """What `work` gives for each of `items`, in their order; so many `threads` do them in turn.

    The first error is raised when the others have ended, which they do with their next `advance`
    of the Progress that they are given: nobody waits for another's hundred gigabytes.
    """
    fate = _Fate(progress)
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, item, fate) for item in items]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            for future in futures:
                future.cancel()
            fate.ended.set()
    for future in done:
        future.result()
    return [future.result() for future in futures]
