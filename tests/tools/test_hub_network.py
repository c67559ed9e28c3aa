"""The hub behind what companies have: a proxy, and an authority of their own."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import close_session

from bundler.core.errors import SourceError, UsageError
from bundler.tools.hub import open_repo
from tests.cluster.certificates import write_server_certificate
from tests.parts.components import find_program
from tests.parts.hub import Hub, running_hub
from tests.parts.service import free_ports, running

DATA = b"x" * 100_000
_PROBE = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5)"
PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub by HTTPS, whose authority is in `ca.crt`; no proxy is set."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    write_server_certificate(tmp_path, "hub.test", "127.0.0.1")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    close_session()
    with running_hub(tls=tls) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        hub.add("org/tiny", {"model.safetensors": DATA})
        yield hub
    close_session()


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[str]:
    """A real proxy's address; its log is `proxy.log`."""
    program = find_program("tinyproxy")
    assert program is not None
    (port,) = free_ports(1)
    config = tmp_path / "tinyproxy.conf"
    config.write_text(
        f"Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\nLogLevel Connect\n"
        f'LogFile "{tmp_path / "proxy.log"}"\nStatHost "stat.test"\nAllow 127.0.0.1\n'
    )
    with running([str(program), "-d", "-c", str(config)], tmp_path / "tinyproxy.out") as service:
        service.wait_probe([sys.executable, "-I", "-c", _PROBE, str(port)])
        yield f"http://127.0.0.1:{port}"


def _get(hub: Hub) -> bytes:
    repo = open_repo("org/tiny")
    commit = repo.resolve("main")
    (file,) = repo.files(commit)
    return b"".join(repo.read(commit, file.path, 0, file.size))


def test_a_private_authority_is_named_by_ssl_cert_file(
    secure: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SourceError, match="certificate verify failed") as caught:
        _get(secure)
    assert "SSL_CERT_FILE" in str(caught.value.hint)
    close_session()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.crt"))
    assert _get(secure) == DATA


@pytest.mark.needs("tinyproxy")
def test_a_proxy_is_used_unless_it_is_not_for_this_host(
    secure: Hub, proxy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.crt"))
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    assert _get(secure) == DATA
    log = tmp_path / "proxy.log"
    for url in (secure.endpoint, secure.cdn):
        assert f"CONNECT {url.removeprefix('https://')} HTTP" in log.read_text()
    close_session()
    before = log.read_text()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert _get(secure) == DATA
    assert log.read_text() == before


def test_a_proxy_that_is_none_is_refused_without_its_password(
    secure: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@127.0.0.1:1")
    with pytest.raises(SourceError, match=r"Connection refused|the proxy") as caught:
        _get(secure)
    assert "secret" not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "ftp://user:secret@127.0.0.1:1"),
        ("HTTPS_PROXY", "http://user:secret@127.0.0.1:no"),
        ("SSL_CERT_FILE", "/nowhere/secret"),
    ],
)
def test_an_environment_that_nobody_can_use_is_named(
    name: str, value: str, secure: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="can't be made with these proxies") as caught:
        open_repo("org/tiny")
    assert name in str(caught.value.hint)
    assert "secret" not in caught.value.message
