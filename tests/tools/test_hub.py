"""The hub's real client in our words, on a hub of our own."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable

import pytest
from huggingface_hub import constants

from bundler.core.errors import IntegrityError, SourceError, UsageError
from bundler.tools.hub import client, open_repo, session
from tests.parts.hub import Hub

DATA = bytes(range(256)) * 1024
TOKEN = "hf_never_shown"
OID = "0" * 40
FILE = {"type": "file", "path": "a", "size": 1, "oid": OID}
Refused = Callable[..., SourceError]


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody waits; what would have been waited, in seconds."""
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


@pytest.fixture
def commit(hub: Hub) -> str:
    """The commit of `org/tiny`."""
    repo = hub.add("org/tiny", {"config.json": b"{}", "w/model.safetensors": DATA})
    return repo.refs["main"]


def _get(commit: str, path: str = "w/model.safetensors", offset: int = 0) -> bytes:
    size = {"config.json": 2}.get(path, len(DATA))
    return b"".join(open_repo("org/tiny").read(commit, path, offset, size))


def _log_in(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.tokens[TOKEN] = "ada"
    monkeypatch.setenv("HF_TOKEN", TOKEN)


@pytest.mark.parametrize("revision", ["main", "v1.0", "refs/pr/1", "a branch#1"])
def test_a_revision_is_a_commit(revision: str, hub: Hub, commit: str) -> None:
    hub.repos["org/tiny"].refs[revision] = commit
    assert open_repo("org/tiny").resolve(revision) == commit


def test_a_commit_is_not_asked_for(hub: Hub, commit: str) -> None:
    assert open_repo("org/tiny").resolve(commit) == commit
    assert not hub.asked()


def test_the_listing_has_sizes_and_digests(hub: Hub, commit: str) -> None:
    held = hub.repos["org/tiny"].commits[commit]
    files = open_repo("org/tiny").files(commit)
    assert [(f.path, f.size, f.oid, f.sha256 and f.sha256.hex) for f in files] == [
        ("config.json", 2, held["config.json"].oid, None),
        ("w/model.safetensors", len(DATA), held["w/model.safetensors"].oid,
         held["w/model.safetensors"].sha256),
    ]  # fmt: skip


def test_a_long_listing_comes_in_pages(hub: Hub) -> None:
    repo = hub.add("org/many", {f"{n}.json": b"" for n in range(2000)})
    files = open_repo("org/many").files(repo.refs["main"])
    assert len({file.path for file in files}) == 2000
    assert len(hub.asked("/tree/")) == 2


def test_a_listing_without_end_is_refused(
    hub: Hub, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MAX_ENTRIES", 2)
    with pytest.raises(SourceError, match="has more than 2 files and folders"):
        open_repo("org/tiny").files(commit)


def test_an_empty_page_is_the_last(hub: Hub, commit: str) -> None:
    again = {"Link": f'<{hub.endpoint}/api/models/org/tiny/tree/{commit}>; rel="next"'}
    hub.fault("/tree/", status=200, headers=again, body=b"[]", times=99)
    assert open_repo("org/tiny").files(commit) == ()
    assert len(hub.asked()) == 1


def test_a_listing_that_is_cut_off_is_asked_for_again(
    hub: Hub, commit: str, waits: list[float]
) -> None:
    hub.fault("/tree/", cut=10)
    hub.fault("/revision/", cut=10)
    repo = open_repo("org/tiny")
    assert (repo.resolve("main"), len(repo.files(commit))) == (commit, 2)
    assert waits == [0.5, 0.5]


def test_a_listing_that_goes_on_elsewhere_is_refused(hub: Hub, commit: str) -> None:
    """It would get the token."""
    elsewhere = {"Link": f'<{hub.cdn}/api/models/org/tiny/tree/x?cursor=1>; rel="next"'}
    hub.fault("/tree/", status=200, headers=elsewhere, body=json.dumps([FILE]).encode())
    with pytest.raises(SourceError, match="its listing goes on at another host"):
        open_repo("org/tiny").files(commit)
    assert not hub.asked(cdn=True)


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>sign in</html>",
        b"[" * 100_000,
        json.dumps({"error": "no"}).encode(),
        json.dumps(["a"]).encode(),
        json.dumps([{"type": "file", "path": "a", "size": 1}]).encode(),
        json.dumps([FILE | {"size": -1}]).encode(),
        json.dumps([FILE | {"size": "1"}]).encode(),
        json.dumps([FILE | {"path": 1}]).encode(),
        json.dumps([FILE | {"oid": "../a"}]).encode(),
        json.dumps([FILE | {"lfs": {"oid": "x", "size": 1}}]).encode(),
    ],
    ids=["html", "deep", "object", "texts", "no oid", "size", "text", "path", "oid", "sha256"],
)
def test_what_is_no_listing_is_refused(answer: bytes, hub: Hub, commit: str) -> None:
    hub.fault("/tree/", status=200, body=answer)
    with pytest.raises(SourceError, match=r"127\.0\.0\.1:\d+ answers (as no|with something else)"):
        open_repo("org/tiny").files(commit)


