"""A real OCI registry: Debian's docker-registry (distribution 2.8) on loopback."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.parts.components import find_program
from tests.parts.service import running


@dataclass(frozen=True)
class Registry:
    """A registry that answers.

    host: "127.0.0.1:PORT", as it stands in an image reference. storage: its blobs and tags on disk.
    scheme: "https" for one with TLS, whose address is 0.0.0.0 to its clients: loopback, too, but
    no client takes it for that, so that TLS, proxies and logins are as with any other host.
    """

    host: str
    storage: Path
    scheme: str = "http"

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
) -> Iterator[Registry]:
    """Starts one that keeps everything below `folder`; `prefix` starts it somewhere else.

    `settings` are sections of its configuration; `tls` is a folder with ca.crt, server.crt and
    server.key.
    """
    program = find_program("docker-registry")
    assert program is not None, "callers ask `require` first"
    address = f"127.0.0.1:{port}"
    http: dict[str, object] = {"addr": address, "secret": "one for all"}
    registry = Registry(address, folder / "storage")
    if tls is not None:
        registry = Registry(f"0.0.0.0:{port}", folder / "storage", "https")
        http["tls"] = {"certificate": str(tls / "server.crt"), "key": str(tls / "server.key")}
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.yml"
    # JSON is YAML too.
    config.write_text(
        json.dumps(
            {
                "version": 0.1,
                "log": {"level": "warn"},
                "storage": {"filesystem": {"rootdirectory": str(registry.storage)}},
                "http": http,
                **(settings or {}),
            }
        )
    )
    with running([str(program), "serve", str(config)], folder / "log", prefix) as service:
        # Also one that wants a login answers there.
        service.wait_ready(f"{registry.url}/", tls / "ca.crt" if tls else None)
        yield registry
