"""The one place where other programs are started.

A program gets a list of arguments (never a shell's line), an environment of its own rather than
ours, no input, a limit of time and a limit of output; past a limit it is killed, and with it
whatever it started.
"""

from __future__ import annotations

import os
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NoReturn, Protocol

from bundler.core.errors import ToolError

OUTPUT_LIMIT = 64 << 20
TIMEOUT = 120.0
_CHUNK = 1 << 16
_LAST_LINES = 10
_LINE_MAX = 500


class Runner(Protocol):
    """Runs a program and gives its standard output; `run` does, and tests have one that records."""

    def __call__(
        self,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
    ) -> bytes:
        """The standard output of `argv`, whose first item is an absolute path."""
        ...


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
    limit: int = OUTPUT_LIMIT,
    secret: bool = False,
) -> bytes:
    """The standard output of `argv`, whose first item is an absolute path.

    `env` is all of its environment, but for ``LC_ALL=C.UTF-8``. ToolError, with the last lines
    that it wrote (paths as seen from `cwd`), when it can't be started, exits with another status
    than 0, takes longer than `timeout` seconds or writes more than `limit` bytes. `secret`: neither
    its arguments nor its standard output are shown.
    """
    try:
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env={"LC_ALL": "C.UTF-8", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise ToolError(f"{argv[0]}: can't be started: {error.strerror}") from error
    with process:
        try:
            return _Conversation(argv, process, limit, secret, cwd).result(timeout)
        except BaseException:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
            raise


@dataclass
class _Conversation:
    """What a running program has said so far."""

    argv: Sequence[str]
    process: subprocess.Popen[bytes]
    limit: int
    secret: bool
    cwd: Path | None
    output: bytearray = field(default_factory=bytearray)
    complaints: bytearray = field(default_factory=bytearray)

    def result(self, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        try:
            self._listen(deadline)
            status = self.process.wait(max(0.0, deadline - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            self._fail(f"took longer than {timeout:g} seconds")
        if status != 0:
            self._fail(f"expected exit status 0, found {status}")
        return bytes(self.output)

    def _listen(self, deadline: float) -> None:
        with selectors.DefaultSelector() as selector:
            for stream, said in self._streams():
                selector.register(stream, selectors.EVENT_READ, said)
            while selector.get_map():
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                if not ready:
                    raise TimeoutError
                for key, _ in ready:
                    chunk = os.read(key.fd, _CHUNK)
                    key.data.extend(chunk)
                    if not chunk:
                        selector.unregister(key.fileobj)
                if len(self.output) + len(self.complaints) > self.limit:
                    self._fail(f"wrote more than {self.limit} bytes")

    def _streams(self) -> list[tuple[IO[bytes], bytearray]]:
        streams = (self.process.stdout, self.output), (self.process.stderr, self.complaints)
        return [(stream, said) for stream, said in streams if stream is not None]

    def _fail(self, problem: str) -> NoReturn:
        shown = self.complaints if self.secret else self.complaints or self.output
        written = bytes(shown).decode("utf-8", "replace")
        # Before lines are cut: some programs say a long path several times in one.
        for folder in (self.cwd.resolve(), self.cwd) if self.cwd is not None else ():
            written = written.replace(f"{folder}/", "")
        lines = written.strip().splitlines()[-_LAST_LINES:]
        last = "".join(f"\n  {line[:_LINE_MAX]}" for line in lines)
        command = self.argv[0] if self.secret else shlex.join(self.argv)
        raise ToolError(f"{command}: {problem}{last}")
