"""How a registry is told who asks: challenges and their answers, as flows without I/O.

Challenges are RFC 9110's (11.6.1); tokens are described in ``docs/spec/auth`` of
github.com/distribution/distribution: `token.md` (GET, for users with a password and for nobody)
and `oauth.md` (POST, for identity tokens).
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx

from bundler.core.errors import SourceError
from bundler.tools.http import TEMPORARY, USER_AGENT, is_loopback, redact
from bundler.tools.registry.credentials import Credentials

_CLIENT = "airbundle"
# What is meant where a token service doesn't say how long its token lives, in seconds.
_LIFETIME = 60.0
_UNAUTHORIZED, _FORBIDDEN = 401, 403
_NO_TOKEN = frozenset({400, 401, 403})
_CHALLENGE = re.compile(r'([A-Za-z][A-Za-z0-9_-]*)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?')
_LONGEST_CHALLENGE = 4096
_TOKEN = re.compile(r"[\x21-\x7e]+")

Find = Callable[[str], Credentials | None]
Flow = Generator[httpx.Request, httpx.Response, None]


@dataclass
class Logins:
    """All that is known of logins to one registry; `what` names it, `host` finds its login.

    `find` is asked at the first challenge. `clock` gives seconds, for tokens that end. May be used
    from several threads.
    """

    what: str
    host: str
    find: Find
    clock: Callable[[], float] = time.monotonic
    _found: list[Credentials | None] = field(default_factory=list)
    _looking: threading.Lock = field(default_factory=threading.Lock)
    # scopes: header, and when it is of no use any more
    _headers: dict[tuple[str, ...], tuple[str, float]] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Whether there is a login that was shown to the registry."""
        return bool(self._found) and self._found[0] is not None

    def for_scopes(self, *scopes: str) -> Login:
        """What logs requests in that need `scopes` (``repository:NAME:ACTIONS``)."""
        return Login(self, scopes)

    def credentials(self) -> Credentials | None:
        """Docker's login for this registry, looked for once."""
        with self._looking:
            if not self._found:
                self._found.append(self.find(self.host))
            return self._found[0]

    def renewed(self, shown: Credentials | None) -> bool:
        """Whether there is another login by now than `shown`, which was good until it ended.

        Credential helpers give a new one: what they gave before is good for an hour (Artifact
        Registry) or twelve (ECR). Another thread may have asked for it already.
        """
        if not self._headers:
            return False
        with self._looking:
            if self._found == [shown]:
                self._found[:] = [self.find(self.host)]
            return self._found != [shown]

    def header(self, scopes: tuple[str, ...]) -> str | None:
        """What was accepted before and has not ended yet."""
        value, ends = self._headers.get(scopes, ("", 0.0))
        return value if value and self.clock() < ends else None

    def keep(self, scopes: tuple[str, ...], value: str, lifetime: float) -> str:
        """Use `value` for `lifetime` seconds, less a part for the way; `value` itself."""
        self._headers[scopes] = (value, self.clock() + 0.9 * lifetime)
        return value

    def error(self, problem: str, hint: str | None = None) -> SourceError:
        """The error of this registry's login."""
        return SourceError(f"{self.what}: {problem}", hint)


