"""A hub that means harm, or somebody who plays it: what it may take of time, memory and trust."""

from __future__ import annotations

import json
import tracemalloc
import zlib

import pytest
from huggingface_hub import close_session

from bundler.core.errors import IntegrityError, SourceError, UsageError
from bundler.tools.hub import client, open_repo
from tests.parts.hub import Hub

DATA = bytes(range(256)) * 1024
FILE = {"type": "file", "path": "a", "size": 1, "oid": "0" * 40}
LARGE = FILE | {"lfs": {"oid": "1" * 64, "size": 1}}


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody waits; what would have been waited, in seconds."""
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


@pytest.fixture
def commit(hub: Hub) -> str:
    """The commit of `org/tiny`."""
    return hub.add("org/tiny", {"config.json": b"{}", "w.safetensors": DATA}).refs["main"]


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)


def _read(commit: str, path: str, size: int) -> bytes:
    return b"".join(open_repo("org/tiny").read(commit, path, 0, size))


@pytest.mark.parametrize("endpoint", ["http://hub.test", "http://10.0.0.1:8080/hub", "HTTP://hub"])
def test_a_hub_elsewhere_is_not_asked_by_http(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everyone on the way would read the token."""
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(UsageError, match=r"HF_ENDPOINT: .* is to be asked by http") as caught:
        open_repo("org/tiny")
    assert "https://" in str(caught.value.hint)


def test_a_hub_on_loopback_is_asked_without_a_proxy(
    hub: Hub, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    close_session()
    assert open_repo("org/tiny").resolve("main") == commit
    assert _read(commit, "w.safetensors", len(DATA)) == DATA


@pytest.mark.parametrize("place", ["http://hub.test/x", "ftp://127.0.0.1/x", "https://a:b"])
def test_nobody_is_followed_to_where_everyone_reads(place: str, hub: Hub, commit: str) -> None:
    hub.fault("/resolve/", status=302, headers={"Location": place})
    with pytest.raises(SourceError, match=r"w\.safetensors: the hub sends us on to"):
        _read(commit, "w.safetensors", len(DATA))


def test_redirects_without_end_are_refused(hub: Hub, commit: str) -> None:
    hub.fault("/tree/", status=302, headers={"Location": "/api/models/x/tree/x"}, times=99)
    with pytest.raises(SourceError, match="the hub sends us on more than 5 times"):
        open_repo("org/tiny").files(commit)
    assert len(hub.asked()) == 6


@pytest.mark.parametrize("body", [b"x", b"x" * 300_000], ids=["short", "long"])
def test_what_a_redirect_says_is_nobodys_business(body: bytes, hub: Hub, commit: str) -> None:
    """Neither unpacked nor kept."""
    (name,) = (path for path in hub.repos["org/tiny"].commits[commit] if path.startswith("w"))
    onward = {"Location": f"{hub.cdn}/blobs/org/tiny/{commit}/{name}", "Content-Encoding": "gzip"}
    hub.fault("/resolve/", status=302, headers=onward, body=body)
    assert _read(commit, name, len(DATA)) == DATA


@pytest.mark.parametrize("place", ["/resolve/", "/tree/", "/revision/"])
def test_what_an_error_says_is_not_read(place: str, hub: Hub, commit: str) -> None:
    """It may be packed, and without an end."""
    endless = {"Content-Encoding": "gzip", "Content-Length": str(10**12)}
    hub.fault(place, status=403, headers=endless, body=b"no gzip", cut=7)
    repo = open_repo("org/tiny")
    with pytest.raises(SourceError, match=r"the token may not read it \(403\)"):
        (repo.resolve("main"), repo.files(commit), _read(commit, "config.json", 2))


@pytest.mark.parametrize("path", ["config.json", "w.safetensors"])
def test_who_gives_more_than_was_promised_is_stopped(path: str, hub: Hub, commit: str) -> None:
    endless = {"Transfer-Encoding": "chunked", "Content-Length": "70000"}
    hub.fault("/resolve/", status=200, headers=endless, body=_chunked(DATA * 4))
    taken = bytearray()
    chunks = open_repo("org/tiny").read(commit, path, 0, 70_000)
    with pytest.raises(IntegrityError, match=f"{path}: expected 70000 bytes, found more"):
        taken.extend(each for chunk in chunks for each in chunk)
    assert len(taken) <= 70_000


@pytest.mark.parametrize("place", ["/revision/", "/tree/"])
def test_a_packed_listing_is_not_unpacked(place: str, hub: Hub, commit: str) -> None:
    bomb = zlib.compress(b"[" + b" " * 64 * 1024**2 + b"]", wbits=31)
    hub.fault(place, status=200, headers={"Content-Encoding": "gzip"}, body=bomb)
    repo = open_repo("org/tiny")
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match="expected plain bytes, found Content-Encoding"):
            (repo.resolve("main"), repo.files(commit))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * 1024**2


