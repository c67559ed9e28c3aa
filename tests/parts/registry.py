"""A real OCI registry: Debian's docker-registry (distribution 2.8) on loopback."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.parts.components import find_program
from tests.parts.service import Service, running


@dataclass(frozen=True)
class Registry:
    """A registry that answers.

    host: "127.0.0.1:PORT", as it stands in an image reference. storage: its blobs and tags on disk.
    scheme: "https" for one with TLS, whose address is 0.0.0.0 to its clients: loopback, too, but
    no client takes it for that, so that TLS, proxies and logins are as with any other host.
    """

    host: str
    storage: Path
    scheme: str
    service: Service = field(repr=False, compare=False)

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        return f"{self.scheme}://{self.host}"


@contextlib.contextmanager
def running_registry(
    folder: Path,
    port: int,
    prefix: Sequence[str] = (),
    *,
    settings: Mapping[str, object] | None = None,
    tls: Path | None = None,
    address: str = "",
) -> Iterator[Registry]:
    """Starts one that keeps everything below `folder`; `prefix` starts it somewhere else.

    `settings` are sections of its configuration; `tls` is a folder with ca.crt, server.crt and
    server.key. `address` is where it listens if not on loopback.
    """
    program = find_program("docker-registry")
    assert program is not None, "callers ask `require` first"
    listens = f"{address or '127.0.0.1'}:{port}"
    host, scheme, storage = listens, "http", folder / "storage"
    http: dict[str, object] = {"addr": listens, "secret": "one for all"}
    if tls is not None:
        host, scheme = f"{address or '0.0.0.0'}:{port}", "https"
        http["tls"] = {"certificate": str(tls / "server.crt"), "key": str(tls / "server.key")}
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.yml"
    # JSON is YAML too.
    config.write_text(
        json.dumps(
            {
                "version": 0.1,
                "log": {"level": "warn"},
                "storage": {"filesystem": {"rootdirectory": str(storage)}},
                "http": http,
                **(settings or {}),
            }
        )
    )
    with running([str(program), "serve", str(config)], folder / "log", prefix) as service:
        registry = Registry(host, storage, scheme, service)
        # Also one that wants a login answers there.
        service.wait_ready(f"{registry.url}/", tls / "ca.crt" if tls else None)
        yield registry
