"""The registry client against a server that answers as a test wants it."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

import httpx
import pytest

from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError, SourceError, UsageError
from bundler.tools import http
from bundler.tools.http import ATTEMPTS, is_loopback
from bundler.tools.registry import RegistryDestination, site
from bundler.tools.registry.destination import _Counted

DATA = b"weights" * 1000
BLOB = Descriptor.of("application/vnd.oci.image.layer.v1.tar", DATA)
MONDAY = "Mon, 01 Jan 2024 00:00:00 GMT"
SECRET = "hunter2"
UPLOAD = f"/v2/p/x/blobs/uploads/1?_state={SECRET}%3D"


@dataclass
class Server:
    """Answers requests with `answers`, in order, and remembers them; bodies are read whole."""

    answers: list[httpx.Response | Exception]
    requests: list[httpx.Request] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def asked(self) -> list[tuple[str, str]]:
        return [(request.method, request.url.path) for request in self.requests]


Connect = Callable[..., tuple[RegistryDestination, Server]]


@pytest.fixture(name="connect")
def connecting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    with ExitStack() as stack:

        def connect(
            *answers: httpx.Response | Exception, address: str = "127.0.0.1:5000/p"
        ) -> tuple[RegistryDestination, Server]:
            server = Server(list(answers))
            monkeypatch.setattr(
                site,
                "connect",
                lambda base, **_: httpx.Client(
                    base_url=base, transport=httpx.MockTransport(server)
                ),
            )
            destination = RegistryDestination(address, server.pauses.append)
            return stack.enter_context(closing(destination)), server

        yield connect


def answer(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers={k.replace("_", "-"): v for k, v in headers.items()})


def accepted() -> httpx.Response:
    return answer(202, location=UPLOAD)


class Again:
    """Chunks that can be read again."""

    def __iter__(self) -> Iterator[bytes]:
        yield DATA


def test_a_blob_is_one_post_and_one_put_with_its_length(connect: Connect) -> None:
    destination, server = connect(accepted(), answer(201, docker_content_digest=str(BLOB.digest)))
    destination.put_blob("x", BLOB, iter([DATA[:10], DATA[10:]]))
    assert server.asked() == [
        ("POST", "/v2/p/x/blobs/uploads/"),
        ("PUT", "/v2/p/x/blobs/uploads/1"),
    ]
    put = server.requests[1]
    assert put.headers["content-length"] == str(len(DATA))
    assert "transfer-encoding" not in put.headers
    assert put.url.query.decode() == f"_state={SECRET}%3D&digest={BLOB.digest}"
    assert put.content == DATA


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_is_declared_temporary_is_tried_again(connect: Connect, status: int) -> None:
    destination, server = connect(answer(status, retry_after="7"), answer(404))
    assert not destination.has_blob("x", BLOB)
    assert server.pauses == [7.0]


def test_a_temporary_failure_does_not_last_for_ever(connect: Connect) -> None:
    destination, server = connect(*[answer(503) for _ in range(ATTEMPTS)])
    with pytest.raises(SourceError, match="answered 503"):
        destination.has_blob("x", BLOB)
    assert server.pauses == [0.5, 1.0, 2.0, 4.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 500, 501])
def test_nothing_else_is_tried_again(connect: Connect, status: int) -> None:
    destination, server = connect(answer(status))
    with pytest.raises(SourceError):
        destination.put_blob("x", BLOB, Again())
    assert server.pauses == []


@pytest.mark.parametrize(
    ("asked", "waited"), [("100000", 60.0), ("Fri, 31 Dec 1999 23:59:59 GMT", 0.5)]
)
def test_a_pause_is_bounded_and_needs_no_clock(connect: Connect, asked: str, waited: float) -> None:
    destination, server = connect(answer(429, retry_after=asked), answer(404))
    assert not destination.has_blob("x", BLOB)
    assert server.pauses == [waited]


@pytest.mark.parametrize(
    "asked",
    [
        "soon",
        "Mon, 01 Jan 99999999999 00:00:00 GMT",
        "Mon, 01 Jan 2024 00:00:00 +99999999999999999999",
    ],
)
@pytest.mark.parametrize("which", ["retry_after", "date"])
def test_a_date_that_is_none_asks_for_nothing(connect: Connect, asked: str, which: str) -> None:
    dates = {"retry_after": MONDAY, "date": MONDAY, which: asked}
    destination, server = connect(answer(429, **dates), answer(404))
    assert not destination.has_blob("x", BLOB)
    assert server.pauses == [0.5]


def test_after_a_broken_upload_the_registry_is_asked_first(connect: Connect) -> None:
    destination, server = connect(accepted(), httpx.WriteError("reset"), answer(200))
    destination.put_blob("x", BLOB, Again())
    assert [method for method, _ in server.asked()] == ["POST", "PUT", "HEAD"]


def test_a_broken_upload_begins_anew_when_the_blob_is_not_there(connect: Connect) -> None:
    destination, server = connect(accepted(), answer(503), answer(404), accepted(), answer(201))
    destination.put_blob("x", BLOB, Again())
    assert [method for method, _ in server.asked()] == ["POST", "PUT", "HEAD", "POST", "PUT"]
    assert server.requests[-1].content == DATA


def test_chunks_that_are_gone_are_not_sent_again(connect: Connect) -> None:
    destination, server = connect(accepted(), httpx.WriteError("reset"))
    with pytest.raises(SourceError, match="connection broke, attempt 1 of 1"):
        destination.put_blob("x", BLOB, iter([DATA]))
    assert server.pauses == []


def test_an_unreachable_registry_is_named_once(connect: Connect) -> None:
    destination, server = connect(httpx.ConnectError("refused"))
    with pytest.raises(SourceError, match=r"registry 127\.0\.0\.1:5000: refused") as caught:
        destination.has_blob("x", BLOB)
    assert "reachable" in str(caught.value.hint)
    assert server.pauses == []


@pytest.mark.parametrize(
    "challenge", ['Basic realm="x"', "Negotiate", "", 'Bearer realm="https://a/token"']
)
def test_a_registry_that_wants_a_login_is_refused_in_so_many_words(
    connect: Connect, challenge: str
) -> None:
    destination, _ = connect(answer(401, www_authenticate=challenge), answer(401))
    with pytest.raises(SourceError, match="wants a login") as caught:
        destination.has_blob("x", BLOB)
    assert "`docker login 127.0.0.1:5000`" in str(caught.value.hint)


def test_another_digest_than_was_sent_is_refused(connect: Connect) -> None:
    other = str(Digest.of(b"other"))
    destination, _ = connect(accepted(), answer(201, docker_content_digest=other))
    with pytest.raises(SourceError, match=f"it stored '{other}'"):
        destination.put_blob("x", BLOB, Again())
    destination, _ = connect(answer(201, docker_content_digest=other))
    with pytest.raises(SourceError, match=f"it stored '{other}'"):
        destination.put_manifest("x", "v1", BLOB, DATA)


@pytest.mark.parametrize(
    ("found", "words"), [(DATA + b"x", "found more"), (DATA[1:], "found 6999")]
)
def test_a_blob_of_another_length_is_not_sent_to_its_end(
    connect: Connect, found: bytes, words: str
) -> None:
    destination, server = connect(accepted(), answer(201))
    with pytest.raises(IntegrityError, match=words):
        destination.put_blob("x", BLOB, iter([found]))
    assert len(server.requests) == 1


@pytest.mark.parametrize("large", ["a manifest", "any answer"])
def test_an_answer_without_end_is_refused(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, large: str
) -> None:
    if large == "a manifest":
        monkeypatch.setattr(site, "MAX_MANIFEST", 100)
    else:
        monkeypatch.setattr(http, "MAX_BODY", 100)
    destination, _ = connect(answer(200), httpx.Response(200, content=b"x" * 101))
    with pytest.raises(SourceError, match="100 bytes"):
        destination.tagged("x", "v1")


def test_a_blob_that_is_there_with_another_size_is_refused(connect: Connect) -> None:
    destination, _ = connect(answer(200, content_length="3"))
    with pytest.raises(IntegrityError, match=f"expected {len(DATA)} bytes, found 3"):
        destination.has_blob("x", BLOB)


@pytest.mark.parametrize(
    "place",
    [
        f"http://evil.example/v2/p/x?_state={SECRET}",
        f"http://user:{SECRET}@127.0.0.1:9/v2/p/x",
        "https://127.0.0.1:5000/v2/p/x",
        f"relative?_state={SECRET}",
        "",
    ],
)
def test_an_upload_goes_nowhere_else_and_tells_no_secrets(connect: Connect, place: str) -> None:
    destination, server = connect(answer(202, location=place))
    with pytest.raises(SourceError, match="wants the upload sent to") as caught:
        destination.put_blob("x", BLOB, Again())
    assert len(server.requests) == 1
    assert SECRET not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("place", ["http://[bad/x", "http://127.0.0.1:99999/x"])
def test_a_place_that_is_no_url_is_refused(connect: Connect, place: str) -> None:
    destination, server = connect(answer(202, location=place))
    with pytest.raises(SourceError, match="no URL"):
        destination.put_blob("x", BLOB, Again())
    assert len(server.requests) == 1


def test_a_packed_answer_is_not_unpacked(connect: Connect) -> None:
    packed = gzip.compress(gzip.compress(b"x" * 1000))
    bomb = httpx.Response(
        500, stream=httpx.ByteStream(packed), headers={"content-encoding": "gzip, gzip"}
    )
    destination, server = connect(answer(200), bomb)
    with pytest.raises(SourceError, match="found Content-Encoding 'gzip, gzip'"):
        destination.tagged("x", "v1")
    assert {each.headers["accept-encoding"] for each in server.requests} == {"identity"}


def test_a_refusal_nested_without_end_is_shown_without_its_words(connect: Connect) -> None:
    destination, _ = connect(httpx.Response(500, content=b"[" * 100_000))
    with pytest.raises(SourceError, match=r"answered 500$"):
        destination.put_manifest("x", "v1", BLOB, DATA)


def test_a_redirect_of_a_put_is_not_followed(connect: Connect) -> None:
    destination, server = connect(accepted(), answer(307, location="http://evil.example/"))
    with pytest.raises(SourceError, match="answered 307"):
        destination.put_blob("x", BLOB, Again())
    assert len(server.requests) == 2


def test_a_head_is_followed_to_where_blobs_are(connect: Connect) -> None:
    destination, server = connect(answer(307, location="http://storage.example/b"), answer(200))
    assert destination.has_blob("x", BLOB)
    assert server.requests[1].url.host == "storage.example"


def test_a_mount_that_became_an_upload_is_called_off(connect: Connect) -> None:
    destination, server = connect(accepted(), answer(204))
    assert not destination.mount_blob("x", BLOB, "y")
    assert dict(server.requests[0].url.params) == {"mount": str(BLOB.digest), "from": "p/y"}
    assert server.asked()[1] == ("DELETE", "/v2/p/x/blobs/uploads/1")


def test_a_tag_is_read_from_the_manifest_where_no_header_says_it(connect: Connect) -> None:
    destination, server = connect(answer(200), httpx.Response(200, content=b"{}"))
    assert destination.tagged("x", "v1") == Digest.of(b"{}")
    assert "manifest.list.v2" in server.requests[0].headers["accept"]


def test_the_registry_s_own_words_are_passed_on(connect: Connect) -> None:
    body = {"errors": [{"code": "MANIFEST_INVALID", "message": "no such layer"}]}
    destination, _ = connect(httpx.Response(400, json=body), answer(404))
    with pytest.raises(SourceError, match=r"answered 400 \(MANIFEST_INVALID: no such layer\)"):
        destination.put_manifest("x", "v1", BLOB, DATA)


def test_a_name_that_is_too_long_with_its_prefix_is_refused(connect: Connect) -> None:
    destination, server = connect()
    with pytest.raises(SourceError, match="255 characters at most"):
        destination.has_blob("x" * 254, BLOB)
    assert server.requests == []


@pytest.mark.parametrize(
    "address",
    ["http://reg.example", f"me:{SECRET}@reg.example/p", "reg.example/", "", "a b.c", "hub/p"],
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match=re.escape("HOST[:PORT][/PREFIX]")):
        RegistryDestination(address)


@pytest.mark.parametrize(
    ("address", "base"),
    [
        ("127.0.0.1:5000/p", "http://127.0.0.1:5000"),
        ("localhost/p", "http://localhost"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("[::1]", "http://[::1]"),
        ("reg.example", "https://reg.example"),
        ("127.0.0.1.example:5000", "https://127.0.0.1.example:5000"),
        ("10.0.0.1:5000", "https://10.0.0.1:5000"),
    ],
)
def test_only_loopback_is_spoken_to_in_clear(connect: Connect, address: str, base: str) -> None:
    destination, server = connect(answer(404), address=address)
    assert destination.tagged("x", "v1") is None
    assert str(server.requests[0].url).startswith(f"{base}/v2/")
    assert destination.registry == address


@pytest.mark.parametrize("host", ["localhost.example", "0.0.0.0", "127.0.0.1.nip.example", ""])
def test_what_only_looks_like_loopback_is_not(host: str) -> None:
    assert not is_loopback(host)


def test_the_last_chunk_is_held_back_until_the_reader_has_ended_well() -> None:
    """Or a blob whose reader fails at its end would have arrived whole by then."""

    def failing() -> Iterator[bytes]:
        yield b"first"
        yield b"last"
        raise IntegrityError("another digest")

    chunks = iter(_Counted(Descriptor.of("x/y", b"firstlast"), failing()))
    assert next(chunks) == b"first"
    with pytest.raises(IntegrityError, match="another digest"):
        next(chunks)
