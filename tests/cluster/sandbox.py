"""Namespaces of one's own for network, processes and mounts, which end together. Needs root.

The first process in them reads its standard input and does nothing else. When whoever started it
is gone, in whatever way, it reads the end; the kernel then ends all other processes in there and
takes their mounts and interfaces away.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.parts.components import TOOLS, find_program

_CLONE_NEWNET = 0x40000000
_ENDS_WITHIN = 20.0
_PATH = f"{TOOLS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Whose parent ended has the first process for a parent; ignoring SIGCHLD lets the kernel reap it.
_FIRST = """
import signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("ready", flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Sandbox:
    """Running namespaces; `pid` is their first process as we see it."""

    pid: int
    _process: subprocess.Popen[bytes] = field(repr=False, compare=False)

    @property
    def netns(self) -> Path:
        """What `nsenter --net=` takes."""
        return Path(f"/proc/{self.pid}/ns/net")

    @property
    def network(self) -> tuple[str, ...]:
        """What starts a program in the network alone: it sees our processes and files."""
        return (str(find_program("nsenter")), f"--net={self.netns}")

    @property
    def inside(self) -> tuple[str, ...]:
        """What starts a program wholly inside, where it ends at the latest with the sandbox."""
        nsenter = str(find_program("nsenter"))
        environment = ("env", "-i", f"PATH={_PATH}", "LC_ALL=C.UTF-8")
        return (nsenter, f"--target={self.pid}", "--net", "--pid", "--mount", "--", *environment)

    def run(self, argv: Sequence[str | Path]) -> str:
        """Runs a program inside to its end; its output, or an AssertionError with its errors."""
        done = subprocess.run(
            [*self.inside, *map(str, argv)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{' '.join(map(str, argv))}: {done.stderr}"
        return done.stdout

    def end(self) -> None:
        """Ends all that runs inside; the second time nothing happens."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(_ENDS_WITHIN)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread, and those that it starts, are in the network until the end."""
        with Path("/proc/thread-self/ns/net").open() as back, self.netns.open() as there:
            _setns(there.fileno())
            try:
                yield
            finally:
                _setns(back.fileno())


@contextlib.contextmanager
def running_sandbox() -> Iterator[Sandbox]:
    """Makes one, with nothing in it but loopback, and ends all that runs there."""
    unshare = [str(find_program("unshare")), "--net", "--pid", "--mount", "--fork"]
    unshare += ["--kill-child", "--mount-proc"]
    process = subprocess.Popen(
        [*unshare, sys.executable, "-I", "-c", _FIRST],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # A person's Ctrl-C is for us, who end everything in order.
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline(), "no sandbox; unshare said why"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        sandbox = Sandbox(int(children), process)
        try:
            sandbox.run(["ip", "link", "set", "lo", "up"])
            yield sandbox
        finally:
            sandbox.end()


def _setns(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