@dataclass(frozen=True)
class Login(httpx.Auth):
    """Logs one request in: with what is known, and when that is refused with something new, once.

    Between the two, a token service may be asked. What it answers for a time (429, 503) ends the
    flow, so that the whole request is tried again. Answers come with their bodies read.
    """

    logins: Logins
    scopes: tuple[str, ...]

    def auth_flow(self, request: httpx.Request) -> Flow:
        """Yields requests, is sent their answers; the last one is the answer."""
        known = self.logins.header(self.scopes)
        if known is not None:
            request.headers["Authorization"] = known
        answer = yield request
        ended = known is not None and known.startswith("Basic") and _may_have_ended(answer)
        if answer.status_code != _UNAUTHORIZED and not ended:
            return
        header = known
        challenges = parse_challenges(answer.headers.get_list("www-authenticate"))
        if "bearer" in challenges:
            named, shown = (challenges["bearer"], request.url.scheme), self.logins.credentials()
            answer = yield self._token_request(*named, shown)
            if answer.status_code in _NO_TOKEN and self.logins.renewed(shown):
                answer = yield self._token_request(*named, self.logins.credentials())
            if answer.status_code in TEMPORARY:
                return
            header = self.logins.keep(self.scopes, *self._token(answer))
        elif "basic" in challenges or ended:
            self.logins.renewed(self.logins.credentials())
            credentials = self.logins.credentials()
            if credentials is not None and credentials.user:
                header = self.logins.keep(self.scopes, _basic(credentials), float("inf"))
        if header is not None and header != known:
            request.headers["Authorization"] = header
            yield request

    def _token_request(
        self, challenge: Mapping[str, str], scheme: str, credentials: Credentials | None
    ) -> httpx.Request:
        """To the service that a registry asked by `scheme` names, with `credentials`."""
        realm = self._realm(challenge.get("realm", ""), scheme)
        asked = [("service", challenge["service"])] if "service" in challenge else []
        scopes = _with_challenged(self.scopes, challenge.get("scope", ""))
        headers = {"Accept-Encoding": "identity", "User-Agent": USER_AGENT}
        if credentials is not None and credentials.identity_token:
            form = [
                ("grant_type", "refresh_token"),
                ("refresh_token", credentials.identity_token),
                ("client_id", _CLIENT),
                ("scope", " ".join(scopes)),
                *asked,
            ]
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            return httpx.Request("POST", realm, headers=headers, content=urlencode(form))
        if credentials is not None:
            headers["Authorization"] = _basic(credentials)
        query = [*realm.params.multi_items(), *asked, *(("scope", scope) for scope in scopes)]
        return httpx.Request(
            "GET", realm.copy_with(query=urlencode(query).encode()), headers=headers
        )

    def _realm(self, text: str, scheme: str) -> httpx.URL:
        """By https; for a registry on this machine by http, too, on this machine.

        Not for others: their requests by http may go through a proxy.
        """
        try:
            url = httpx.URL(text).copy_with(userinfo=b"", fragment=None)
            here = is_loopback(url.host) and url.scheme == scheme == "http"
        except (httpx.InvalidURL, ValueError) as error:
            raise self.logins.error("names a token service that is no URL") from error
        if url.scheme != "https" and not here:
            raise self.logins.error(
                f"names a token service that is not https: {redact(url)[:200]}",
                "a login would be readable on the way there",
            )
        return url

    def _token(self, answer: httpx.Response) -> tuple[str, float]:
        """The header's value, and for how many seconds it is good."""
        service, status = redact(answer.request.url), answer.status_code
        if status in _NO_TOKEN:
            said = "refuses the login that Docker has" if self.logins.known else "wants a login"
            raise self.logins.error(
                f"its token service {service} {said} ({status})",
                f"`docker login {self.logins.host}`",
            )
        try:
            fields = json.loads(answer.content)
            token = fields.get("token") or fields.get("access_token")
            lifetime = max(_LIFETIME, float(fields.get("expires_in") or _LIFETIME))
            found = status == httpx.codes.OK and _TOKEN.fullmatch(token)
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            found = None
        if not found:
            raise self.logins.error(
                f"expected a token from {service}, found an answer {status} without one"
            )
        return f"Bearer {token}", lifetime


def parse_challenges(values: Iterable[str]) -> dict[str, dict[str, str]]:
    """The parameters of each scheme in WWW-Authenticate; all names in lower case."""
    challenges: dict[str, dict[str, str]] = {}
    for value in values:
        parameters: dict[str, str] = {}
        for found in _CHALLENGE.finditer(value[:_LONGEST_CHALLENGE]):
            name, quoted, plain = found.groups()
            if quoted is None and plain is None:
                parameters = challenges.setdefault(name.lower(), {})
            else:
                text = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
                parameters.setdefault(name.lower(), text)
    return challenges


def has_ended(status: int, body: bytes) -> bool:
    """Whether a login that was good is no more: ECR says so with a 403."""
    return status == _FORBIDDEN and b"token has expired" in body.lower()


def _may_have_ended(answer: httpx.Response) -> bool:
    """The same, or an answer to HEAD, which has no words."""
    silent = answer.request.method == "HEAD" and answer.status_code == _FORBIDDEN
    return silent or has_ended(answer.status_code, answer.content)


def _with_challenged(own: tuple[str, ...], challenged: str) -> tuple[str, ...]:
    """What the registry says is needed, too: it may know a repository by another name."""
    return (*own, *(scope for scope in challenged.split() if not any(map(_covers(scope), own))))


def _covers(scope: str) -> Callable[[str], bool]:
    name, _, actions = scope.rpartition(":")

    def covers(wider: str) -> bool:
        same, _, more = wider.rpartition(":")
        return same == name and set(actions.split(",")) <= set(more.split(","))

    return covers


def _basic(credentials: Credentials) -> str:
    pair = f"{credentials.user}:{credentials.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"
