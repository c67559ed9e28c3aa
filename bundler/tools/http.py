"""HTTP as every client of ours speaks it: bounded, patient only where the server asks for it.

Only what is declared temporary is tried again: 429, 502, 503, 504, and a connection that broke
after it stood. Redirects are followed for GET and HEAD, where a session says so, without the login
and never from https to http. Foreign errors end here: a caller says once which of our errors a
broken connection is to it. URLs are shown without user, query and fragment, which may hold tokens.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import re
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from bundler import __version__
from bundler.core.errors import BundlerError, UsageError
from bundler.tools.tls import judge_as_go_does

USER_AGENT = f"airbundle/{__version__}"
ATTEMPTS = 5
MAX_BODY = 64 * 1024**2
# A registry may hash gigabytes, an API server may wait for its webhooks, before it answers.
TIMEOUT = httpx.Timeout(connect=10.0, read=300.0, write=60.0, pool=10.0)

_PLAIN = {"Accept-Encoding": "identity"}
TEMPORARY = frozenset({429, 502, 503, 504})
BREAKS = (httpx.ReadError, httpx.WriteError, httpx.CloseError, httpx.RemoteProtocolError)
_LONGEST_PAUSE = 60.0
_MAX_REDIRECTS = 5
# Of a login that has ended, ECR says that it permits nothing.
_ABOUT_LOGINS = frozenset({401, 403})
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

    `hint` is what to do when it can't be reached. `sleep` waits between attempts. `follows`:
    redirects of GET and HEAD are followed. `unreachable` is the error, if it is another one than
    `error`, for a connection that can't be made, or that broke. With `restarts` one that can't be
    made is tried again, too, once the server has answered. A `login` of a request answers the
    server's challenges. A body that is read at once may take so many seconds, `patience`.
    """

    client: httpx.Client
    what: str
    error: type[BundlerError]
    hint: str
    sleep: Sleep = field(default=time.sleep)
    follows: bool = False
    unreachable: type[BundlerError] | None = None
    restarts: bool = False
    patience: float = float("inf")
    # When the certificate of the server itself ends, once it has answered by TLS.
    certificate_ends: datetime | None = field(default=None, init=False)
    _stood: bool = field(default=False, init=False)

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        login: httpx.Auth | None = None,
        attempts: int = ATTEMPTS,
    ) -> Answer:
        """The answer to one request, tried again while it fails for a time."""

        def attempt() -> Answer:
            with self._answered(method, path, headers, params, content, login) as response:
                return self.whole(response)

        return self.retried(attempt, attempts)

    def upload(
        self, path: str, size: int, data: Iterable[bytes], login: httpx.Auth | None = None
    ) -> Answer:
        """The answer to one PUT of `size` bytes, streamed from `data`; for use in `retried`."""
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        with self._answered("PUT", path, headers, None, data, login) as response:
            return self.whole(response)

    def stream(
        self,
        path: str,
        headers: Mapping[str, str],
        login: httpx.Auth | None,
        lets_through: tuple[type[Exception], ...],
    ) -> AbstractContextManager[httpx.Response]:
        """The answer to one GET, of which nothing is read yet.

        What goes wrong inside of the `with` block, too, comes out as one of our errors, except for
        what it `lets_through` for the caller to try again.
        """
        return self._answered("GET", path, headers, None, None, login, lets_through)

    def retried(self, attempt: Callable[[], Answer], attempts: int = ATTEMPTS) -> Answer:
        """What `attempt` answers in the end; after so many `attempts` also an error for a time."""
        for number in range(1, attempts + 1):
            try:
                answer = attempt()
            except (*BREAKS, httpx.ConnectError) as error:
                if number == attempts:
                    raise self.broken(error, number) from error
                self.sleep(pause(number))
            else:
                if answer.status not in TEMPORARY or number == attempts:
                    return answer
                self.sleep(pause(number, answer.headers))
        raise AssertionError("the last attempt returns or raises")

    def broken(self, error: Exception, attempts: int) -> BundlerError:
        """The error for a connection that broke so many times in a row."""
        return (self.unreachable or self.error)(
            f"{self.what}: the connection broke, attempt {attempts} of {attempts} "
            f"({reason(error)})",
            self.hint,
        )

    def whole(self, response: httpx.Response) -> Answer:
        """`response` with its body, which is refused when it is packed or above MAX_BODY."""
        body = self._body(response)
        return Answer(response.status_code, response.headers, body, redact(response.url))

    @contextmanager
    def _answered(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None,
        params: Mapping[str, str] | None,
        content: bytes | Iterable[bytes] | None,
        login: httpx.Auth | None,
        lets_through: tuple[type[Exception], ...] = BREAKS,
    ) -> Iterator[httpx.Response]:
        try:
            request = self.client.build_request(
                method,
                path,
                headers=_PLAIN | dict(headers or {}),
                params=dict(params or {}) or None,
                content=content,
            )
            response = self._followed(request) if login is None else self._let_in(request, login)
            self._stood = True
            with closing(response):
                yield response
        except lets_through:
            raise
        except httpx.TimeoutException as error:
            problem = f"{self._whose(error)}: no answer in time ({reason(error)})"
            kind = self.unreachable if isinstance(error, httpx.ConnectTimeout) else None
            raise (kind or self.error)(problem, self.hint) from error
        except httpx.LocalProtocolError as error:
            # Its words may hold the header, and so the token.
            raise self.error(f"{self.what}: a header or a body that HTTP can't send") from error
        except httpx.TransportError as error:
            if isinstance(error, httpx.ConnectError) and self.restarts and self._stood:
                raise
            kind = self.unreachable or self.error
            raise kind(f"{self._whose(error)}: {reason(error)}", self.hint) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self.error(f"{self.what}: {reason(error)}", self.hint) from error

    def _whose(self, error: httpx.TransportError) -> str:
        """The server, and the other one that it sent us to, if it was that which failed."""
        url = error.request.url
        if origin(url) == origin(self.client.base_url):
            return self.what
        return f"{self.what}: {url.scheme}://{url.netloc.decode()}"

    def _let_in(self, request: httpx.Request, login: httpx.Auth) -> httpx.Response:
        """The last answer that `login` gets; challenges and tokens are read, within bounds."""
        flow = login.auth_flow(request)
        asked = next(flow)
        while True:
            response = self._followed(asked)
            # Only the server itself may ask for a login, not the one that it sends us on to.
            itself = origin(response.request.url) == origin(request.url)
            if asked is request and not (itself and response.status_code in _ABOUT_LOGINS):
                return response
            with closing(response):
                body = self._body(response)
            response = httpx.Response(
                response.status_code,
                headers=response.headers,
                content=body,
                request=response.request,
            )
            try:
                asked = flow.send(response)
            except StopIteration:
                return response

    def _followed(self, request: httpx.Request) -> httpx.Response:
        for _ in range(_MAX_REDIRECTS + 1):
            try:
                response = self.client.send(request, stream=True, follow_redirects=False)
            except UnicodeError as error:  # httpx looks at Location, too
                raise self.error(f"{self.what}: sends us on to what is no URL") from error
            if origin(request.url) == origin(self.client.base_url):
                self.certificate_ends = _certificate_end(response) or self.certificate_ends
            if not self.follows or request.method not in ("GET", "HEAD"):
                return response
            if not response.has_redirect_location:
                return response
            with closing(response):
                self._body(response)
            request = self._redirected(request, response.headers["location"])
        raise self.error(f"{self.what}: sends us on more than {_MAX_REDIRECTS} times")

    def _redirected(self, request: httpx.Request, location: str) -> httpx.Request:
        """The same request to `location`; another origin gets no login, and https stays https."""
        url = request.url.join(location).copy_with(userinfo=b"", fragment=None)
        if url.scheme not in ("https", request.url.scheme):
            raise self.error(
                f"{self.what}: sends us on to {redact(url)}, expected {request.url.scheme}"
            )
        headers = request.headers.copy()
        del headers["host"]
        if origin(url) != origin(request.url):
            headers.pop("authorization", None)
            headers.pop("cookie", None)
        return self.client.build_request(request.method, url, headers=headers)

    def _body(self, response: httpx.Response) -> bytes:
        encoding = response.headers.get("content-encoding", "identity")
        if encoding != "identity" and response.request.method != "HEAD":
            # Unpacked, one chunk may be larger than any memory.
            raise self.error(
                f"{self.what}: expected a plain answer, found Content-Encoding {encoding[:100]!r}"
            )
        body, until = bytearray(), time.monotonic() + self.patience
        # To its end also where there is none, or the connection can't be used again.
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MAX_BODY:
                raise self.error(f"{self.what}: an answer of more than {MAX_BODY} bytes")
            if time.monotonic() > until:
                raise self.error(f"{self.what}: an answer is not whole after {self.patience:.0f} s")
        return bytes(body)


