"""Which certificates of servers are trusted: the same by every client of ours, on every Python."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bundler.tools.http import connect, connect_api
from bundler.tools.tls import api_context
from tests.fakes.registry.serving import Reply, serving

Client = Callable[[str, Path], httpx.Client]
Signer = tuple[str, ec.EllipticCurvePrivateKey]


def made(name: str, signer: Signer | None, is_authority: bool) -> tuple[Signer, x509.Certificate]:
    """With nothing that RFC 5280 asks of it but what no client does without."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer, issuer_key = signer or (name, key)
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return (name, key), certificate


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@pytest.fixture(name="site", scope="module")
def serving_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server whose chain is root, intermediate, leaf: its URL, and where those are, in PEM."""
    folder, pem = tmp_path_factory.mktemp("chain"), serialization.Encoding.PEM
    root, top = made("root", None, True)
    intermediate, middle = made("intermediate", root, True)
    (_, key), leaf = made("leaf", intermediate, False)
    stranger = made("root", None, True)[1]
    for name, each in (("root", top), ("intermediate", middle), ("stranger", stranger)):
        (folder / f"{name}.crt").write_bytes(each.public_bytes(pem))
    form, secret = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "server.pem").write_bytes(
        key.private_bytes(pem, form, secret) + leaf.public_bytes(pem) + middle.public_bytes(pem)
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "server.pem")
    with serving(lambda _: Reply(200, [("Content-Length", "0")]), tls) as host:
        yield f"https://{host}", folder


def to_api(url: str, authority: Path) -> httpx.Client:
    return connect_api(url, api_context(authority.read_bytes(), None, None), None, ())


def to_registry(url: str, authority: Path) -> httpx.Client:
    return connect(url, use_environment=False, authorities=(authority,))


@pytest.fixture(autouse=True)
def as_python_3_13_makes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Default contexts are strict, whichever Python runs the tests."""
    made, to_server = ssl.create_default_context, ssl.Purpose.SERVER_AUTH

    def strict(purpose: ssl.Purpose = to_server, **trusted: str | None) -> ssl.SSLContext:
        context = made(purpose, **trusted)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)


@pytest.mark.parametrize("client", [to_api, to_registry])
@pytest.mark.parametrize("authority", ["root", "intermediate"])
def test_any_authority_of_the_chain_is_enough(
    site: tuple[str, Path], client: Client, authority: str
) -> None:
    """As for kubectl, Docker and all else that Go made."""
    url, folder = site
    with closing(client(url, folder / f"{authority}.crt")) as connected:
        assert connected.get("/").status_code == 200


@pytest.mark.parametrize("client", [to_api, to_registry])
def test_another_authority_of_the_same_name_is_none(site: tuple[str, Path], client: Client) -> None:
    url, folder = site
    with (
        closing(client(url, folder / "stranger.crt")) as connected,
        pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        connected.get("/")
