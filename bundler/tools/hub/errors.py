"""The errors of the hub's client in our words, once and for all; none of them shows a token."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx2
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    OIDCError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from bundler.core.errors import BundlerError, SourceError
from bundler.tools.http import reason

# What may be over with the next attempt.
BROKEN = (httpx2.NetworkError, httpx2.TimeoutException, httpx2.RemoteProtocolError)

_TOKEN = "set HF_TOKEN to a token that may read it (hf auth login keeps one)"
_NETWORK = "check the network, HF_ENDPOINT, HTTPS_PROXY and NO_PROXY"
_AUTHORITY = "SSL_CERT_FILE names the file with the certificate of your authority"
# What an answer that is no hub's makes of code that expects one.
_UNREADABLE = (
    AttributeError,
    KeyError,
    RecursionError,
    TypeError,
    ValueError,
    httpx2.InvalidURL,
)

_Errors = tuple[type[BaseException], ...]


@contextmanager
def translated(what: str, endpoint: str, revision: str, passing: _Errors = ()) -> Iterator[None]:
    """SourceError for what goes wrong inside, but for the errors in `passing`."""
    host = _host(endpoint)
    try:
        yield
    except BundlerError:
        raise
    except passing:
        raise
    except OfflineModeIsEnabled as error:
        raise SourceError(
            f"{what}: is not in the store, and HF_HUB_OFFLINE is set",
            "unset it, or fill the store where there is a network",
        ) from error
    except HfHubHTTPError as error:
        raise _refused(what, endpoint, revision, error) from error
    except httpx2.HTTPError as error:
        raise _unreachable(what, host, error) from error
    except OIDCError as error:
        raise SourceError(f"{what}: no token could be had by HF_OIDC_RESOURCE", _TOKEN) from error
    except UnicodeEncodeError as error:
        raise SourceError(f"{what}: HF_TOKEN has characters that HTTP can't send") from error
    except json.JSONDecodeError as error:
        raise SourceError(f"{what}: {host} answers as no hub does", _NETWORK) from error
    except _UNREADABLE as error:
        raise SourceError(
            f"{what}: {host} answers with something else than a hub's listing ({error})", _NETWORK
        ) from error


def _refused(what: str, endpoint: str, revision: str, error: HfHubHTTPError) -> SourceError:
    response = error.response
    known = "authorization" in response.request.headers
    if isinstance(error, GatedRepoError):
        name = what.removeprefix("hf://").partition(":")[0]
        return SourceError(
            f"{what}: is only for those who were granted access, "
            f"{'which this token was not' if known else 'and no token is set'}",
            f"ask for access at {_shown(endpoint)}/{name}, then {_TOKEN}",
        )
    if isinstance(error, RepositoryNotFoundError):
        why = "this token may not read it" if known else "it is private, and no token is set"
        return SourceError(
            f"{what}: there is no such model on {_host(endpoint)}, or {why}",
            f"check the name; for a private model, {_TOKEN}",
        )
    if isinstance(error, RevisionNotFoundError):
        return SourceError(
            f"{what}: has no revision {revision!r}", "name a branch, a tag or a commit of it"
        )
    if isinstance(error, EntryNotFoundError):
        return SourceError(f"{what}: is not there at commit {revision}")
    if isinstance(error, DisabledRepoError):
        return SourceError(f"{what}: the hub has disabled it")
    status = response.status_code
    if status == httpx2.codes.UNAUTHORIZED:
        return SourceError(f"{what}: the hub does not accept the token (401)", _TOKEN)
    if status == httpx2.codes.FORBIDDEN:
        return SourceError(f"{what}: the token may not read it (403)", _TOKEN)
    return SourceError(f"{what}: {_host(endpoint)} answers {status}", "try again later")


def _unreachable(what: str, host: str, error: httpx2.HTTPError) -> SourceError:
    if isinstance(error, httpx2.LocalProtocolError):
        # Its words may hold the header, and so the token.
        return SourceError(f"{what}: a header that HTTP can't send: is HF_TOKEN a token?")
    if isinstance(error, httpx2.TimeoutException):
        return SourceError(f"{what}: {host}: no answer in time", _NETWORK)
    if isinstance(error, httpx2.ProxyError):
        return SourceError(f"{what}: the proxy on the way to {host}: {reason(error)}", _NETWORK)
    hint = _AUTHORITY if "CERTIFICATE_VERIFY_FAILED" in str(error) else _NETWORK
    return SourceError(f"{what}: {host}: {reason(error)}", hint)


def _shown(endpoint: str) -> str:
    """The endpoint without a user's name and password."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _host(endpoint: str) -> str:
    return urlsplit(endpoint).netloc.rpartition("@")[2] or endpoint
