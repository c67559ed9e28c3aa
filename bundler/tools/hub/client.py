"""One repository of the hub: revisions, listings and bytes, through `huggingface_hub` 2.4.

Its session brings HF_TOKEN, HF_HUB_OFFLINE, proxies and SSL_CERT_FILE, and its backoff waits as
the hub asks (429, 5xx). Its own downloads are not used: since 2.4 they give each attempt a new
temporary file, so that nothing is left to resume after a cut (docs/decisions/0026).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import httpx2
from huggingface_hub import constants, hf_hub_url, logging
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import (
    build_hf_headers,
    fix_hf_endpoint_in_url,
    get_session,
    hf_raise_for_status,
    http_backoff,
    http_stream_backoff,
    validate_repo_id,
)

from bundler import __version__
from bundler.core.digest import Digest
from bundler.core.errors import IntegrityError, SourceError, UsageError
from bundler.tools.hub import HubFile
from bundler.tools.hub.errors import BROKEN, translated

ATTEMPTS = 5
MAX_ENTRIES = 100_000
TIMEOUT = httpx2.Timeout(connect=10.0, read=60.0, write=60.0, pool=60.0)
# The hub's CDN gives no more than 50 GB in one answer (`constants.MAX_HTTP_DOWNLOAD_SIZE`).
SPAN = 32 * 1024**3

# A connection that broke after it stood: an answer is asked for again.
_RESETS = (httpx2.ReadError, httpx2.WriteError, httpx2.CloseError, httpx2.RemoteProtocolError)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_LONGEST_PAUSE = 60.0


class Repo:
    """The model `name`; every method raises SourceError when the hub can't, or won't, give it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.endpoint = _endpoint(os.environ.get("HF_ENDPOINT") or constants.ENDPOINT)
        # It would tell the hub which other libraries and programs are around.
        constants.HF_HUB_DISABLE_TELEMETRY = True
        logging.set_verbosity(logging.ERROR)
        try:
            validate_repo_id(name)
            get_session()
        except HFValidationError as error:
            raise SourceError(
                f"hf://{name}: is no name of a model on the hub", "write hf://ORG/NAME"
            ) from error
        except (ImportError, OSError, ValueError, httpx2.InvalidURL) as error:
            # The words of some of these hold the proxy's password.
            raise UsageError(
                f"hf://{name}: the hub's client can't be made with these proxies and certificates "
                f"({type(error).__name__})",
                "look at HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY and SSL_CERT_FILE",
            ) from error

    @property
    def what(self) -> str:
        """What to call it in a message."""
        return f"hf://{self.name}"

    def resolve(self, revision: str) -> str:
        """The commit that a branch, a tag or a commit's own (perhaps short) name means now."""
        if _COMMIT.fullmatch(revision):
            return revision
        url = f"{self.endpoint}/api/models/{self.name}/revision/{quote(revision, safe='')}"
        with translated(self.what, self.endpoint, revision):
            commit = self._get(url).json()["sha"]
            if not _COMMIT.fullmatch(commit):
                raise ValueError(f"no commit: {commit!r}")
            return str(commit)

    def files(self, commit: str) -> tuple[HubFile, ...]:
        """Every file of `commit`, as the hub lists them: a thousand with each request."""
        url = f"{self.endpoint}/api/models/{self.name}/tree/{commit}?recursive=true"
        found: list[HubFile | None] = []
        with translated(self.what, self.endpoint, commit):
            while url:
                response = self._get(url)
                page = response.json()
                found += [_file(item) if item["type"] == "file" else None for item in page]
                if len(found) > MAX_ENTRIES:
                    raise SourceError(f"{self.what}: has more than {MAX_ENTRIES} files and folders")
                url = self._next(url, response) if page else ""
        return tuple(file for file in found if file)

    def read(self, commit: str, path: str, offset: int, size: int) -> Iterator[bytes]:
        """The bytes of a file of `size` bytes from `offset` on, also after the connection broke.

        IntegrityError when the hub has another size for it. What it gives is for the caller to
        hash; it may end early.
        """
        broken = 0
        while offset < size:
            before = offset
            try:
                for chunk in self._stream(commit, path, offset, size):
                    offset += len(chunk)
                    broken = 0
                    yield chunk
            except BROKEN as error:
                broken += 1
                if broken == ATTEMPTS:
                    with translated(f"{self.what}: {path}", self.endpoint, commit):
                        raise error
                time.sleep(min(0.5 * 2 ** (broken - 1), _LONGEST_PAUSE))
            else:
                if offset == before:
                    return

    def _stream(self, commit: str, path: str, offset: int, size: int) -> Iterator[bytes]:
        what = f"{self.what}: {path}"
        url = hf_hub_url(self.name, path, revision=commit, endpoint=self.endpoint)
        end = min(size, offset + SPAN)
        with translated(what, self.endpoint, commit, passing=BROKEN):
            headers = self._headers()
            if (offset, end) != (0, size):
                headers["Range"] = f"bytes={offset}-{end - 1}"
            with http_stream_backoff(
                "GET", url, headers=headers, timeout=TIMEOUT, retry_on_exceptions=()
            ) as response:
                hf_raise_for_status(response)
                unwanted = _check_answer(response, offset, size, what)
                for chunk in response.iter_bytes():
                    if len(chunk) > unwanted:
                        yield chunk[unwanted:]
                    unwanted = max(0, unwanted - len(chunk))

    def _get(self, url: str) -> httpx2.Response:
        headers = self._headers()
        response = http_backoff(
            "GET", url, headers=headers, timeout=TIMEOUT, retry_on_exceptions=_RESETS
        )
        hf_raise_for_status(response)
        return response

    def _headers(self) -> dict[str, str]:
        """A token goes to the endpoint alone: the session takes it off when it is redirected."""
        found = build_hf_headers(library_name="airbundle", library_version=__version__)
        # What is packed has no length to compare, and no range to ask for.
        return {**found, "Accept-Encoding": "identity"}

    def _next(self, url: str, response: httpx2.Response) -> str:
        link = response.links.get("next", {}).get("url", "")
        if not link:
            return ""
        found = fix_hf_endpoint_in_url(urljoin(url, link), self.endpoint)
        if urlsplit(found)[:2] != urlsplit(self.endpoint)[:2]:
            raise SourceError(f"{self.what}: its listing goes on at another host than it began")
        return found


