"""Progress on standard error: a bar on a terminal, a line now and then elsewhere.

For a command file::

    with progress.shown() as watched:        # a bundler.core.progress.Progress
        result = verify.verify_bundle(file, trust, watched)

`advance` may be called from several threads. Leaving the block ends the line of a bar that is
half way, so that an error message starts at the beginning of a line.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from bundler.cli.output import printable
from bundler.core.progress import Progress

_REDRAW_SECONDS = 0.1
_LINE_SECONDS = 5.0
_BAR_WIDTH = 24
_NARROWEST_BAR = 5


@contextmanager
def shown(
    stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[Progress]:
    """What reports to `stream` (standard error unless told) until the block is left."""
    stream = sys.stderr if stream is None else stream
    terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
    watched = _Bar(stream, clock) if terminal else _Lines(stream, clock)
    try:
        yield watched
    finally:
        watched.close()


@dataclass(frozen=True)
class _State:
    """How far a phase is; `rate` in bytes a second."""

    label: str
    total: int | None
    done: int
    rate: float

    @property
    def share(self) -> float | None:
        """Between 0 and 1, or None when the total isn't known."""
        return min(self.done / self.total, 1.0) if self.total else None

    def text(self) -> str:
        """Amount, share, rate and time left, as far as they are known; not what isn't counted."""
        if self.total is None and not self.done:
            return ""
        amount = size_text(self.done)
        parts = [amount if self.total is None else f"{amount} of {size_text(self.total)}"]
        if self.share is not None:
            parts.append(f"{self.share:.0%}")
        if self.rate:
            parts.append(f"{size_text(int(self.rate))}/s")
            if self.total is not None and self.done < self.total:
                parts.append(f"{_duration((self.total - self.done) / self.rate)} left")
        return ", ".join(parts)


class _Lines:
    """A line when a phase begins, and one every few seconds while it lasts."""

    interval = _LINE_SECONDS

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._lock = threading.Lock()
        self._label: str | None = None
        self._total: int | None = None
        self._done = 0
        self._began = self._drawn = clock()

    def phase(self, label: str, total: int | None) -> None:
        with self._lock:
            self._finish()
            self._label, self._total, self._done = printable(label), total, 0
            self._began = self._drawn = self._clock()
            self._start()

    def advance(self, count: int) -> None:
        with self._lock:
            self._done += count
            now = self._clock()
            if self._label is not None and now - self._drawn >= self.interval:
                self._drawn = now
                self._draw(self._state())

    def close(self) -> None:
        """The last phase is over."""
        with self._lock:
            self._finish()
            self._label = None

    def _state(self) -> _State:
        elapsed = self._clock() - self._began
        rate = self._done / elapsed if elapsed > 0 else 0.0
        return _State(self._label or "", self._total, self._done, rate)

    def _start(self) -> None:
        amount = "" if self._total is None else f" ({size_text(self._total)})"
        self._write(f"{self._label}{amount}\n")

    def _draw(self, state: _State) -> None:
        self._write(f"{state.label}: {state.text()}\n")

    def _finish(self) -> None:
        """Nothing: a line is complete as it stands."""

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class _Bar(_Lines):
    """One line, drawn again and again, left standing when its phase is over."""

    interval = _REDRAW_SECONDS

    def _start(self) -> None:
        self._draw(self._state())

    def _draw(self, state: _State) -> None:
        text = state.text()
        # One column stays free: a full line wraps, and a wrapped line can't be drawn over.
        columns = shutil.get_terminal_size().columns - 1
        width = min(_BAR_WIDTH, columns - len(f"{state.label} [] {text}"))
        bar = ""
        if state.share is not None and width >= _NARROWEST_BAR:
            bar = f"[{'#' * int(state.share * width):.<{width}}] "
        self._write("\r\x1b[2K" + f"{state.label} {bar}{text}".rstrip()[:columns])

    def _finish(self) -> None:
        if self._label is not None:
            self._draw(self._state())
            self._write("\n")


def size_text(size: int) -> str:
    """`size` bytes for people: ``512 B``, ``1.5 MiB``."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
