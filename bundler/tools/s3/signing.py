"""AWS Signature Version 4 of one request, as a flow without I/O.

docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

import httpx

from bundler.tools.s3.keys import Keys

_ALGORITHM = "AWS4-HMAC-SHA256"
_SIGNED = ("host", "content-type")
CONTENT_SHA256 = "x-amz-content-sha256"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Signature(httpx.Auth):
    """Signs a request with `keys` for S3 in `region`; `clock` gives the time, with its zone."""

    keys: Keys
    region: str
    clock: Clock

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Yields the request, signed at this moment."""
        stamp = self.clock().strftime("%Y%m%dT%H%M%SZ")
        request.headers["x-amz-date"] = stamp
        request.headers.setdefault(CONTENT_SHA256, EMPTY_SHA256)
        if self.keys.token:
            request.headers["x-amz-security-token"] = self.keys.token
        request.headers["Authorization"] = self._header(request, stamp)
        yield request

    def _header(self, request: httpx.Request, stamp: str) -> str:
        headers = {
            name.lower(): " ".join(value.split())
            for name, value in request.headers.items()
            if name.lower() in _SIGNED or name.lower().startswith("x-amz-")
        }
        signed = ";".join(sorted(headers))
        scope = f"{stamp[:8]}/{self.region}/s3/aws4_request"
        canonical = "\n".join(
            [
                request.method,
                request.url.raw_path.partition(b"?")[0].decode(),
                canonical_query(dict(request.url.params)),
                *(f"{name}:{headers[name]}" for name in sorted(headers)),
                "",
                signed,
                headers[CONTENT_SHA256],
            ]
        )
        text = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        signature = hmac.new(self._key(stamp[:8]), text.encode(), hashlib.sha256).hexdigest()
        return (
            f"{_ALGORITHM} Credential={self.keys.identity}/{scope}, "
            f"SignedHeaders={signed}, Signature={signature}"
        )

    def _key(self, day: str) -> bytes:
        key = f"AWS4{self.keys.secret}".encode()
        for part in (day, self.region, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key


def canonical_query(params: dict[str, str]) -> str:
    """Names and values, encoded and sorted; this is also how they are sent."""
    pairs = sorted((_encode(name), _encode(value)) for name, value in params.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def encode_path(path: str) -> str:
    """A key as it stands in a URL, its slashes kept."""
    return quote(path, safe="/-_.~")


def _encode(text: str) -> str:
    return quote(text, safe="-_.~")