@pytest.mark.parametrize("sha", [None, "main", 1])
def test_what_is_no_commit_is_refused(sha: object, hub: Hub) -> None:
    hub.fault("/revision/", status=200, body=json.dumps({"sha": sha}).encode())
    with pytest.raises(SourceError, match="answers with something else"):
        open_repo("org/tiny").resolve("main")


@pytest.mark.parametrize("path", ["w/model.safetensors", "config.json"])
def test_bytes_arrive_and_the_cdn_sees_no_token(
    path: str, hub: Hub, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _log_in(hub, monkeypatch)
    assert _get(commit, path) == {"config.json": b"{}"}.get(path, DATA)
    assert {asked.authorized for asked in hub.asked(cdn=False)} == {True}
    assert {asked.authorized for asked in hub.asked(cdn=True)} <= {False}


def test_reading_begins_where_it_is_told(hub: Hub, commit: str) -> None:
    assert _get(commit, offset=1000) == DATA[1000:]
    assert [(a.begin, a.sent) for a in hub.asked("/blobs/")] == [(1000, len(DATA) - 1000)]


def test_a_server_that_ignores_ranges_is_read_from_the_start(hub: Hub, commit: str) -> None:
    hub.fault("/blobs/", no_range=True)
    assert _get(commit, offset=1000) == DATA[1000:]


def test_a_cut_is_continued(hub: Hub, commit: str, waits: list[float]) -> None:
    hub.fault("/blobs/", cut=100_000)
    hub.fault("/blobs/", cut=70_000)
    assert _get(commit) == DATA
    assert [a.begin for a in hub.asked("/blobs/")] == [0, 70_000, 170_000]
    assert waits == [0.5, 0.5]


def test_a_connection_that_never_gives_anything_is_given_up(
    hub: Hub, commit: str, waits: list[float]
) -> None:
    hub.fault("/blobs/", cut=0, times=99)
    with pytest.raises(SourceError, match=r"hf://org/tiny: w/model\.safetensors: "):
        _get(commit)
    assert len(hub.asked("/blobs/")) == session.ATTEMPTS
    assert waits == [0.5, 1, 2, 4]


def test_one_answer_is_no_longer_than_the_cdn_allows(
    hub: Hub, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "SPAN", 100_000)
    assert _get(commit) == DATA
    assert [a.begin for a in hub.asked("/blobs/")] == [0, 100_000, 200_000]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("part", ["/revision/", "/tree/", "/resolve/"])
def test_who_is_told_to_wait_waits(
    part: str, status: int, hub: Hub, commit: str, waits: list[float]
) -> None:
    hub.fault(part, status=status, headers={"Retry-After": "7"})
    repo = open_repo("org/tiny")
    assert (repo.resolve("main"), len(repo.files(commit))) == (commit, 2)
    assert _get(commit) == DATA
    assert waits == [7.0]


def test_a_hub_that_stays_busy_is_given_up(hub: Hub, commit: str) -> None:
    hub.fault("/resolve/", status=503, times=99)
    with pytest.raises(SourceError, match=r"127\.0\.0\.1:\d+ answers 503"):
        _get(commit)


@pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1])
@pytest.mark.parametrize("offset", [0, 10])
def test_another_size_than_was_promised_is_refused(
    offset: int, size: int, hub: Hub, commit: str
) -> None:
    with pytest.raises(IntegrityError, match=f"expected {size} bytes, found {len(DATA)}"):
        list(open_repo("org/tiny").read(commit, "w/model.safetensors", offset, size))


@pytest.mark.parametrize(
    ("status", "headers", "problem"),
    [
        (200, {"Content-Encoding": "gzip"}, "found Content-Encoding 'gzip'"),
        (206, {"Content-Range": "bytes 9-14/262144"}, "expected the bytes from 10 on"),
        (206, {}, "expected the bytes from 10 on"),
    ],
)
def test_an_answer_to_something_else_is_refused(
    status: int, headers: dict[str, str], problem: str, hub: Hub, commit: str
) -> None:
    hub.fault("/blobs/", status=status, headers=headers)
    with pytest.raises(SourceError, match=problem):
        _get(commit, offset=10)


@pytest.fixture
def refused(hub: Hub, commit: str, monkeypatch: pytest.MonkeyPatch) -> Refused:
    """`refused(deed)`: the SourceError of resolving, listing or reading; it shows no token."""

    def error(deed: str = "read") -> SourceError:
        repo = open_repo("org/tiny")
        deeds: dict[str, Callable[[], object]] = {
            "resolve": lambda: repo.resolve("main"),
            "files": lambda: repo.files(commit),
            "read": lambda: _get(commit),
        }
        with pytest.raises(SourceError) as caught:
            deeds[deed]()
        assert TOKEN not in f"{caught.value.message} {caught.value.hint}"
        return caught.value

    return error


