"""An HTTP server in a thread of its own, for the length of a `with` block."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: Message
    body: bytes

    @property
    def login(self) -> str | None:
        """The header Authorization."""
        return self.headers["Authorization"]


@dataclass
class Reply:
    """What is answered; `cut` ends the connection after so many bytes of the body.

    With `reset` it ends as where a machine in between has forgotten it: with a reset.
    """

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    cut: int | None = None
    reset: bool = False

    def set(self, name: str, value: str | None) -> None:
        """Gives one header another value, or takes it away."""
        self.headers = [each for each in self.headers if each[0].lower() != name.lower()]
        if value is not None:
            self.headers.append((name, value))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is part of the tests."""


@contextlib.contextmanager
def serving(answer: Callable[[Asked], Reply], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Answers with `answer`; the value is ``127.0.0.1:PORT``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Or the small answers wait for the other side's acknowledgement of the headers.
        wbufsize = -1

        def handle_one(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            reply = answer(Asked(self.command, self.path, self.headers, self.rfile.read(length)))
            self.send_response_only(reply.status)
            for name, value in reply.headers:
                self.send_header(name, value)
            self.end_headers()
            # The other side may have seen enough.
            with contextlib.suppress(ConnectionError):
                if self.command != "HEAD":
                    self.wfile.write(reply.body[: reply.cut])
                self.wfile.flush()
            if reply.cut is not None:
                self.close_connection = True
            if reply.reset:
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                os.close(self.connection.detach())

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: a test looks at what was asked."""

    server = _Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