def connect(base: str, *, use_environment: bool, authorities: Iterable[Path] = ()) -> httpx.Client:
    """A client of the server at `base`; `use_environment`: proxies and SSL_CERT_FILE count.

    `authorities` are files with certificates to trust as well. UsageError for files and settings
    that can't be used.
    """
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR") if use_environment else ()
    given = next(((name, os.environ[name]) for name in names if os.environ.get(name)), None)
    trust = _trust(given, tuple(authorities))
    try:
        return httpx.Client(
            base_url=base,
            headers={"User-Agent": USER_AGENT},
            timeout=TIMEOUT,
            trust_env=use_environment,
            verify=trust,
        )
    except (httpx.InvalidURL, ValueError, ImportError) as error:
        # Their words may hold the proxy's password.
        raise UsageError(
            "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY or NO_PROXY: is set to what can't be used",
            "a proxy is written http://HOST:PORT; SOCKS is not spoken",
        ) from error


def connect_api(
    base: str, context: ssl.SSLContext, proxy: str | None, headers: Iterable[tuple[str, str]]
) -> httpx.Client:
    """A client of the API server at `base`, with `headers` in every request.

    It goes through `proxy`, else through the one that the environment names, but never so to
    this machine. UsageError for a proxy that can't be used.
    """
    try:
        host = httpx.URL(base).host
        return httpx.Client(
            base_url=base,
            headers=[("User-Agent", USER_AGENT), *headers],
            timeout=TIMEOUT,
            trust_env=not is_loopback(host),
            proxy=proxy,
            verify=context,
        )
    except UnicodeError as error:
        raise UsageError(
            "the login, its token say: expected ASCII characters, found others",
            "copy it again: a quotation mark or a dash of a word processor is none of it",
        ) from error
    except (httpx.InvalidURL, ValueError, ImportError) as error:
        # Their words may hold the proxy's password, or a token.
        raise UsageError(
            "proxy-url, HTTPS_PROXY, ALL_PROXY or NO_PROXY: is set to what can't be used",
            "a proxy is written http://HOST:PORT; SOCKS is not spoken",
        ) from error