@pytest.mark.parametrize("deed", ["resolve", "files", "read"])
def test_a_private_model_is_for_who_may_read_it(
    deed: str, hub: Hub, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = hub.repos["org/tiny"]
    repo.private = True
    assert "there is no such model on 127.0.0.1" in (error := refused(deed)).message
    assert "no token is set" in error.message
    assert "HF_TOKEN" in str(error.hint)
    _log_in(hub, monkeypatch)
    assert "this token may not read it" in refused(deed).message
    repo.readers = frozenset({"ada"})
    assert _get(repo.refs["main"]) == DATA


def test_a_gated_model_is_for_who_was_granted_access(
    hub: Hub, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = hub.repos["org/tiny"]
    repo.gated = True
    assert "is only for those who were granted access, and no token" in refused().message
    _log_in(hub, monkeypatch)
    assert "which this token was not" in (error := refused()).message
    assert f"ask for access at {hub.endpoint}/org/tiny" in str(error.hint)
    repo.readers = frozenset({"ada"})
    assert _get(repo.refs["main"]) == DATA


@pytest.mark.parametrize("deed", ["resolve", "files", "read"])
def test_a_token_that_nobody_knows_is_refused(
    deed: str, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert "does not accept the token (401)" in refused(deed).message


@pytest.mark.parametrize("token", ["hf_näver", "hf_a\x0bb"])
def test_a_token_that_http_can_not_send_is_refused(
    token: str, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    error = refused()
    assert "HF_TOKEN" in error.message
    assert token not in error.message


def test_what_is_not_there_is_named(hub: Hub, commit: str) -> None:
    with pytest.raises(SourceError, match="there is no such model"):
        open_repo("org/none").resolve("main")
    with pytest.raises(SourceError, match="has no revision 'v9'"):
        open_repo("org/tiny").resolve("v9")
    with pytest.raises(SourceError, match=f"a.bin: is not there at commit {commit}"):
        _get(commit, "a.bin")


def test_a_forbidden_model_and_a_disabled_one_are_named(hub: Hub, refused: Refused) -> None:
    hub.fault("/resolve/", status=403, headers={"X-Error-Message": "no"})
    assert "the token may not read it (403)" in refused().message
    disabled = {"X-Error-Message": "Access to this resource is disabled."}
    hub.fault("/resolve/", status=403, headers=disabled)
    assert "the hub has disabled it" in refused().message


def test_offline_asks_nobody(hub: Hub, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in refused("files").message
    assert "HF_HUB_OFFLINE is set" in refused("read").message
    assert not hub.asked()


def test_a_hub_that_does_not_answer_is_given_up(
    hub: Hub, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "TIMEOUT", 0.1)
    fault = hub.fault("/blobs/", hold=0, times=99)
    assert "no answer in time" in refused().message
    assert fault.reached.is_set()


@pytest.mark.parametrize("deed", ["resolve", "files", "read"])
def test_a_hub_where_nobody_listens_is_named(
    deed: str, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://user:secret@127.0.0.1:1")
    error = refused(deed)
    assert ": 127.0.0.1:1: Connection refused" in error.message
    assert "HF_ENDPOINT" in str(error.hint)
    assert "secret" not in f"{error.message} {error.hint}"


@pytest.mark.parametrize(
    "endpoint", ["127.0.0.1:1", "http://[", "http://a:b", "ftp://a", "http://"]
)
def test_an_endpoint_that_is_none_is_refused(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(UsageError, match="HF_ENDPOINT: is no URL of a hub"):
        open_repo("org/tiny")


@pytest.mark.parametrize("name", ["a--b", "org/name.git", "org/.."])
def test_a_name_that_no_hub_has_is_refused(name: str, hub: Hub) -> None:
    with pytest.raises(SourceError, match="is no name of a model on the hub"):
        open_repo(name)
    assert not hub.asked()


def test_the_hub_is_told_of_nobody_else(
    hub: Hub, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", False)
    monkeypatch.setattr("huggingface_hub.utils._headers.detect_agent", lambda: "somebody")
    open_repo("org/tiny").resolve("main")
    _get(commit)
    for asked in hub.asked():
        names = {part.partition("/")[0] for part in asked.agent.split("; ")}
        assert names == {"airbundle", "hf_hub", "python"}


def test_without_the_client_there_is_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.delitem(sys.modules, "bundler.tools.hub.client")
    with pytest.raises(UsageError, match="hf://org/tiny: the hub's client is not") as caught:
        open_repo("org/tiny")
    assert caught.value.hint == "pip install '.[build]' in a clone, on the connected side"


def test_nothing_is_printed(hub: Hub, commit: str) -> None:
    """The client would tell what the hub warns of, in a way of its own."""
    told: list[logging.LogRecord] = []
    kept = logging.Handler()
    kept.emit = told.append  # type: ignore[assignment, method-assign]
    logger = logging.getLogger("huggingface_hub")
    logger.addHandler(kept)
    try:
        hub.fault("/blobs/", cut=10)
        hub.fault("/resolve/", status=503)
        assert _get(commit) == DATA
        hub.fault("/resolve/", status=404, headers={"X-HF-Warning": "topic; buy more"})
        with pytest.raises(SourceError):
            _get(commit)
    finally:
        logger.removeHandler(kept)
    assert not told
