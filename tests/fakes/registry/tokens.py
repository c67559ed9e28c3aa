"""A token service as docs/spec/auth of github.com/distribution/distribution describes it."""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from tests.fakes.registry.serving import Asked, Reply, serving

ISSUER = "tests"
SERVICE = "registry of the tests"
USER, PASSWORD, IDENTITY = "pusher", "s3cret:with colon", "identity-of-pusher"
# bcrypt of PASSWORD, the only form that docker-registry takes.
HTPASSWD = f"{USER}:$2b$04$mjiCELnXS1tJC0sDIjA9huW0KxNXtky3R.G.ACWLMK7T3PlQiqeda\n"
# Everybody may pull these; the user may do everything.
PUBLIC = "public/"


@dataclass
class TokenService:
    """Gives everybody tokens to pull PUBLIC repositories, and USER tokens for what is asked.

    `member` is the name under which tokens are given; `refusals` come first.
    """

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    host: str = ""
    member: str = "token"
    refusals: list[Reply] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    @property
    def realm(self) -> str:
        """Its URL, as a registry names it."""
        return f"http://{self.host}/token"

    def settings(self, folder: Path) -> dict[str, object]:
        """The settings of a registry that trusts this service."""
        bundle = folder / "tokens.pem"
        bundle.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        token = {
            "realm": self.realm,
            "service": SERVICE,
            "issuer": ISSUER,
            "rootcertbundle": str(bundle),
        }
        return {"auth": {"token": token}}

    def answer(self, asked: Asked) -> Reply:
        """A token, or 401 for a login that is none."""
        self.asked.append(asked)
        if self.refusals:
            return self.refusals.pop(0)
        form = asked.body.decode() if asked.method == "POST" else urlsplit(asked.path).query
        fields = parse_qs(form)
        known = self._known(asked, fields)
        if known is None:
            return Reply(401, [("Content-Length", "0")])
        scopes = [each for scope in fields.get("scope", []) for each in scope.split()]
        access = [granted for scope in scopes if (granted := _granted(scope, known))]
        body = json.dumps({self.member: self.sign(access), "expires_in": 300}).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        return Reply(200, headers, body)

    def _known(self, asked: Asked, fields: Mapping[str, list[str]]) -> bool | None:
        """Whether it is USER; None for a login that is none."""
        if asked.method == "POST":
            right = fields.get("grant_type") == ["refresh_token"] and "client_id" in fields
            return True if right and fields.get("refresh_token") == [IDENTITY] else None
        if asked.login is None:
            return False
        basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return True if asked.login == f"Basic {basic}" else None

    def sign(self, access: list[dict[str, object]]) -> str:
        """A JSON Web Token (ES256) of this service for `access`."""
        now = int(time.time())
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        header = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(der).decode()]}
        claims = {
            "iss": ISSUER,
            "sub": "",
            "aud": SERVICE,
            "exp": now + 300,
            "nbf": now - 60,
            "iat": now - 60,
            "jti": uuid.uuid4().hex,
            "access": access,
        }
        signed = f"{_segment(header)}.{_segment(claims)}"
        der_signature = self.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
        r, s = decode_dss_signature(der_signature)
        return f"{signed}.{_base64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


@contextlib.contextmanager
def token_service() -> Iterator[TokenService]:
    """A service on a port of its own, with a key of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    service = TokenService(key, _self_signed(key))
    with serving(service.answer) as service.host:
        yield service


def _granted(scope: str, known: bool) -> dict[str, object] | None:
    kind, name, actions = scope.split(":")
    allowed = actions.split(",") if known else ["pull"] if name.startswith(PUBLIC) else []
    granted = [action for action in actions.split(",") if action in allowed]
    return {"type": kind, "name": name, "actions": granted} if granted else None


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .sign(key, hashes.SHA256())
    )


def _segment(value: object) -> str:
    return _base64(json.dumps(value).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
