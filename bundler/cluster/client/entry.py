"""What a kubeconfig says of one cluster and one user, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Server:
    """An API server: how it is reached, and known; `authority` is PEM, None the system's own.

    `plugin_config` is what the kubeconfig has for credential plugins, as plain data.
    """

    url: str
    authority: bytes | None
    tls_name: str | None
    proxy: str | None
    plugin_config: object = None

    @property
    def place(self) -> str:
        """Scheme, host and port, as messages have it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}:{parts.port or PORTS[parts.scheme]}"


@dataclass(frozen=True)
class Plugin:
    """A credential plugin: a program that prints an ExecCredential of `api_version`."""

    api_version: str
    command: str
    args: tuple[str, ...]
    env: Mapping[str, str]
    install_hint: str
    wants_server: bool


@dataclass(frozen=True)
class User:
    """Who we are: at most one of the ways, a certificate beside; `name` for messages.

    `certificate` is PEM with its key; `headers` are those of an impersonation.
    """

    name: str
    token: str | None = None
    token_file: Path | None = None
    basic: tuple[str, str] | None = None
    certificate: bytes | None = None
    plugin: Plugin | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Entry:
    """A context of a kubeconfig, in full; `origin` says in words where it is from."""

    origin: str
    server: Server
    user: User
