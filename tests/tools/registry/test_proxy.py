"""Proxies and authorities as a company has them: a real proxy before a registry with TLS."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bundler.core.digest import Descriptor
from bundler.core.errors import SourceError, UsageError
from bundler.tools.registry import RegistryCatalog, RegistryDestination, RegistrySource, site
from tests.parts.needs import require
from tests.parts.proxy import Proxy, running_proxy
from tests.parts.registry import Registry
from tests.parts.service import free_ports
from tests.pushed import put
from tests.tools.registry.conftest import Source

SECRET = "hunter2"
DATA = b"layer" * 100


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    """Lets everybody through."""
    require("tinyproxy")
    with running_proxy(tmp_path / "proxy", free_ports(1)[0]) as running:
        yield running


@pytest.fixture
def trusted(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The company's authority, as SSL_CERT_FILE."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.crt"))


@pytest.mark.needs("docker-registry", "tinyproxy")
@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_registry_behind_a_proxy(
    tls_registry: Registry,
    proxy: Proxy,
    source: Source,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setenv(name, f"http://{proxy.host}")
    repository, blob = put(tls_registry.host, DATA)
    assert b"".join(source(tls_registry.host).blob(repository, blob, 7)) == DATA[7:]
    assert set(proxy.asked_for()) == {tls_registry.host}


@pytest.mark.needs("docker-registry", "tinyproxy", "crane")
@pytest.mark.usefixtures("trusted")
def test_crane_goes_the_same_way(
    tls_registry: Registry, proxy: Proxy, tool: Callable[[str], Path]
) -> None:
    repository, _ = put(tls_registry.host, DATA)
    environment = {**os.environ, "HTTPS_PROXY": f"http://{proxy.host}"}
    argv = [str(tool("crane")), "ls", f"{tls_registry.host}/{repository}"]
    subprocess.run(argv, env=environment, capture_output=True, check=False)
    assert set(proxy.asked_for()) == {tls_registry.host}


@pytest.mark.needs("docker-registry", "tinyproxy")
@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("names", ["0.0.0.0", "*", "other.example, 0.0.0.0"])
def test_what_no_proxy_names_is_asked_directly(
    tls_registry: Registry,
    proxy: Proxy,
    source: Source,
    monkeypatch: pytest.MonkeyPatch,
    names: str,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.host}")
    monkeypatch.setenv("NO_PROXY", names)
    repository, blob = put(tls_registry.host, DATA)
    assert b"".join(source(tls_registry.host).blob(repository, blob, 0)) == DATA
    assert proxy.asked_for() == []


@pytest.mark.needs("docker-registry", "tinyproxy")
def test_loopback_is_asked_directly(
    registry: Registry, proxy: Proxy, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{proxy.host}")
    repository, blob = put(registry.host, DATA)
    assert b"".join(source(registry.host).blob(repository, blob, 0)) == DATA
    assert proxy.asked_for() == []


@pytest.mark.needs("docker-registry", "tinyproxy")
@pytest.mark.usefixtures("trusted")
def test_a_proxy_that_wants_a_login(
    tls_registry: Registry, tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, blob = put(tls_registry.host, DATA)
    with running_proxy(tmp_path / "p", free_ports(1)[0], f"me {SECRET}") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:{SECRET}@{proxy.host}")
        assert b"".join(source(tls_registry.host).blob(repository, blob, 0)) == DATA
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:{SECRET}x@{proxy.host}")
        with pytest.raises(SourceError, match=r"Proxy|proxy|Unauthorized") as caught:
            source(tls_registry.host).manifest(repository, "v1")
    assert SECRET not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.needs("docker-registry")
@pytest.mark.usefixtures("trusted")
def test_a_proxy_that_is_not_there_is_an_error_not_a_way_around(
    tls_registry: Registry, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(SourceError, match="Connection refused") as caught:
        source(tls_registry.host).manifest("x", "v1")
    assert "HTTPS_PROXY" in str(caught.value.hint)


@pytest.mark.parametrize(
    "value", [f"socks5://me:{SECRET}@p:1", f"ftp://me:{SECRET}@p", f"http://me:{SECRET}@p:port"]
)
def test_a_proxy_that_is_none_is_refused_and_not_shown(
    source: Source, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(UsageError, match="HTTPS_PROXY") as caught:
        source("registry.example")
    assert SECRET not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
@pytest.mark.parametrize("name", ["SSL_CERT_FILE"])
def test_an_authority_that_is_none_is_refused(
    source: Source,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    content: bytes | None,
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv(name, str(file))
    with pytest.raises(UsageError, match=rf"{name} {file}: expected certificates in PEM"):
        source("registry.example")


@pytest.mark.needs("docker-registry")
def test_the_authority_that_docker_has_for_the_registry(
    tls_registry: Registry,
    certificates: Path,
    source: Source,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(site, "DOCKER_CERTIFICATES", tmp_path)
    folder = tmp_path / tls_registry.host
    folder.mkdir()
    (folder / "ca.crt").write_bytes((certificates / "ca.crt").read_bytes())
    repository, blob = put(tls_registry.host, DATA)
    assert b"".join(source(tls_registry.host).blob(repository, blob, 0)) == DATA
    folder.rename(tmp_path / "0.0.0.0:1")
    with pytest.raises(SourceError, match="CERTIFICATE_VERIFY_FAILED"):
        source(tls_registry.host).manifest(repository, "v1")


def test_a_damaged_authority_of_docker_s_is_named(
    source: Source, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(site, "DOCKER_CERTIFICATES", tmp_path)
    (tmp_path / "registry.example").mkdir()
    (tmp_path / "registry.example" / "ca.crt").write_text("no certificate")
    with pytest.raises(UsageError, match=r"registry\.example/ca\.crt: expected certificates"):
        source("registry.example")


@pytest.mark.needs("docker-registry")
def test_the_authority_that_is_given(
    tls_registry: Registry, certificates: Path, tmp_path: Path
) -> None:
    repository, blob = f"r{tmp_path.name.replace('_', '')}", Descriptor.of("a/b", DATA)
    authority = certificates / "ca.crt"
    with closing(RegistryDestination(tls_registry.host, authority=authority)) as destination:
        destination.put_blob(repository, blob, (DATA,))
    with closing(RegistrySource(tls_registry.host, authority=authority)) as source:
        assert b"".join(source.blob(repository, blob, 0)) == DATA
    with closing(RegistryCatalog(tls_registry.host, authority=authority)) as catalog:
        assert catalog.tags(repository) == ()
    (tmp_path / "none").write_text("none")
    with pytest.raises(UsageError, match="none: expected certificates in PEM"):
        RegistryDestination(tls_registry.host, authority=tmp_path / "none")
