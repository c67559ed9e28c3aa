"""A containerd of the tests' own: root, state and socket in one folder, without the CRI plugin."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.parts.components import find_program
from tests.parts.service import running

_CONFIG = """\
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{folder}/socket"
[ttrpc]
address = "{folder}/socket.ttrpc"
[debug]
address = "{folder}/socket.debug"
[metrics]
address = "{metrics}"
"""


@dataclass(frozen=True)
class Containerd:
    """A containerd that answers at `socket`."""

    socket: Path

    def ctr(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Runs `ctr` against it."""
        argv = [find_program("ctr"), "--address", self.socket, "--namespace", "test", *arguments]
        return subprocess.run(
            [str(each) for each in argv], capture_output=True, text=True, check=False
        )

    @contextlib.contextmanager
    def mounted(self, image: str, folder: Path) -> Iterator[Path]:
        """The files of an image at `folder`."""
        folder.mkdir()
        done = self.ctr("images", "mount", image, folder)
        assert done.returncode == 0, done.stderr
        try:
            yield folder
        finally:
            subprocess.run(["umount", str(folder)], check=True)


@contextlib.contextmanager
def running_containerd(folder: Path, port: int) -> Iterator[Containerd]:
    """Starts one that keeps everything below `folder`; its metrics at `port` say that it is up."""
    program = find_program("containerd")
    assert program is not None, "callers ask `require` first"
    config = folder / "config.toml"
    metrics = f"127.0.0.1:{port}"
    config.write_text(_CONFIG.format(folder=folder, metrics=metrics))
    argv = [str(program), "--config", str(config), "--log-level", "warn"]
    try:
        with running(argv, folder / "log") as service:
            service.wait_ready(f"http://{metrics}/v1/metrics")
            yield Containerd(folder / "socket")
    finally:
        _unmount_below(folder)


def _unmount_below(folder: Path) -> None:
    """What containerd mounted for itself stays when it ends, and would keep `folder` from going."""
    mounted = Path("/proc/self/mountinfo").read_text()
    mounts = [Path(line.split()[4]) for line in mounted.splitlines()]
    for place in reversed(mounts):
        if place.is_relative_to(folder):
            subprocess.run(["umount", place], check=True)
