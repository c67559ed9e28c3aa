"""A reverse proxy that misbehaves as it is told."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.fakes.registry.serving import Asked, Reply, serving

Change = Callable[[Reply], None]
# Changes the true answer in place, or is an answer for which the true server isn't asked.
Fault = Change | Reply
_HOP = {"connection", "keep-alive", "transfer-encoding"}


@dataclass
class Front:
    """Answers as the server at `upstream` (``HOST:PORT``) does, but for faults.

    Each of `faults` changes the answer to one request, in order; only requests whose path has
    `where` in it count. `asked` are those, all of them.
    """

    upstream: str
    host: str = ""
    where: str = "/blobs/"
    faults: list[Fault] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    def answer(self, asked: Asked) -> Reply:
        """The true answer, or a changed one."""
        fault: Fault = well
        if self.where in asked.path:
            self.asked.append(asked)
            if self.faults:
                fault = self.faults.pop(0)
        if isinstance(fault, Reply):
            return fault
        reply = self._forward(asked)
        fault(reply)
        return reply

    def _forward(self, asked: Asked) -> Reply:
        connection = http.client.HTTPConnection(self.upstream)
        # `Host` stays: the registry names itself by it in Location.
        with contextlib.closing(connection):
            connection.request(asked.method, asked.path, asked.body, dict(asked.headers.items()))
            answer = connection.getresponse()
            headers = [each for each in answer.getheaders() if each[0].lower() not in _HOP]
            return Reply(answer.status, headers, answer.read())


@contextlib.contextmanager
def front_of(upstream: str) -> Iterator[Front]:
    """A front on a port of its own; `.host` is where it is."""
    front = Front(upstream)
    with serving(front.answer) as front.host:
        yield front


def well(reply: Reply) -> None:
    """No fault."""


def instead(status: int, body: bytes = b"", cut: int | None = None, **headers: str) -> Reply:
    """Another answer altogether; underscores in header names are hyphens."""
    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Reply(status, [*fields, ("Content-Length", str(len(body)))], body, cut)


def cut(after: int) -> Change:
    """The connection ends after so many bytes of the body."""

    def fault(reply: Reply) -> None:
        reply.cut = after

    return fault


def with_header(name: str, value: str | None) -> Change:
    """One header is another, or is not there."""
    return lambda reply: reply.set(name, value)


def with_body(body: bytes) -> Change:
    """Another body, with its length."""

    def fault(reply: Reply) -> None:
        reply.body = body
        reply.set("Content-Length", str(len(body)))

    return fault


def both(*faults: Change) -> Fault:
    """All of them in the same answer."""

    def fault(reply: Reply) -> None:
        for each in faults:
            each(reply)

    return fault
