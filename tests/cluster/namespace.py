"""The far side: a network namespace without a way out, with a registry and an API server in it.

Only loopback is up there: no other interface, no route, no name server. Needs root. Programs enter
by `nsenter --net`; `ip netns exec` would remount /sys as well.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.apiserver import Ports, running_apiserver
from tests.parts.components import find_program
from tests.parts.registry import running_registry

# Nobody else is in the namespace, so nobody else has these.
_PORTS = Ports(api=6443, etcd_client=2379, etcd_peer=2380)
_REGISTRY_PORT = 5000


@dataclass(frozen=True)
class FarSide:
    """A running far side. registry: "HOST:PORT". Both work only for what `exec` starts."""

    name: str
    registry: str
    kubeconfig: Path

    def exec(
        self, argv: Sequence[str | Path], env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program in there to its end; `env` is its whole environment (default: ours)."""
        return subprocess.run(
            [*_prefix(self.name), *map(str, argv)],
            env=None if env is None else dict(env),
            capture_output=True,
            text=True,
            check=False,
        )


@contextlib.contextmanager
def running_far_side(folder: Path) -> Iterator[FarSide]:
    """Makes the namespace, starts everything in it, and takes all of it away at the end."""
    name = f"airbundle-{os.getpid()}"
    with contextlib.ExitStack() as stack:
        stack.enter_context(_namespace(name))
        prefix = _prefix(name)
        registry_folder = folder / "registry"
        registry_folder.mkdir(parents=True)
        registry = stack.enter_context(running_registry(registry_folder, _REGISTRY_PORT, prefix))
        kubeconfig = stack.enter_context(running_apiserver(folder / "cluster", _PORTS, prefix))
        yield FarSide(name, registry.host, kubeconfig)


@contextlib.contextmanager
def _namespace(name: str) -> Iterator[None]:
    ip = str(find_program("ip"))
    subprocess.run([ip, "netns", "add", name], check=True)
    try:
        subprocess.run([ip, "-n", name, "link", "set", "lo", "up"], check=True)
        yield
    finally:
        subprocess.run([ip, "netns", "delete", name], check=True)


def _prefix(name: str) -> list[str]:
    return [str(find_program("nsenter")), f"--net=/run/netns/{name}"]
