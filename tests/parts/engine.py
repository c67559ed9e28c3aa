"""A real Docker engine: Debian's dockerd on a socket of its own, without networks."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.parts.components import find_program
from tests.parts.service import running

_PROBE = "import sys, docker; docker.DockerClient(base_url=sys.argv[1]).ping()"


@contextlib.contextmanager
def running_engine(folder: Path) -> Iterator[str]:
    """Starts one that keeps everything below `folder`; what DOCKER_HOST has to say of it."""
    program = find_program("dockerd")
    assert program is not None, "callers ask `require` first"
    host = f"unix://{folder / 'socket'}"
    argv = [str(program), "--iptables=false", "--bridge=none", f"--host={host}"]
    argv += [f"--data-root={folder / 'root'}", f"--exec-root={folder / 'exec'}"]
    with running([*argv, f"--pidfile={folder / 'pid'}"], folder / "log") as service:
        service.wait_probe([sys.executable, "-I", "-c", _PROBE, host])
        yield host
