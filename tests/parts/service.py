"""Servers that a test starts for itself: on loopback or in a network namespace, ended by their id.

Readiness is asked over HTTP by a small process of its own, so that one way works in every network
namespace: the probe is started with the same prefix (`nsenter …`) as the server.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

# A loaded two-core machine needs several times the seconds that these servers usually take.
READY_WITHIN = 120.0
_ENDS_WITHIN = 20.0
_PAUSE = 0.1
_MOMENT = 0.02

# argv: URL, CA certificate's file or "", bearer token or ""; ends with 0 on a 200.
_PROBE = """
import ssl, sys, urllib.request
url, ca, token = sys.argv[1:]
context = ssl.create_default_context(cafile=ca) if ca else None
headers = {"Authorization": "Bearer " + token} if token else {}
opener = urllib.request.build_opener(
    urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
)
try:
    reply = opener.open(urllib.request.Request(url, headers=headers), timeout=5)
except OSError as error:
    sys.exit(str(error))
sys.exit(0 if reply.status == 200 else str(reply.status))
"""


class ServiceError(Exception):
    """A server that ended early or was not ready in time; the end of its log is in the message."""


class Service:
    """One running server process."""

    def __init__(self, argv: Sequence[str], log: Path, prefix: Sequence[str] = ()) -> None:
        """Starts `prefix + argv` with its output in `log`."""
        self._prefix = tuple(prefix)
        self._argv = tuple(argv)
        self._log = log
        self._name = Path(argv[0]).name
        self._probe: Sequence[str] = ()
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as output:
            return subprocess.Popen(
                [*self._prefix, *self._argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A person's Ctrl-C reaches us alone; we end the servers in order.
                start_new_session=True,
            )

    def wait_ready(self, url: str, ca: Path | None = None, token: str = "") -> None:
        """Returns when `url` answers 200; ServiceError when that takes too long or it ended."""
        self.wait_probe([sys.executable, "-I", "-c", _PROBE, url, str(ca or ""), token])

    def wait_probe(self, probe: Sequence[str]) -> None:
        """The same, of a program that ends with 0 when the server is ready."""
        self._probe = tuple(probe)
        probe = [*self._prefix, *probe]
        deadline = time.monotonic() + READY_WITHIN
        while True:
            answer = subprocess.run(probe, capture_output=True, text=True, check=False)
            if answer.returncode == 0:
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                # Waiting for its end is the pause between two questions.
                self._process.wait(_PAUSE)
                raise ServiceError(f"{self._name} ended by itself:\n{self._log_tail()}")
            if time.monotonic() > deadline:
                problem = f"not ready after {READY_WITHIN:.0f} s ({answer.stderr.strip()})"
                raise ServiceError(f"{self._name}: {problem}:\n{self._log_tail()}")

    def end(self) -> None:
        """Asks the process to end, and ends it when it doesn't.

        With a prefix there may be two: `nsenter --pid` waits for the program that it starts.
        """
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + _ENDS_WITHIN
        while self._signal(0):
            if time.monotonic() > deadline:
                self._signal(signal.SIGKILL)
            self._process.poll()
            time.sleep(_MOMENT)

    def restart(self) -> None:
        """Kills it, as a failure would, starts it anew, and returns when it is ready again."""
        self._signal(signal.SIGKILL)
        self.end()
        self._process = self._start()
        self.wait_probe(self._probe)

    def _signal(self, number: int) -> bool:
        """Sends it to the whole group; whether somebody is still there."""
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return False
        return True

    def _log_tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])


@contextlib.contextmanager
def running(argv: Sequence[str], log: Path, prefix: Sequence[str] = ()) -> Iterator[Service]:
    """A server for the length of a `with` block."""
    service = Service(argv, log, prefix)
    try:
        yield service
    finally:
        service.end()


def free_ports(count: int) -> list[int]:
    """Loopback ports that nothing listens on; all are held until the last is found."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
