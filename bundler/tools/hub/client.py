"""One repository of the hub: revisions, listings and bytes, through `huggingface_hub` 2.4.

It brings HF_TOKEN, HF_HUB_OFFLINE, proxies and SSL_CERT_FILE; session.py asks. Its own downloads
are not used: since 2.4 they give each attempt a new temporary file, so that nothing is left to
resume after a cut (docs/decisions/0026).
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import httpx2
from huggingface_hub import constants, hf_hub_url, logging
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import (
    build_hf_headers,
    fix_hf_endpoint_in_url,
    get_session,
    validate_repo_id,
)

from bundler import __version__
from bundler.core.digest import Digest
from bundler.core.errors import IntegrityError, SourceError, UsageError
from bundler.tools.http import is_loopback, pause
from bundler.tools.hub import HubFile
from bundler.tools.hub.errors import BROKEN, translated
from bundler.tools.hub.session import ATTEMPTS, open_stream, read_page

MAX_ENTRIES = 100_000
# Of a listing, in bytes: a page has a thousand entries of some hundred bytes each.
MAX_PAGE = 16 * 1024**2
MAX_LISTING = 64 * 1024**2
# The hub's CDN gives no more than 50 GB in one answer (`constants.MAX_HTTP_DOWNLOAD_SIZE`).
SPAN = 32 * 1024**3

_COMMIT = re.compile(r"[0-9a-f]{40}")
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
# The largest number that every reader of JSON knows (RFC 8259, 6).
_MAX_SIZE = 2**53 - 1


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
            _, body = read_page(url, self._headers(), MAX_PAGE, self.what)
            commit = json.loads(body)["sha"]
            if not _COMMIT.fullmatch(commit):
                raise ValueError(f"no commit: {commit!r}")
            return str(commit)

    def files(self, commit: str) -> tuple[HubFile, ...]:
        """Every file of `commit`, as the hub lists them: a thousand with each request."""
        url = f"{self.endpoint}/api/models/{self.name}/tree/{commit}?recursive=true"
        found: list[HubFile | None] = []
        asked: set[str] = set()
        left = MAX_LISTING
        with translated(self.what, self.endpoint, commit):
            while url:
                if url in asked:
                    raise SourceError(f"{self.what}: its listing goes on where it already was")
                asked.add(url)
                limit = min(MAX_PAGE, left)
                response, body = read_page(url, self._headers(), limit, self.what)
                left -= len(body)
                page = json.loads(body)
                found += [_file(item) if item["type"] == "file" else None for item in page]
                if len(found) > MAX_ENTRIES:
                    raise SourceError(f"{self.what}: has more than {MAX_ENTRIES} files and folders")
                url = self._next(url, response) if page else ""
        files = tuple(file for file in found if file)
        _check_sizes(files, self.what)
        return files

    def read(self, commit: str, path: str, offset: int, size: int) -> Iterator[bytes]:
        """The bytes of a file of `size` bytes from `offset` on, also after the connection broke.

        IntegrityError when the hub has another size for it, or gives more. What it gives is for the
        caller to hash; it may end early.
        """
        broken = 0
        while offset < size:
            before = offset
            try:
                for chunk in self._stream(commit, path, offset, size):
                    offset += len(chunk)
                    if offset > size:
                        raise _other_bytes(f"{self.what}: {path}", size, "more")
                    broken = 0
                    yield chunk
            except BROKEN as error:
                broken += 1
                if broken == ATTEMPTS:
                    with translated(f"{self.what}: {path}", self.endpoint, commit):
                        raise error
                time.sleep(pause(broken))
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
            with closing(open_stream(url, headers, what)) as response:
                unwanted = _check_answer(response, offset, size, what)
                for chunk in response.iter_bytes():
                    if len(chunk) > unwanted:
                        yield chunk[unwanted:]
                    unwanted = max(0, unwanted - len(chunk))

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
        host = parts.hostname if parts.scheme in ("http", "https") and parts.port != 0 else None
    except ValueError:
        host = None
    if not host:
        raise UsageError("HF_ENDPOINT: is no URL of a hub", "write https://HOST[:PORT][/PATH]")
    if parts.scheme == "http" and not is_loopback(host):
        raise UsageError(
            f"HF_ENDPOINT: {host} is to be asked by http, which everyone on the way can read",
            "write https://; http is for a hub on loopback",
        )
    return text.rstrip("/")


def _file(item: Any) -> HubFile:
    """One entry of a listing; ValueError, KeyError or TypeError when it is none."""
    lfs = item.get("lfs")
    size = lfs["size"] if lfs else item["size"]
    path, oid = item["path"], item["oid"]
    if not (isinstance(path, str) and type(size) is int and 0 <= size <= _MAX_SIZE):
        raise ValueError("no file's path and size")
    if not _COMMIT.fullmatch(oid):
        raise ValueError("no name of a git blob")
    try:
        return HubFile(path, size, oid, Digest.parse(f"sha256:{lfs['oid']}") if lfs else None)
    except IntegrityError as error:
        raise ValueError(error.message) from error


def _check_sizes(files: Sequence[HubFile], what: str) -> None:
    """SourceError when the same bytes are said to have two sizes."""
    sizes: dict[str, int] = {}
    for file in files:
        found = sizes.setdefault(str(file.sha256 or file.oid), file.size)
        if found != file.size:
            raise SourceError(
                f"{what}: {file.path}: the hub lists it with {file.size} bytes, "
                f"and the same content with {found}"
            )


def _other_bytes(what: str, size: int, found: str) -> IntegrityError:
    return IntegrityError(
        f"{what}: expected {size} bytes, found {found}",
        "its source gives other bytes than it promised",
    )


def _check_answer(response: httpx2.Response, offset: int, size: int, what: str) -> int:
    """How many bytes come before the wanted ones: a server may ignore a range."""
    if response.status_code != httpx2.codes.PARTIAL_CONTENT:
        begin, total = 0, response.headers.get("Content-Length", "*")
    else:
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        begin, total = (int(found[1]), found[2]) if found else (-1, "*")
        if begin != offset:
            raise SourceError(f"{what}: expected the bytes from {offset} on, found others")
    if total not in ("*", str(size)):
        raise _other_bytes(what, size, total)
    return offset - begin
