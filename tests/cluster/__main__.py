"""`python -m tests.cluster [node]`: an API server, or a whole cluster, until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.apiserver import Ports, running_apiserver
from tests.cluster.node import PROGRAMS, running_node
from tests.parts.components import missing_programs
from tests.parts.service import free_ports


def main(arguments: list[str]) -> int:
    """Starts it, says how to reach it, waits."""
    if arguments not in ([], ["node"]):
        print("usage: tests/cluster/run [node]", file=sys.stderr)
        return 2
    if arguments and os.geteuid() != 0:
        print("error: a node is made by root alone", file=sys.stderr)
        return 1
    absent = missing_programs(PROGRAMS if arguments else ("etcd", "kube-apiserver"))
    if absent:
        print(f"error: no {', '.join(absent)} here", file=sys.stderr)
        print(f"hint: tests/parts/install {' '.join(absent)}", file=sys.stderr)
        return 1
    # `kill` ends it as Ctrl-C does, and a shell that started it with `&` changes nothing.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with (
        tempfile.TemporaryDirectory(prefix="airbundle-cluster-") as folder,
        contextlib.suppress(KeyboardInterrupt),
        (_node if arguments else _api)(Path(folder)) as lines,
    ):
        print(*lines, sep="\n", flush=True)
        print("The cluster is ready; Ctrl-C ends it.", file=sys.stderr)
        _wait()
    print("ended", file=sys.stderr)
    return 0


@contextlib.contextmanager
def _api(folder: Path) -> Iterator[list[str]]:
    with running_apiserver(folder, Ports(*free_ports(3))) as kubeconfig:
        yield [f"export KUBECONFIG={kubeconfig}"]


@contextlib.contextmanager
def _node(folder: Path) -> Iterator[list[str]]:
    with running_node(folder) as node:
        yield [
            f"export KUBECONFIG={node.kubeconfig}",
            f"export SSL_CERT_FILE={node.ca}",
            f"export REGISTRY={node.registry}",
            f"alias inside='nsenter --net={node.netns}'",
        ]


def _wait() -> None:
    try:
        signal.pause()
    finally:
        # A second one must not leave servers behind.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
