"""HTTP as every client of ours speaks it: bounded, patient only where the server asks for it.

Only what is declared temporary is tried again: 429, 502, 503, 504, and a connection that broke
after it stood. Redirects are followed for HEAD alone. Foreign errors end here: a caller says
once which of our errors a broken connection is to it. URLs are shown without user, query and
fragment, which may hold tokens.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import httpx

from bundler import __version__
from bundler.core.errors import BundlerError

ATTEMPTS = 5
MAX_BODY = 64 * 1024**2
# A registry may hash gigabytes, an API server may wait for its webhooks, before it answers.
TIMEOUT = httpx.Timeout(connect=10.0, read=300.0, write=60.0, pool=10.0)

_PLAIN = {"Accept-Encoding": "identity"}
_TEMPORARY = frozenset({429, 502, 503, 504})
_RESETS = (httpx.ReadError, httpx.WriteError, httpx.CloseError, httpx.RemoteProtocolError)
_LONGEST_PAUSE = 60.0
_MAX_REDIRECTS = 3
# What Python puts before the words of the system.
_ERRNO = re.compile(r"^\[Errno -?\d+\] ")

Sleep = Callable[[float], None]
# What a client can't be made for.
InvalidURL = httpx.InvalidURL


@dataclass(frozen=True)
class Answer:
    """What a server answered: status, header fields (names in lower case), the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


@dataclass
class Session:
    """Requests to one server; `what` names it ("registry reg.site:5000") in an `error`.

    `hint` is what to do when it can't be reached. `sleep` waits between attempts.
    """

    client: httpx.Client
    what: str
    error: type[BundlerError]
    hint: str
    sleep: Sleep = field(default=time.sleep)

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer:
        """The answer to one request, tried again while it fails for a time."""
        return self.retried(
            lambda: self._once(method, path, dict(headers or {}), dict(params or {}), content)
        )

    def upload(self, path: str, size: int, data: Iterable[bytes]) -> Answer:
        """The answer to one PUT of `size` bytes, streamed from `data`; for use in `retried`."""
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        return self._once("PUT", path, headers, {}, data)

    def retried(self, attempt: Callable[[], Answer], attempts: int = ATTEMPTS) -> Answer:
        """What `attempt` answers in the end; after so many `attempts` also an error for a time."""
        for number in range(1, attempts + 1):
            pause = min(0.5 * 2 ** (number - 1), _LONGEST_PAUSE)
            try:
                answer = attempt()
            except _RESETS as error:
                if number == attempts:
                    raise self.error(
                        f"{self.what}: the connection broke, attempt {number} of {attempts} "
                        f"({_reason(error)})",
                        self.hint,
                    ) from error
            else:
                if answer.status not in _TEMPORARY or number == attempts:
                    return answer
                pause = _retry_after(answer, pause)
            self.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _once(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        params: dict[str, str],
        content: bytes | Iterable[bytes] | None,
    ) -> Answer:
        try:
            request = self.client.build_request(
                method, path, headers=_PLAIN | headers, params=params or None, content=content
            )
            response = self.client.send(request, stream=True, follow_redirects=method == "HEAD")
            try:
                body = self._body(response)
            finally:
                response.close()
        except _RESETS:
            raise
        except httpx.TimeoutException as error:
            problem = f"{self.what}: no answer in time ({_reason(error)})"
            raise self.error(problem, self.hint) from error
        except httpx.LocalProtocolError as error:
            # Its words may hold the header, and so the token.
            raise self.error(f"{self.what}: a header or a body that HTTP can't send") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self.error(f"{self.what}: {_reason(error)}", self.hint) from error
        return Answer(response.status_code, response.headers, body, redact(response.url))

    def _body(self, response: httpx.Response) -> bytes:
        if response.request.method == "HEAD":
            return b""
        encoding = response.headers.get("content-encoding", "identity")
        if encoding != "identity":
            # Unpacked, one chunk may be larger than any memory.
            raise self.error(
                f"{self.what}: expected a plain answer, found Content-Encoding {encoding[:100]!r}"
            )
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MAX_BODY:
                raise self.error(f"{self.what}: an answer of more than {MAX_BODY} bytes")
        return bytes(body)


def connect(base: str, *, use_environment: bool) -> httpx.Client:
    """A client of the server at `base`; `use_environment`: proxies and SSL_CERT_FILE count."""
    return httpx.Client(
        base_url=base,
        headers={"User-Agent": f"airbundle/{__version__}"},
        timeout=TIMEOUT,
        trust_env=use_environment,
        max_redirects=_MAX_REDIRECTS,
    )


def is_loopback(host: str) -> bool:
    """Whether `host` (no port) is this machine by its very name: `localhost`, 127/8 or ::1."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def redact(url: httpx.URL) -> str:
    """`url` without what may be secret in it: user, password, query and fragment."""
    return str(url.copy_with(userinfo=b"", query=None, fragment=None))


def _reason(error: Exception) -> str:
    return _ERRNO.sub("", str(error)) or type(error).__name__


def _retry_after(answer: Answer, otherwise: float) -> float:
    """The seconds that the server asked for (RFC 9110, 10.2.3); a date would need a clock."""
    text = answer.headers.get("retry-after", "")
    if not (text.isascii() and text.isdigit()):
        return otherwise
    return min(float(text), _LONGEST_PAUSE)