@pytest.mark.parametrize("place", ["/revision/", "/tree/"])
def test_a_page_has_a_limit(
    place: str, hub: Hub, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MAX_PAGE", 10_000)
    body = _chunked(b"[" + b" " * 10_000 + b"]")
    hub.fault(place, status=200, headers={"Transfer-Encoding": "chunked"}, body=body)
    repo = open_repo("org/tiny")
    with pytest.raises(SourceError, match="goes on after 10000 bytes"):
        (repo.resolve("main"), repo.files(commit))


def test_all_pages_together_have_a_limit(
    hub: Hub, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (len(json.dumps(hub.repos["org/tiny"].tree(commit)[n : n + 1])) for n in (0, 1))
    hub.page = 1
    monkeypatch.setattr(client, "MAX_LISTING", first + second)
    assert len(open_repo("org/tiny").files(commit)) == 2
    monkeypatch.setattr(client, "MAX_LISTING", first + second - 1)
    with pytest.raises(SourceError, match=f"goes on after {second - 1} bytes"):
        open_repo("org/tiny").files(commit)


def test_a_listing_that_goes_in_circles_is_refused(hub: Hub, commit: str) -> None:
    again = {"Link": f"</api/models/org/tiny/tree/{commit}?recursive=true>; rel=next"}
    hub.fault("/tree/", status=200, headers=again, body=json.dumps([FILE]).encode(), times=99)
    with pytest.raises(SourceError, match="its listing goes on where it already was"):
        open_repo("org/tiny").files(commit)
    assert len(hub.asked()) == 1


@pytest.mark.parametrize(
    "entry", [FILE | {"size": 2**53}, FILE | {"lfs": {"oid": "1" * 64, "size": 10**30}}]
)
def test_a_size_that_no_file_has_is_refused(
    entry: dict[str, object], hub: Hub, commit: str
) -> None:
    hub.fault("/tree/", status=200, body=json.dumps([entry]).encode())
    with pytest.raises(SourceError, match="something else than a hub's listing"):
        open_repo("org/tiny").files(commit)


@pytest.mark.parametrize("entry", [FILE, LARGE])
def test_one_content_has_one_size(entry: dict[str, object], hub: Hub, commit: str) -> None:
    other = entry | {"path": "b", "size": 2}
    if "lfs" in entry:
        other |= {"lfs": {"oid": "1" * 64, "size": 2}, "oid": "2" * 40}
    hub.fault("/tree/", status=200, body=json.dumps([entry, other]).encode())
    with pytest.raises(SourceError, match=r"b: the hub lists it with 2 bytes, and the same .* 1"):
        open_repo("org/tiny").files(commit)


@pytest.mark.parametrize(
    "asked",
    [
        {"Retry-After": "31536000"},
        {"Retry-After": "9" * 5000},
        {"ratelimit": '"api";r=0;t=31536000'},
        {"ratelimit": f'"api";r=0;t={"9" * 4000}'},
    ],
    ids=["year", "longer", "limit", "longer limit"],
)
def test_nobody_waits_longer_than_a_minute(
    asked: dict[str, str], hub: Hub, commit: str, waits: list[float]
) -> None:
    hub.fault("/revision/", status=429, headers=asked)
    assert open_repo("org/tiny").resolve("main") == commit
    assert waits == [60]


def test_a_date_that_no_calendar_has_is_no_pause(hub: Hub, commit: str, waits: list[float]) -> None:
    never = {"Retry-After": "Wed, 21 Oct 99999999999999999999 07:28:00 +0000"}
    hub.fault("/revision/", status=429, headers=never)
    assert open_repo("org/tiny").resolve("main") == commit
    assert waits == [0.5]
