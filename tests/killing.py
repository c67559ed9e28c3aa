"""Runs of the command line that SIGKILL ends at a counted moment.

`python -m tests.killing` has everything loaded, and forks for every run that its standard input
asks for. A moment is just before a call that changes something on the disk: a file is opened to be
written, written, cut, synced, renamed or removed, a folder made. Each kind of call is counted by
itself from 1, so that a moment has the same name in every run: "fsync 3".
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import IO, Any, NoReturn

from tests.parts.components import ROOT

KILLED = -signal.SIGKILL
_WRITING = os.O_WRONLY | os.O_RDWR
_EVENTS = frozenset({"os.mkdir", "os.remove", "os.rename", "os.truncate"})
_CALLS = ("fsync", "pwrite", "write")
# What a run imports only when it needs it.
_LOADED = (
    "bundler.archive.store",
    "bundler.cli.build",
    "bundler.cli.lock",
    "bundler.sign.keys",
    "bundler.tools.hub.client",
    "bundler.tools.registry",
    "huggingface_hub.file_download",
    "huggingface_hub.hf_api",
)


@dataclass(frozen=True)
class End:
    """How a run ended: its exit code (`KILLED`), what it said, and its moments if it ended well."""

    code: int
    said: str
    moments: tuple[str, ...]


class Runs:
    """The process that forks; what it writes goes to files in `folder`."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._ask, self._answers = process.stdin, process.stdout
        self._folder = folder

    def start(
        self, *runs: Sequence[str], environment: Mapping[str, str], below: Path, kill: str = ""
    ) -> list[int]:
        """Starts all of `runs`, each the arguments of a command line; their process ids.

        Each is ended at its moment `kill`, unless that is empty; what happens to files `below` a
        folder is counted.
        """
        asked = {"runs": runs, "environment": dict(environment), "kill": kill}
        asked |= {"folder": str(self._folder), "below": str(below)}
        print(json.dumps(asked), file=self._ask, flush=True)
        pids: list[int] = json.loads(self._answers.readline())
        return pids

    def ends(self) -> list[End]:
        """How those that were started last have ended, in their order."""
        codes = json.loads(self._answers.readline())
        return [self._end(number, code) for number, code in enumerate(codes)]

    def _end(self, number: int, code: int) -> End:
        moments = self._folder / f"{number}.json"
        found = json.loads(moments.read_text()) if moments.exists() else ()
        return End(code, (self._folder / f"{number}.log").read_text(), tuple(found))


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Runs]:
    """The process, for the length of a `with` block."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.killing"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Runs(process, folder)


def serve(requests: IO[str]) -> None:
    """Answers every request with the process ids of its runs, then with how they ended."""
    for name in _LOADED:
        import_module(name)
    from bundler.core.rules.hostnames import place
    from bundler.inputs import scanning
    from tests.fakes.checkov import scan_objects

    place("example.com")  # The list of public suffixes, too.
    setattr(scanning, "run_checkov", scan_objects)  # noqa: B010  # a name that it only imports
    for line in requests:
        request = json.loads(line)
        pids = [_fork(request, number) for number in range(len(request["runs"]))]
        print(json.dumps(pids), flush=True)
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        print(json.dumps(codes), flush=True)


def _fork(request: Mapping[str, Any], number: int) -> int:
    pid = os.fork()
    if not pid:
        _run(request, Path(request["folder"]), number)
    return pid


def _run(request: Mapping[str, Any], folder: Path, number: int) -> NoReturn:
    from bundler.cli.main import run

    log, moments = folder / f"{number}.log", folder / f"{number}.json"
    moments.unlink(missing_ok=True)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.environ.update(request["environment"])
    seen = _watch(request["kill"], request["below"])
    code = run(request["runs"][number])
    sys.stdout.flush()
    sys.stderr.flush()
    moments.write_text(json.dumps(seen))
    os._exit(code)


def _watch(kill: str, below: str) -> list[str]:
    """The moments so far, of this process and on files `below` a folder; the last one is `kill`."""
    seen: list[str] = []
    counts: Counter[str] = Counter()
    guard = threading.Lock()

    def reached(call: str) -> None:
        with guard:
            counts[call] += 1
            seen.append(f"{call} {counts[call]}")
            if seen[-1] == kill:
                os.kill(os.getpid(), signal.SIGKILL)

    def audited(event: str, arguments: tuple[Any, ...]) -> None:
        if _changes(event, arguments) and _is_below(arguments[0], below):
            reached(event)

    sys.addaudithook(audited)
    for name in _CALLS:
        setattr(os, name, _counted(name, getattr(os, name), reached))
    return seen


def _changes(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "open":
        return bool(arguments[2] & _WRITING)
    # Many a folder is made that is there.
    return event in _EVENTS and not (event == "os.mkdir" and os.path.isdir(arguments[0]))


def _is_below(path: Any, below: str) -> bool:
    # What is cut is named by its number.
    return isinstance(path, int) or os.fspath(path).startswith(below)


def _counted(
    name: str, call: Callable[..., Any], reached: Callable[[str], None]
) -> Callable[..., Any]:
    @wraps(call)
    def counted(*arguments: Any) -> Any:
        reached(name)
        return call(*arguments)

    return counted


if __name__ == "__main__":
    serve(sys.stdin)
