"""One run of one program: how long it took, and what it and its children needed for that."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.parts.components import ROOT, find_program

_BETWEEN_LOOKS = 0.05
_PROC = Path("/proc")
_NOWHERE = Path(os.devnull)


class BenchError(Exception):
    """What is measured did not do its work, or the yardstick is none; the message says which."""


@dataclass(frozen=True)
class Usage:
    """What a run needed: seconds, and bytes.

    `memory` is the most that the process itself held, `children` the largest child; `written`
    went to a disk; `disk` is by how much the watched folder ever grew. `memory` and `written`
    are known of airbundle alone, `children` and `disk` as a look every 50 ms saw them.
    """

    seconds: float
    memory: int = 0
    children: int = 0
    written: int = 0
    disk: int = 0


def median(usages: Sequence[Usage]) -> Usage:
    """The median of each figure for itself."""
    columns = zip(*(asdict(usage).values() for usage in usages), strict=True)
    seconds, *others = (statistics.median(column) for column in columns)
    return Usage(seconds, *map(int, others))


@dataclass(frozen=True)
class Bench:
    """Where runs take place: all that they write lies below `folder`."""

    folder: Path

    def airbundle(
        self, *arguments: str | Path, around: Iterable[Path] = (), output: Path | None = None
    ) -> Usage:
        """`airbundle ARGUMENTS`; see `program`."""
        return self.observed("airbundle", *arguments, around=around, output=output)

    def observed(
        self,
        *words: str | Path,
        around: Iterable[Path] = (),
        output: Path | None = None,
        prefix: Sequence[str] = (),
    ) -> Usage:
        """One of the deeds of observed.py, which says itself what it used.

        `prefix` starts it somewhere else.
        """
        report = self.folder / "observed.json"
        argv = *prefix, sys.executable, "-m", "benchmarks.observed", report, *words
        usage = self.program(argv, around, output=output)
        return Usage(**asdict(usage) | json.loads(report.read_text()))

    def program(
        self,
        argv: Sequence[str | Path],
        around: Iterable[Path] = (),
        given: bytes = b"",
        output: Path | None = None,
    ) -> Usage:
        """Any program, with `given` on its standard input; BenchError when it fails.

        None of the files `around` is in memory when it begins; what it prints goes to `output`.
        """
        for name in ("home", "tmp"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        _forget(around)
        with (output or _NOWHERE).open("wb") as out:
            watch = _Watch(self.folder)
            began = time.perf_counter()
            process = subprocess.Popen(
                [str(word) for word in argv],
                cwd=ROOT,
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.PIPE,
            )
            with watch.during(process.pid):
                said = process.communicate(given)[1].decode(errors="replace")
                seconds = time.perf_counter() - began
        if process.returncode != 0:
            what = " ".join(map(str, argv))
            last = said.strip().splitlines()[-5:]
            raise BenchError("\n".join([f"{what} ended with {process.returncode}", *last]))
        return Usage(seconds, children=watch.children, disk=watch.disk)

    def _environment(self) -> dict[str, str]:
        """What a program may write beside its output lies in the watched folder, too.

        Python is as it is for users, who seldom forbid it to keep what it compiled.
        """
        own = {"HOME": "home", "TMPDIR": "tmp", "AIRBUNDLE_STORE": "store"}
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        return inherited | {name: str(self.folder / where) for name, where in own.items()}


class _Watch:
    """Looks at a process's children and at a folder while the process runs."""

    def __init__(self, folder: Path) -> None:
        self.children = self.disk = 0
        self._folder = folder
        self._before = _taken(folder)
        self._over = threading.Event()

    def during(self, pid: int) -> _During:
        """A `with` block that watches until it is left."""
        return _During(threading.Thread(target=self._look, args=(pid,)), self._over)

    def _look(self, pid: int) -> None:
        last = False
        while not last:
            last = self._over.wait(_BETWEEN_LOOKS)
            self.children = max(self.children, *map(_most_memory, _descendants(pid)), 0)
            self.disk = max(self.disk, _taken(self._folder) - self._before)


@dataclass(frozen=True)
class _During:
    thread: threading.Thread
    over: threading.Event

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


def _descendants(pid: int) -> Iterator[int]:
    """The children of a process, theirs, and so on: those that run another program by now."""
    own = _read(_PROC / str(pid) / "cmdline")
    waiting = [pid]
    while waiting:
        tasks = (_PROC / str(waiting.pop()) / "task").glob("*/children")
        found = [int(child) for task in tasks for child in _read(task).split()]
        waiting += found
        yield from (child for child in found if _read(_PROC / str(child) / "cmdline") != own)


def _most_memory(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", _read(_PROC / str(pid) / "status"))
    return int(found[1]) * 1024 if found else 0


def _read(path: Path) -> str:
    """What it holds; nothing when the process is gone."""
    try:
        return path.read_text()
    except OSError:
        return ""


def _taken(folder: Path) -> int:
    """The bytes that all files below `folder` take on the disk."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(where, name)).st_blocks * 512
            except FileNotFoundError:  # it got its final name meanwhile
                continue
    return total


def _forget(files: Iterable[Path]) -> None:
    """Nothing waits to be written, and nothing of `files` is in memory any more."""
    os.sync()
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def in_turn(
    rounds: int, ours: Callable[[], Usage], theirs: Callable[[], Usage] | None
) -> tuple[Usage, Usage | None]:
    """Ours, theirs, ours, theirs …: the medians; what else the machine does hits both alike."""
    pairs = [(ours(), theirs() if theirs else None) for _ in range(rounds)]
    other = [usage for _, usage in pairs if usage is not None]
    return median([usage for usage, _ in pairs]), median(other) if other else None


def program(name: str) -> str:
    """Its path; BenchError when it is nowhere."""
    found = find_program(name)
    if found is None:
        raise BenchError(f"expected {name}, found none: `tests/parts/install {name}` gets it")
    return str(found)
