"""Who we are to an API server, from the first request to the last: credentials end in between."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from bundler.cluster.client.answers import UnreachableError
from bundler.cluster.client.entry import Entry, User
from bundler.cluster.client.kubeconfig import unusable
from bundler.cluster.client.plugin import Credential, RunPlugin, ask_plugin, run_plugin
from bundler.core.errors import ClusterError, UsageError
from bundler.tools.http import Session, Sleep, connect_api
from bundler.tools.tls import api_context

# A request begins with a credential that is good for so long at least.
_MARGIN = timedelta(seconds=10)
# How long what a token file said is believed; client-go reads it as often.
_FILE_GOOD_FOR = timedelta(minutes=1)
_UNREACHED = "is it running, and is it reachable from here? (--kubeconfig, --context)"

Clock = Callable[[], datetime]


def now() -> datetime:
    """The time, as `Login` has it by default."""
    return datetime.now(UTC)


@dataclass
class _Way:
    """A session that a credential opened, and how many requests are on it."""

    credential: Credential
    session: Session
    users: int = 0


class Login:
    """The way in that `entry` describes; a `Session` lives as long as its credential."""

    def __init__(
        self, entry: Entry, sleep: Sleep, clock: Clock = now, run_it: RunPlugin = run_plugin
    ) -> None:
        self._entry = entry
        self._sleep = sleep
        self._clock = clock
        self._run = run_it
        self._current: _Way | None = None
        self._lock = threading.Lock()

    @contextmanager
    def entered(self, refused: Session | None = None) -> Iterator[Session]:
        """What to send a request with: the same as before while its credential is good.

        `refused` is the one that the API server didn't take (401), so that the plugin, or the
        file, is asked for another; the same one where there is no other. Several threads may be
        inside. ClusterError where there is no credential to get.
        """
        with self._lock:
            way = self._way(refused)
            way.users += 1
        try:
            yield way.session
        finally:
            with self._lock:
                way.users -= 1
                self._leave(way)

    def close(self) -> None:
        """Close the connections."""
        if self._current is not None:
            self._current.session.client.close()

    def _way(self, refused: Session | None) -> _Way:
        before = self._current
        if before and before.session is not refused and not self._ends(before.credential):
            return before
        credential = self._credential()
        if before and _same(before.credential, credential):
            before.credential = credential
            return before
        self._current = _Way(credential, self._connected(credential))
        if before:
            self._leave(before)
        return self._current

    def _leave(self, way: _Way) -> None:
        if way is not self._current and not way.users:
            way.session.client.close()

    def refusal(self) -> ClusterError:
        """The error about a login that the API server doesn't take."""
        user, what = self._entry.user, f"API server {self._entry.server.place}"
        problem = f"{what}: refused the login of the user {user.name!r}"
        if user.plugin is not None:
            return ClusterError(
                f"{problem}, by the credential plugin {user.plugin.command}, and a new one from it",
                "log in again by the cloud's own tool, and see that the cluster knows this user",
            )
        if user.token_file is not None:
            return ClusterError(
                f"{problem}, by the token in {user.token_file}",
                "whoever writes this file has to write a new token into it",
            )
        if user.token is not None:
            return ClusterError(
                f"{problem}, by its token",
                "it has ended, or was withdrawn: get a new one from who gave this kubeconfig; "
                "then the same command again continues",
            )
        if user.certificate is not None:
            return ClusterError(
                f"{problem}, by its client certificate{_end(user.certificate, self._clock())}",
                "get a new kubeconfig from who gave this one; the same command again continues",
            )
        return ClusterError(problem, "its entry in the kubeconfig has to say how it logs in")

    def _ends(self, credential: Credential) -> bool:
        return credential.expires is not None and self._clock() + _MARGIN >= credential.expires

    def _credential(self) -> Credential:
        user = self._entry.user
        if user.plugin is not None:
            found = ask_plugin(user.plugin, self._entry.server, self._run)
            # A token that somebody else's program gives beside a certificate of our own.
            return Credential(
                found.authorization, found.certificate or user.certificate, found.expires
            )
        if user.token_file is not None:
            until = self._clock() + _MARGIN + _FILE_GOOD_FOR
            return Credential(f"Bearer {_token(user.token_file)}", user.certificate, until)
        return Credential(_authorization(user), user.certificate)

    def _connected(self, credential: Credential) -> Session:
        server, user = self._entry.server, self._entry.user
        headers = list(user.headers)
        if credential.authorization is not None:
            headers.append(("Authorization", credential.authorization))
        try:
            context = api_context(server.authority, credential.certificate, server.tls_name)
            client = connect_api(server.url, context, server.proxy, headers)
        except UsageError as error:
            raise unusable(self._entry.origin, error.message) from error
        what = f"API server {server.place}"
        return Session(
            client, what, ClusterError, _UNREACHED, self._sleep, unreachable=UnreachableError
        )


def _same(one: Credential, other: Credential) -> bool:
    return (one.authorization, one.certificate) == (other.authorization, other.certificate)


def _authorization(user: User) -> str | None:
    if user.token is not None:
        return f"Bearer {user.token}"
    if user.basic is not None:
        return "Basic " + base64.b64encode(":".join(user.basic).encode()).decode()
    return None


def _token(path: Path) -> str:
    try:
        token = path.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        raise ClusterError(f"token file {path}: can't be read") from error
    if not token:
        raise ClusterError(f"token file {path}: expected a token, found nothing")
    return token


def _end(certificate: bytes, moment: datetime) -> str:
    """When `certificate` ended, if it has, in words."""
    try:
        end = x509.load_pem_x509_certificate(certificate).not_valid_after_utc
    except ValueError:
        return ""
    return f", which ended at {end:%Y-%m-%d %H:%M} UTC" if end < moment else ""
