"""One file over HTTP in pieces, which goes on where the connection broke (RFC 9110, 14)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import httpcore
import httpx

from bundler.core.errors import IntegrityError
from bundler.tools.http import ATTEMPTS, BREAKS, TEMPORARY, TIMEOUT, Answer, Session, pause

_PIECE = 1024**2
_CONTENT_RANGE = re.compile(r"bytes (?:(\d{1,19})-\d{1,19}|\*)/(\d{1,19}|\*)")
_STALLS = (*BREAKS, httpx.ReadTimeout, httpcore.ReadError, httpcore.ReadTimeout)
# Once bytes have come, a server that is away for a moment may come back.
_AWAY = (*_STALLS, httpx.ConnectError, httpx.ConnectTimeout)

Refuse = Callable[[Answer], None]


def download(
    session: Session,
    path: str,
    login: httpx.Auth | None,
    what: str,
    wanted: range,
    refuse: Refuse,
) -> Iterator[bytes]:
    """The bytes `wanted` of the file at `path`, which has `wanted.stop` of them.

    After ATTEMPTS in a row that brought not one byte it fails. `refuse` raises the error for an
    answer without content; IntegrityError when the file, `what`, has another length.
    """
    at, failures = wanted.start, 0
    while at < wanted.stop:
        before, answer = at, None
        broke: Exception = EOFError(f"it ended before byte {wanted.stop}")
        try:
            headers = {"Range": f"bytes={at}-"} if at else {}
            lets_through = _AWAY if at > wanted.start else _STALLS
            with session.stream(path, headers, login, lets_through) as response:
                if response.status_code in (200, 206):
                    skip = _skip(response, at, wanted.stop, session, what)
                    for chunk in _rest(response, skip):
                        at += len(chunk)
                        if at > wanted.stop:
                            raise _length(session, what, wanted.stop, "more")
                        yield chunk
                else:
                    # First: docker-registry's 416 has fewer bytes than it says.
                    _check_total(response.headers, wanted.stop, session, what)
                    answer = session.whole(response)
        except _AWAY as error:
            broke = error
        failures = 1 if at > before else failures + 1
        if answer is not None and (answer.status not in TEMPORARY or failures == ATTEMPTS):
            refuse(answer)
        if failures == ATTEMPTS:
            raise session.broken(broke, failures) from broke
        if at < wanted.stop:
            session.sleep(pause(failures, answer.headers if answer else None))


def _rest(response: httpx.Response, skip: int) -> Iterator[bytes]:
    """What arrives after the first `skip` bytes, as it arrives, packed or not."""
    for chunk in _pieces(response):
        if skip < len(chunk):
            yield chunk[skip:] if skip else chunk
        skip = max(0, skip - len(chunk))


def _pieces(response: httpx.Response) -> Iterator[bytes]:
    """What arrives, in pieces of _PIECE at most.

    httpcore takes 64 KiB at a time through a parser, which costs more than to hash them. So it
    gets no more than the first, which it hands on whole; the others come from the connection
    itself, which is used up by that.
    """
    pieces = response.iter_raw()
    first = next(pieces, b"")
    yield first
    left = int(response.headers.get("content-length", 0)) - len(first)
    stream = response.extensions.get("network_stream")
    if stream is None or left < _PIECE or "transfer-encoding" in response.headers:
        yield from pieces
        return
    while left and (piece := stream.read(min(left, _PIECE), TIMEOUT.read)):
        left -= len(piece)
        yield piece


def _skip(response: httpx.Response, at: int, size: int, session: Session, what: str) -> int:
    """How many bytes that are here already come again: none, or all of them by a plain 200."""
    if response.status_code == httpx.codes.OK:
        found = response.headers.get("content-length", str(size))
        if found != str(size):
            raise _length(session, what, size, found[:30])
        return at
    _check_total(response.headers, size, session, what)
    said = response.headers.get("content-range", "")
    place = _CONTENT_RANGE.fullmatch(said)
    if not place or place[1] is None or int(place[1]) != at:
        raise session.error(
            f"{session.what}: {what}: expected the bytes from {at} on, found {said[:60]!r}"
        )
    return 0


def _check_total(headers: Mapping[str, str], size: int, session: Session, what: str) -> None:
    place = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
    if place and place[2] not in ("*", str(size)):
        raise _length(session, what, size, place[2])


def _length(session: Session, what: str, size: int, found: str) -> IntegrityError:
    return IntegrityError(f"{session.what}: {what}: expected {size} bytes, found {found}")
