"""`python -m tests.cluster`: an API server for a person, until Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
from pathlib import Path

from tests.cluster.apiserver import Ports, running_apiserver
from tests.parts.components import missing_programs
from tests.parts.service import free_ports


def main() -> int:
    """Starts it, says where its kubeconfig is, waits."""
    absent = missing_programs(("etcd", "kube-apiserver"))
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
        running_apiserver(Path(folder), Ports(*free_ports(3))) as kubeconfig,
    ):
        print(f"export KUBECONFIG={kubeconfig}", flush=True)
        print("The API server is ready; Ctrl-C ends it.", file=sys.stderr)
        _wait()
    print("ended", file=sys.stderr)
    return 0


def _wait() -> None:
    try:
        signal.pause()
    finally:
        # A second one must not leave servers behind.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
