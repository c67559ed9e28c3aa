"""Docker's configuration for every test: none, unless the test writes one."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from bundler.tools.registry import RegistrySource
from tests.cluster.certificates import write_server_certificate
from tests.fakes.registry.front import Front, front_of
from tests.fakes.registry.tokens import TokenService, token_service
from tests.parts.needs import require
from tests.parts.registry import Registry, running_registry
from tests.parts.service import free_ports

_ENVIRONMENT = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
Login = Callable[..., None]
Source = Callable[[str], RegistrySource]


@pytest.fixture(autouse=True)
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Docker's configuration is; nobody is logged in, and no proxy is set."""
    folder = tmp_path / "docker"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    for name in (*_ENVIRONMENT, "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return folder / "config.json"


@pytest.fixture
def logged_in(docker_config: Path) -> Login:
    """`logged_in(host, user, password)`: as `docker login` leaves it."""

    def log_in(host: str, user: str, password: str, **more: str) -> None:
        auth = base64.b64encode(f"{user}:{password}".encode()).decode()
        docker_config.write_text(json.dumps({"auths": {host: {"auth": auth, **more}}}))

    return log_in


@pytest.fixture
def pauses() -> list[float]:
    """The seconds for which `source` would have waited."""
    return []


@pytest.fixture
def source(pauses: list[float]) -> Iterator[Source]:
    """`source(address)`: a RegistrySource that never really waits."""
    with ExitStack() as stack:
        yield lambda address: stack.enter_context(
            closing(RegistrySource(address, sleep=pauses.append))
        )


@pytest.fixture
def front(registry: Registry) -> Iterator[Front]:
    """A front of the anonymous registry."""
    with front_of(registry.host) as running:
        yield running


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private authority's certificate for registries with TLS: ca.crt, server.crt, server.key."""
    folder = tmp_path_factory.mktemp("certificates")
    write_server_certificate(folder, "registry.test", "0.0.0.0")
    return folder


@pytest.fixture(scope="session")
def tls_registry(
    tmp_path_factory: pytest.TempPathFactory, certificates: Path
) -> Iterator[Registry]:
    """A registry with TLS that asks nobody for a login."""
    require("docker-registry")
    folder, port = tmp_path_factory.mktemp("tls"), free_ports(1)[0]
    with running_registry(folder, port, tls=certificates) as running:
        yield running


@pytest.fixture(scope="session")
def tokens() -> Iterator[TokenService]:
    """The token service of `token_registry`."""
    with token_service() as running:
        yield running


@pytest.fixture(scope="session")
def token_registry(
    tmp_path_factory: pytest.TempPathFactory, tokens: TokenService
) -> Iterator[Registry]:
    """A registry whose tokens are given by `tokens`."""
    require("docker-registry")
    folder = tmp_path_factory.mktemp("tokens")
    with running_registry(folder, free_ports(1)[0], settings=tokens.settings(folder)) as running:
        yield running
