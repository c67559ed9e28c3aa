"""How long a server may take over an answer that is read at once."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from bundler.core.errors import SourceError, UsageError
from bundler.tools.http import Session, connect_api
from bundler.tools.tls import api_context


class _Drip(httpx.SyncByteStream):
    """A byte a second, by a clock that this sets."""

    def __init__(self, size: int, clock: pytest.MonkeyPatch) -> None:
        self._size = size
        self._clock = clock

    def __iter__(self) -> Iterator[bytes]:
        for second in range(self._size):
            self._clock.setattr(time, "monotonic", lambda now=1000.0 + second: now)
            yield b" "


def dripping(size: int, clock: pytest.MonkeyPatch) -> Session:
    clock.setattr(time, "monotonic", lambda: 1000.0)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=_Drip(size, clock)))
    client = httpx.Client(transport=transport, base_url="http://127.0.0.1")
    return Session(client, "registry r", SourceError, "", patience=60.0)


def test_an_answer_has_to_be_whole_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(dripping(60, monkeypatch).send("GET", "/").body) == 60
    with pytest.raises(SourceError, match="registry r: an answer is not whole after 60 s"):
        dripping(600, monkeypatch).send("GET", "/")


def test_a_login_that_is_no_ascii_is_no_trouble_with_a_proxy() -> None:
    context = api_context(None, None, None)
    headers = [("Authorization", "Bearer \N{RIGHT DOUBLE QUOTATION MARK}hunter2")]
    with pytest.raises(UsageError, match=r"the login, .* expected ASCII characters") as caught:
        connect_api("https://127.0.0.1:1", context, None, headers)
    assert "hunter2" not in caught.value.message
