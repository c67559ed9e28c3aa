"""A registry that only gives: OCI layouts behind the pull half of the distribution API.

For `make demo`, which has no root to install a real one; tests/conformance holds both to the same
promises. ``python -m tests.parts.littleregistry REPOSITORY:TAG=DIR…`` prints its address, and
serves until it is ended.
https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pull
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_PATH = re.compile(r"/v2/(?P<repository>.+)/(?P<kind>manifests|blobs)/(?P<reference>[^/]+)")
_RANGE = re.compile(r"bytes=(\d+)-")
_CHUNK = 1 << 20


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self) -> None:
        asked = _PATH.fullmatch(self.path)
        folder = self.server.folder(asked["repository"]) if asked else None
        if self.path == "/v2/":
            self._send(200, {"Content-Type": "application/json"}, b"{}")
        elif asked is None or folder is None:
            self._refuse("NAME_UNKNOWN")
        elif asked["kind"] == "manifests":
            self._manifest(folder, f"{asked['repository']}:{asked['reference']}")
        else:
            self._blob(folder, asked["reference"])

    def _manifest(self, folder: Path, name: str) -> None:
        found = self.server.tags.get(name)
        digest = name.partition(":")[2] if found is None else _top(found)["digest"]
        path = _place(folder, digest)
        if path is None:
            return self._refuse("MANIFEST_UNKNOWN")
        data = path.read_bytes()
        kind = json.loads(data)["mediaType"]
        return self._send(200, {"Content-Type": kind, "Docker-Content-Digest": digest}, data)

    def _blob(self, folder: Path, digest: str) -> None:
        path = _place(folder, digest)
        if path is None:
            return self._refuse("BLOB_UNKNOWN")
        size = path.stat().st_size
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        begin = int(asked[1]) if asked else 0
        headers = {"Content-Type": "application/octet-stream"}
        if asked:
            headers["Content-Range"] = f"bytes {begin}-{size - 1}/{size}"
        with path.open("rb") as file:
            file.seek(begin)
            self._send(206 if asked else 200, headers, b"", size - begin)
            while self.command == "GET" and (chunk := file.read(_CHUNK)):
                self.wfile.write(chunk)
        return None

    def _refuse(self, code: str) -> None:
        body = json.dumps({"errors": [{"code": code, "message": self.path}]}).encode()
        self._send(404, {"Content-Type": "application/json"}, body)

    def _send(
        self, status: int, headers: Mapping[str, str], body: bytes, size: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if size is None else size))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, tags: Mapping[str, Path]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.tags = tags

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is part of the tests."""

    def folder(self, repository: str) -> Path | None:
        """The layout of a repository; all its tags lie in one."""
        return next(
            (folder for name, folder in self.tags.items() if name.startswith(f"{repository}:")),
            None,
        )


def _top(folder: Path) -> dict[str, Any]:
    [entry] = json.loads((folder / "index.json").read_bytes())["manifests"]
    found: dict[str, Any] = entry
    return found


def _place(folder: Path, digest: str) -> Path | None:
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        return None
    path = folder / "blobs" / "sha256" / digest.removeprefix("sha256:")
    return path if path.is_file() else None


@contextlib.contextmanager
def running_little_registry(tags: Mapping[str, Path]) -> Iterator[str]:
    """Serves the one image of each layout under ``REPOSITORY:TAG``; gives ``127.0.0.1:PORT``."""
    with _Server(tags) as server:
        thread = threading.Thread(target=server.serve_forever, name="little-registry")
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def main() -> None:
    """Serves until it is ended; the one line that it prints is its address."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.parts.littleregistry",
        description="Serves the image of each OCI layout; to push, use Debian's docker-registry.",
    )
    parser.add_argument("images", nargs="+", metavar="REPOSITORY:TAG=DIR")
    images = (each.partition("=") for each in parser.parse_args().images)
    tags = {name: Path(folder) for name, _, folder in images}
    with running_little_registry(tags) as address:
        print(address, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
