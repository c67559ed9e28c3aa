"""A real forward proxy: Debian's tinyproxy on loopback."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.parts.components import find_program
from tests.parts.service import running

_LISTENS = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2]))).close()"


@dataclass(frozen=True)
class Proxy:
    """A proxy that answers at `host`, "127.0.0.1:PORT"."""

    host: str
    log: Path

    def asked_for(self) -> list[str]:
        """Each ``HOST:PORT`` that somebody was connected with, and each URL that was fetched."""
        return re.findall(r"Request .*: (?:CONNECT|GET|HEAD) (\S+)", self.log.read_text())


@contextlib.contextmanager
def running_proxy(folder: Path, port: int, login: str = "") -> Iterator[Proxy]:
    """Starts one; `login` ("USER PASSWORD") is what it wants to be told, if anything."""
    program = find_program("tinyproxy")
    assert program is not None, "callers ask `require` first"
    folder.mkdir(parents=True, exist_ok=True)
    settings = ["Listen 127.0.0.1", f"Port {port}", "LogLevel Connect", "Timeout 60"]
    if login:
        settings.append(f"BasicAuth {login}")
    config, log = folder / "tinyproxy.conf", folder / "log"
    config.write_text("\n".join(settings) + "\n")
    with running([str(program), "-d", "-c", str(config)], log) as service:
        service.wait_probe([sys.executable, "-I", "-c", _LISTENS, "127.0.0.1", str(port)])
        yield Proxy(f"127.0.0.1:{port}", log)
