"""A hub of our own for the real client: `running_hub()`, or `python -m tests.parts.hub`.

It speaks what `huggingface_hub` 2.4 asks for (`hf_api.py`, `file_download.py`, `utils/_http.py`),
on two loopback ports: the hub itself, and the "CDN" that LFS files are redirected to. Every request
is recorded; faults happen on order. Only the standard library: `make demo` starts it, too.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.parts.hubrepos import Content, Repo, files_below

PAGE = 1000
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_API = re.compile(r"/api/models/([^?]+?)(?:/(revision|tree)/([^/?]+))?")
_CACHED = re.compile(r"/api/resolve-cache/models/(.+?)/([0-9a-f]{40})/(.+)")
_RESOLVE = re.compile(r"/(.+?)/resolve/([^/]+)/(.+)")
_BLOB = re.compile(r"/blobs/(.+?)/([0-9a-f]{40})/(.+)")


@dataclass(frozen=True)
class Asked:
    """One request: `begin` is where its Range begins, `sent` how many bytes of a body went out."""

    method: str
    path: str
    status: int
    begin: int
    sent: int
    authorized: bool
    cdn: bool
    agent: str


@dataclass
class Fault:
    """What goes wrong with requests whose path `pattern` is found in, `times` of them.

    status: the answer, with `headers` and `body`. cut: the connection ends after so many bytes of
    the body. hold: the body waits there until `release` is set. corrupt: its first byte is another.
    no_range: the whole file for whoever asks for a part.
    """

    pattern: str
    times: int = 1
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"later"
    cut: int | None = None
    hold: int | None = None
    corrupt: bool = False
    no_range: bool = False
    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)


class Hub:
    """The state that both ports share; `endpoint` is what HF_ENDPOINT is to be."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.cdn = ""
        self.repos: dict[str, Repo] = {}
        self.tokens: dict[str, str] = {}
        self.page = PAGE
        self._faults: list[Fault] = []
        self._asked: list[Asked] = []
        self._busy = 0
        self._guard = threading.Condition()

    def add(self, name: str, files: Mapping[str, bytes | Path], **options: Any) -> Repo:
        """A repository whose branch `main` has these files."""
        repo = self.repos[name] = Repo(name, **options)
        repo.commit(files)
        return repo

    def fault(self, pattern: str, **options: Any) -> Fault:
        """Orders a fault, see `Fault`; it comes before those that were ordered earlier."""
        fault = Fault(pattern, **options)
        with self._guard:
            self._faults.insert(0, fault)
        return fault

    def mend(self) -> None:
        """From now on nothing goes wrong, but for requests that are under way."""
        with self._guard:
            self._faults = []

    def release(self) -> None:
        """Ends what is held."""
        with self._guard:
            for fault in self._faults:
                fault.release.set()

    def take_fault(self, path: str) -> Fault:
        """What goes wrong with this request: nothing, in most cases."""
        with self._guard:
            for fault in self._faults:
                if fault.times and fault.pattern in path:
                    fault.times -= 1
                    return fault
        return Fault("")

    @contextlib.contextmanager
    def answering(self, count: int = 1) -> Iterator[None]:
        """While a request is answered; with -1, while it is held and nobody waits for it."""
        with self._guard:
            self._busy += count
        try:
            yield
        finally:
            with self._guard:
                self._busy -= count
                self._guard.notify_all()

    def note(self, asked: Asked) -> None:
        """Keeps one request in the record."""
        with self._guard:
            self._asked.append(asked)

    def asked(self, part: str = "", cdn: bool | None = None) -> list[Asked]:
        """The requests so far whose path `part` is found in, in the order of their ends."""
        with self._guard:
            # A client has its answer a moment before this server knows that it was sent.
            assert self._guard.wait_for(lambda: not self._busy, 30)
            return [a for a in self._asked if part in a.path and cdn in (None, a.cdn)]

    def wait_asked(self, part: str, count: int) -> None:
        """Returns when so many requests whose path `part` is found in were answered."""
        with self._guard:
            assert self._guard.wait_for(
                lambda: sum(part in a.path for a in self._asked) >= count, 60
            )

    def forget(self) -> None:
        """Empties the record."""
        with self._guard:
            self._asked.clear()


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    # Without it, a header and a body in two segments wait for each other (Nagle).
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        with self.server.hub.answering():
            self._answer()

    def do_GET(self) -> None:
        with self.server.hub.answering():
            self._answer()

    def _answer(self) -> None:
        hub = self.server.hub
        url = urlsplit(self.path)
        self._path, self._query = unquote(url.path), parse_qs(url.query)
        self._fault = hub.take_fault(self._path)
        self._status, self._sent = 0, 0
        found = _RANGE.fullmatch(self.headers.get("Range", ""))
        self._begin = int(found[1]) if found and not self._fault.no_range else 0
        self._end = int(found[2]) + 1 if found and found[2] else None
        self._ranged = bool(found) and not self._fault.no_range
        try:
            if self._fault.status:
                self._reply(self._fault.status, self._fault.headers, self._fault.body)
            elif self.server.is_cdn:
                self._blob(*self._match(_BLOB))
            else:
                self._route()
        except _RefusedError as refused:
            body = json.dumps({"error": str(refused)}).encode()
            self._reply(refused.status, refused.headers, body, "application/json")
        except OSError:
            self.close_connection = True
        finally:
            hub.note(self._record())

    def _record(self) -> Asked:
        return Asked(
            self.command,
            self._path,
            self._status,
            self._begin,
            self._sent,
            "Authorization" in self.headers,
            self.server.is_cdn,
            self.headers.get("User-Agent", ""),
        )

    def _match(self, pattern: re.Pattern[str]) -> tuple[str, ...]:
        found = pattern.fullmatch(self._path)
        if not found:
            raise _RefusedError(404, "", "Sorry, we can't find the page you are looking for.")
        return found.groups()

    def _route(self) -> None:
        path = urlsplit(self.path).path
        if api := _API.fullmatch(path):
            self._api(unquote(api[1]), api[2] or "revision", unquote(api[3] or "main"))
        elif cached := _CACHED.fullmatch(self._path):
            self._blob(*cached.groups())
        elif resolve := _RESOLVE.fullmatch(path):
            self._resolve(*(unquote(part) for part in resolve.groups()))
        else:
            self._match(_BLOB)

    def _api(self, name: str, what: str, revision: str) -> None:
        repo = self._repo(name)
        commit = self._commit(repo, revision)
        if what == "revision":
            self._json(repo.info(commit, "blobs" in self._query), {})
            return
        entries = repo.tree(commit)
        begin = int(self._query.get("cursor", ["0"])[0])
        headers = {}
        if (end := begin + self.server.hub.page) < len(entries):
            base = f"{self.server.hub.endpoint}{urlsplit(self.path).path}"
            headers["Link"] = f'<{base}?recursive=true&cursor={end}>; rel="next"'
        self._json(entries[begin:end], headers)

    def _resolve(self, name: str, revision: str, path: str) -> None:
        """A file of git's own is redirected within the hub, one under LFS to the CDN."""
        repo = self._repo(name)
        if repo.gated and self._user() not in repo.readers:
            restricted = f"Access to model {name} is restricted."
            raise _RefusedError(403 if self._user() else 401, "GatedRepo", restricted)
        commit = self._commit(repo, revision)
        content = repo.commits[commit].get(path)
        if content is None:
            raise _RefusedError(404, "EntryNotFound", "Entry not found")
        headers = {"X-Repo-Commit": commit, "X-Linked-Etag": f'"{content.etag}"'}
        headers["X-Linked-Size"] = str(content.size)
        where = quote(f"{name}/{commit}/{path}", errors="surrogatepass")
        if content.lfs:
            headers["Location"] = f"{self.server.hub.cdn}/blobs/{where}?signature=secret"
        else:
            headers["Location"] = f"/api/resolve-cache/models/{where}"
        self._reply(302 if content.lfs else 307, headers, b"redirecting")

    def _user(self) -> str:
        """Who asks; nobody without a token. The hub refuses a token that it doesn't know."""
        header = self.headers.get("Authorization", "")
        if not header:
            return ""
        user = self.server.hub.tokens.get(header.removeprefix("Bearer "))
        if user is None:
            raise _RefusedError(401, "", "Invalid credentials in Authorization header")
        return user

    def _repo(self, name: str) -> Repo:
        user = self._user()
        repo = self.server.hub.repos.get(name)
        if repo is None or (repo.private and user not in repo.readers):
            if user:
                raise _RefusedError(404, "RepoNotFound", "Repository not found")
            raise _RefusedError(401, "RepoNotFound", "Invalid username or password.")
        return repo

    def _commit(self, repo: Repo, revision: str) -> str:
        commit = repo.find(revision)
        if commit is None:
            raise _RefusedError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit

    def _blob(self, name: str, commit: str, path: str) -> None:
        content = self.server.hub.repos[name].commits[commit][path]
        total = content.real_size
        end = min(self._end or total, total)
        headers = {"ETag": f'"{content.etag}"', "Accept-Ranges": "bytes"}
        headers["Content-Type"] = "binary/octet-stream"
        if not self.server.is_cdn:
            headers["X-Repo-Commit"] = commit
        if self._ranged and self._begin >= total:
            self._reply(416, {"Content-Range": f"bytes */{total}"}, b"")
            return
        begin = self._begin if self._ranged else 0
        if self._ranged:
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{total}"
        else:
            end = total
        headers["Content-Length"] = str(end - begin)
        self._head(206 if self._ranged else 200, headers)
        if self.command == "GET":
            self._stream(content, begin, end)

    def _stream(self, content: Content, begin: int, end: int) -> None:
        fault = self._fault
        for chunk in content.read(begin, end):
            if fault.corrupt and not self._sent:
                chunk = bytes([chunk[0] ^ 1]) + chunk[1:]
            for limit in (fault.cut, fault.hold):
                if limit is not None and self._sent + len(chunk) > limit:
                    self._write(chunk[: limit - self._sent])
                    if limit == fault.hold:
                        with self.server.hub.answering(-1):
                            fault.reached.set()
                            fault.release.wait()
                    self.close_connection = True
                    return
            self._write(chunk)

    def _write(self, data: bytes) -> None:
        self.wfile.write(data)
        self._sent += len(data)

    def _json(self, value: object, headers: Mapping[str, str]) -> None:
        self._reply(200, headers, json.dumps(value).encode(), "application/json")

    def _reply(
        self, status: int, headers: Mapping[str, str], body: bytes, kind: str = "text/plain"
    ) -> None:
        self._head(status, {"Content-Type": kind, "Content-Length": str(len(body)), **headers})
        if self.command == "GET":
            self.close_connection = self.close_connection or self._fault.cut is not None
            self._write(body[: self._fault.cut])

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self._status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    # A client that opens eight connections at once on a loaded machine.
    request_queue_size = 128

    def __init__(self, hub: Hub, port: int, is_cdn: bool, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.hub = hub
        self.is_cdn = is_cdn
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_port}"
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is part of the tests."""


@contextlib.contextmanager
def running_hub(port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Hub]:
    """An empty hub and its CDN on free loopback ports, for the length of a `with` block."""
    hub = Hub()
    with contextlib.ExitStack() as stack:
        servers = [_Server(hub, port, False, tls), _Server(hub, 0, True, tls)]
        hub.endpoint, hub.cdn = (server.url for server in servers)
        for server in servers:
            thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            stack.callback(server.server_close)
        stack.callback(hub.release)
        yield hub


def main() -> None:
    """Serves folders as repositories until it is ended; the first line printed is the endpoint."""
    parser = argparse.ArgumentParser(prog="python -m tests.parts.hub", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("repos", nargs="+", metavar="ORG/NAME=FOLDER")
    options = parser.parse_args()
    with running_hub(options.port) as hub:
        for each in options.repos:
            name, _, folder = each.partition("=")
            hub.add(name, files_below(Path(folder)))
        print(hub.endpoint, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