@functools.cache
def _trust(given: tuple[str, str] | None, authorities: tuple[Path, ...]) -> ssl.SSLContext:
    """What the environment names or certifi has, and `authorities`; made once, it takes a while."""
    source = " ".join(given or ())
    try:
        trust = httpx.create_ssl_context(trust_env=given is not None)
        judge_as_go_does(trust)
        for path in authorities:
            source = str(path)
            trust.load_verify_locations(path)
    except OSError as error:
        raise UsageError(
            f"{source}: expected certificates in PEM, found none ({reason(error)})"
        ) from error
    return trust


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


def reason(error: Exception) -> str:
    """What a library says went wrong, without the number that Python puts before it."""
    return _ERRNO.sub("", str(error)) or type(error).__name__


def pause(attempt: int, headers: Mapping[str, str] | None = None) -> float:
    """The seconds to wait after `attempt`, counted from 1: what the server asked for, or doubling.

    Retry-After is seconds or a date (RFC 9110, 10.2.3), which counts from the answer's own.
    """
    asked = (headers or {}).get("retry-after", "")
    seconds: float = 0.5 * 2 ** (attempt - 1)
    if asked.isascii() and asked.isdigit():
        seconds = float(asked)
    elif headers and "date" in headers:
        try:
            until, now = (parsedate_to_datetime(text) for text in (asked, headers["date"]))
            seconds = max(0.0, (until - now).total_seconds())
        except (ValueError, TypeError, OverflowError):
            pass  # no date: `until` and `now` may also differ in having a time zone
    return min(seconds, _LONGEST_PAUSE)


def _certificate_end(response: httpx.Response) -> datetime | None:
    """When the certificate ends that the connection of `response` was made with."""
    stream = response.extensions.get("network_stream")
    tls = None if stream is None else stream.get_extra_info("ssl_object")
    ends = (tls.getpeercert() or {}).get("notAfter") if tls is not None else None
    if ends is None:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(ends)), UTC)


def origin(url: httpx.URL) -> tuple[str, str, int | None]:
    """Scheme, host and port: what a login is for."""
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)
