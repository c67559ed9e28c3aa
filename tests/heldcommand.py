"""A command line in a process of its own, held just before or after one of its calls.

`python -m tests.heldcommand MOMENT ARGUMENT…`: says so when it is there, and goes on when it reads
a line. A moment is a call and its number: "before apply Deployment 1", "after delete ConfigMap 1",
"before wait 1", or how much was pushed: "pushed 75 %".
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

from tests.parts.components import ROOT

_THERE = "held\n"
# What `install` calls by its own names, and how they are called here.
_STEPS = {"wait_ready": "wait", "smoke": "smoke", "push_artifact": "artifact"}


class Held:
    """A process that waits at its moment."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def kill(self) -> None:
        """SIGKILL, there."""
        self._process.kill()
        self._process.communicate()

    def go(self) -> None:
        """Lets it go on."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def end(self) -> tuple[int, str]:
        """Its exit code, and what it said."""
        said, _ = self._process.communicate()
        return self._process.returncode, said


@contextmanager
def held(moment: str, arguments: Sequence[str]) -> Iterator[Held]:
    """A command at its `moment`; ended at the end, if it still runs."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.heldcommand", moment, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            said = ""
            while not said.endswith(_THERE):
                line = process.stdout.readline()
                assert line, f"it never came to {moment!r}: {said}"
                said += line
            yield Held(process)
        finally:
            process.kill()


def main(moment: str, arguments: Sequence[str]) -> int:
    """Runs the command; its exit code."""
    from bundler import install
    from bundler.cli.main import run
    from bundler.cluster.client import Cluster

    reached = _watching(moment)
    for method in ("apply", "delete"):
        setattr(Cluster, method, _deed(method, getattr(Cluster, method), reached))
    for name, step in _STEPS.items():
        setattr(install, name, _step(step, getattr(install, name), reached))
    push = getattr(install, "push_bundle")  # noqa: B009  # a name that it only imports

    def pushed(bundle: object, to: object, _: object) -> Any:
        return push(bundle, to, _Pushed(reached))

    setattr(install, "push_bundle", pushed)  # noqa: B010
    return run(list(arguments))


class _Pushed:
    """Progress that tells every percent."""

    def __init__(self, reached: Callable[[str], None]) -> None:
        self._reached = reached
        self._total, self._done, self._told = 1, 0, 0
        self._guard = threading.Lock()

    def phase(self, label: str, total: int | None) -> None:
        if total:
            self._total, self._done, self._told = total, 0, 0

    def advance(self, count: int) -> None:
        with self._guard:
            self._done += count
            before, self._told = self._told, 100 * self._done // self._total
            passed = range(before + 1, self._told + 1)
        for percent in passed:
            self._reached(f"pushed {percent} %")


def _watching(moment: str) -> Callable[[str], None]:
    def reached(name: str) -> None:
        if name == moment:
            print(_THERE, end="", flush=True)
            sys.stdin.readline()

    return reached


def _counted(name: str, counts: Counter[str]) -> str:
    counts[name] += 1
    return f"{name} {counts[name]}"


def _deed(
    method: str, real: Callable[..., Any], reached: Callable[[str], None]
) -> Callable[..., Any]:
    counts: Counter[str] = Counter()

    @wraps(real)
    def called(cluster: object, what: Any, *rest: Any, **more: Any) -> Any:
        if more.get("dry_run"):
            return real(cluster, what, *rest, **more)
        kind = what["kind"] if isinstance(what, dict) else what.kind
        name = _counted(f"{method} {kind}", counts)
        reached(f"before {name}")
        found = real(cluster, what, *rest, **more)
        reached(f"after {name}")
        return found

    return called


def _step(
    name: str, real: Callable[..., Any], reached: Callable[[str], None]
) -> Callable[..., Any]:
    counts: Counter[str] = Counter()

    @wraps(real)
    def called(*rest: Any) -> Any:
        counted = _counted(name, counts)
        reached(f"before {counted}")
        found = real(*rest)
        reached(f"after {counted}")
        return found

    return called


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
