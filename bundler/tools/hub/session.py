"""GETs by the session of the hub's client: bounded, patient for a time, sent on with care.

The client's own backoff reads answers of any length, unpacks them, and sleeps as long as it is
told. Here a page has a limit, what is packed is refused, and of errors and redirects only the
headers count. Only https leaves this machine; a hub on loopback is asked without a proxy.
"""

from __future__ import annotations

import time
from contextlib import closing

import httpx2
from huggingface_hub import constants, set_client_factory
from huggingface_hub.errors import OfflineModeIsEnabled
from huggingface_hub.utils import get_session, hf_raise_for_status, parse_ratelimit_headers

from bundler.core.errors import SourceError
from bundler.tools.http import is_loopback, pause

ATTEMPTS = 5
TIMEOUT = httpx2.Timeout(connect=10.0, read=60.0, write=60.0, pool=60.0)

_TEMPORARY = frozenset({408, 429, 500, 502, 503, 504})
# A connection that broke after it stood: an answer is asked for again.
_RESETS = (httpx2.ReadError, httpx2.WriteError, httpx2.CloseError, httpx2.RemoteProtocolError)
_MAX_REDIRECTS = 5
# Read to its end, the body of a redirect leaves a connection that can be used again.
_WORTH_READING = 64 * 1024


def read_page(
    url: str, headers: dict[str, str], limit: int, what: str
) -> tuple[httpx2.Response, bytes]:
    """The answer and its body, which is refused above `limit` bytes; again if it was cut off."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with closing(open_stream(url, headers, what)) as response:
                return response, _body(response, limit, what)
        except _RESETS:
            if attempt == ATTEMPTS:
                raise
            time.sleep(pause(attempt))
    raise AssertionError("the last attempt returns or raises")


def open_stream(url: str, headers: dict[str, str], what: str) -> httpx2.Response:
    """The answer of a hub that has what was asked for, not packed; the caller reads and closes it.

    HfHubHTTPError for any other status, after ATTEMPTS of those that pass; SourceError for what is
    packed and for a redirect that is not followed.
    """
    for attempt in range(1, ATTEMPTS + 1):
        response = _follow(url, headers, what)
        packed = response.headers.get("Content-Encoding", "identity")
        if response.is_success and packed == "identity":
            return response
        response.close()
        if response.is_success:
            raise SourceError(
                f"{what}: expected plain bytes, found Content-Encoding {packed[:100]!r}"
            )
        if response.status_code not in _TEMPORARY or attempt == ATTEMPTS:
            break
        time.sleep(_pause(attempt, response))
    # Without its body: what we say of an error is in status and headers.
    response.headers.pop("Content-Encoding", None)
    hf_raise_for_status(
        httpx2.Response(response.status_code, headers=response.headers, request=response.request)
    )
    raise AssertionError("what is no success is an error")


def _follow(url: str, headers: dict[str, str], what: str) -> httpx2.Response:
    """The answer in the end; a token stays with the host that it was meant for (httpx2)."""
    session = get_session()
    request = session.build_request("GET", url, headers=headers, timeout=TIMEOUT)
    for _ in range(1 + _MAX_REDIRECTS):
        response = session.send(request, stream=True, follow_redirects=False)
        if not response.has_redirect_location:
            return response
        with closing(response):
            _drain(response)
        onward = response.next_request
        if onward is None:
            raise SourceError(f"{what}: the hub sends us on to what is no URL")
        here = request.url.scheme == onward.url.scheme == "http" and is_loopback(onward.url.host)
        if onward.url.scheme != "https" and not here:
            raise SourceError(
                f"{what}: the hub sends us on to {onward.url.scheme}://{onward.url.host}, "
                "expected https"
            )
        request = onward
    raise SourceError(f"{what}: the hub sends us on more than {_MAX_REDIRECTS} times")


def _drain(response: httpx2.Response) -> None:
    seen = 0
    for chunk in response.iter_raw():
        seen += len(chunk)
        if seen > _WORTH_READING:
            return


def _body(response: httpx2.Response, limit: int, what: str) -> bytes:
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > limit:
            raise SourceError(f"{what}: the hub's listing goes on after {limit} bytes")
    return bytes(body)


def _pause(attempt: int, response: httpx2.Response) -> float:
    """Seconds to wait: as the hub asks, up to what every server may ask for."""
    limit = parse_ratelimit_headers(response.headers)
    if response.status_code == httpx2.codes.TOO_MANY_REQUESTS and limit and not limit.remaining:
        return pause(attempt, {"retry-after": str(limit.reset_in_seconds)})
    return pause(attempt, response.headers)


def _require_online(request: httpx2.Request) -> None:
    if constants.is_offline_mode():
        raise OfflineModeIsEnabled(f"{request.url.host} is not asked")


def _session() -> httpx2.Client:
    """As the hub's client makes it, which logs in with it; http, on loopback, has no proxy."""
    return httpx2.Client(
        event_hooks={"request": [_require_online]},
        follow_redirects=True,
        timeout=TIMEOUT,
        mounts={"http://": None},
    )


set_client_factory(_session)
