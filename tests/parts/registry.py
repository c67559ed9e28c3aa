"""A real OCI registry: Debian's docker-registry (distribution 2.8) on loopback, without TLS."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.parts.components import find_program
from tests.parts.service import running


@dataclass(frozen=True)
class Registry:
    """A registry that answers.

    host: "127.0.0.1:PORT", as it stands in an image reference. storage: its blobs and tags on disk.
    """

    host: str
    storage: Path

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        return f"http://{self.host}"


@contextlib.contextmanager
def running_registry(folder: Path, port: int, prefix: Sequence[str] = ()) -> Iterator[Registry]:
    """Starts one that keeps everything below `folder`; `prefix` starts it somewhere else."""
    program = find_program("docker-registry")
    assert program is not None, "callers ask `require` first"
    registry = Registry(f"127.0.0.1:{port}", folder / "storage")
    config = folder / "config.yml"
    # JSON is YAML too.
    config.write_text(
        json.dumps(
            {
                "version": 0.1,
                "log": {"level": "warn"},
                "storage": {"filesystem": {"rootdirectory": str(registry.storage)}},
                "http": {"addr": registry.host},
            }
        )
    )
    with running([str(program), "serve", str(config)], folder / "log", prefix) as service:
        service.wait_ready(f"{registry.url}/v2/")
        yield registry
