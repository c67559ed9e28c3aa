"""A real S3 server: versitygw over a folder, whose buckets are the folders in it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.parts.components import find_program
from tests.parts.service import running

KEYS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "correct-horse/battery+staple"}
BUCKET = "models"


@dataclass(frozen=True)
class ObjectServer:
    """A server that answers at `endpoint`; the bucket "models" is the folder `bucket`."""

    endpoint: str
    bucket: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """What `airbundle load` needs of it."""
        return {**KEYS, "AWS_ENDPOINT_URL": self.endpoint, "AWS_REGION": "us-east-1"}


@contextlib.contextmanager
def running_objects(
    folder: Path, address: str, prefix: Sequence[str] = (), tls: Path | None = None
) -> Iterator[ObjectServer]:
    """Starts one at `address` (HOST:PORT) that keeps all below `folder`; see `running_registry`."""
    program = find_program("versitygw")
    assert program is not None, "callers ask `require` first"
    bucket = folder / "objects" / BUCKET
    bucket.mkdir(parents=True)
    scheme, secured = "http", []
    if tls is not None:
        scheme = "https"
        secured = ["--cert", str(tls / "server.crt"), "--key", str(tls / "server.key")]
    keys = [f"ROOT_ACCESS_KEY_ID={KEYS['AWS_ACCESS_KEY_ID']}"]
    keys.append(f"ROOT_SECRET_ACCESS_KEY={KEYS['AWS_SECRET_ACCESS_KEY']}")
    command = [str(program), "--port", address, "--health", "/health", "--quiet", *secured]
    server = ObjectServer(f"{scheme}://{address}", bucket)
    started = running(
        ["/usr/bin/env", *keys, *command, "posix", os.fspath(bucket.parent)], folder / "log", prefix
    )
    with started as service:
        service.wait_ready(f"{server.endpoint}/health", tls / "ca.crt" if tls else None)
        yield server