def _endpoint(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise UsageError("HF_ENDPOINT: is no URL of a hub", "write https://HOST[:PORT][/PATH]")
    return text.rstrip("/")


def _file(item: Any) -> HubFile:
    """One entry of a listing; ValueError, KeyError or TypeError when it is none."""
    lfs = item.get("lfs")
    size = lfs["size"] if lfs else item["size"]
    path, oid = item["path"], item["oid"]
    if not (isinstance(path, str) and type(size) is int and size >= 0):
        raise ValueError("no file's path and size")
    if not _COMMIT.fullmatch(oid):
        raise ValueError("no name of a git blob")
    try:
        return HubFile(path, size, oid, Digest.parse(f"sha256:{lfs['oid']}") if lfs else None)
    except IntegrityError as error:
        raise ValueError(error.message) from error


def _check_answer(response: httpx2.Response, offset: int, size: int, what: str) -> int:
    """How many bytes come before the wanted ones: a server may ignore a range."""
    if (packed := response.headers.get("Content-Encoding", "identity")) != "identity":
        raise SourceError(f"{what}: expected plain bytes, found Content-Encoding {packed[:100]!r}")
    if response.status_code != httpx2.codes.PARTIAL_CONTENT:
        begin, total = 0, response.headers.get("Content-Length", "*")
    else:
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        begin, total = (int(found[1]), found[2]) if found else (-1, "*")
        if begin != offset:
            raise SourceError(f"{what}: expected the bytes from {offset} on, found others")
    if total not in ("*", str(size)):
        raise IntegrityError(
            f"{what}: expected {size} bytes, found {total}",
            "its source gives other bytes than it promised",
        )
    return offset - begin
