"""The client of S3: signed as the documentation's examples are, and against a real server."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from bundler.core.digest import Digest
from bundler.core.errors import IntegrityError, SourceError, UsageError
from bundler.tools.http import Answer
from bundler.tools.s3 import PART, Bucket, Keys, find_keys
from bundler.tools.s3.signing import Signature
from tests.fakes.registry.front import Front, cut, front_of, instead, well
from tests.fakes.registry.serving import Reply
from tests.parts.needs import require
from tests.parts.objectstore import BUCKET, KEYS, ObjectServer, running_objects
from tests.parts.service import free_ports

# docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, "Examples".
EXAMPLE = Signature(
    Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    "us-east-1",
    lambda: datetime(2013, 5, 24, tzinfo=UTC),
)
NAMES = {"identity": KEYS["AWS_ACCESS_KEY_ID"], "secret": KEYS["AWS_SECRET_ACCESS_KEY"]}
DATA = bytes(range(256)) * 4096 * 17  # 17 MiB: two parts


@pytest.mark.parametrize(
    ("query", "signature"),
    [
        ("?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        (
            "?max-keys=2&prefix=J",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_a_request_is_signed_as_the_documentation_says(query: str, signature: str) -> None:
    request = httpx.Request("GET", f"https://examplebucket.s3.amazonaws.com/{query}")
    next(EXAMPLE.auth_flow(request))
    assert request.headers["Authorization"].endswith(f"Signature={signature}")


def test_a_session_s_token_is_signed_with_the_rest() -> None:
    keys = dataclasses.replace(EXAMPLE.keys, token="the token")
    request = httpx.Request("GET", "https://examplebucket.s3.amazonaws.com/a")
    next(dataclasses.replace(EXAMPLE, keys=keys).auth_flow(request))
    assert request.headers["x-amz-security-token"] == "the token"
    assert "x-amz-security-token" in request.headers["Authorization"].split("SignedHeaders=")[1]


def test_no_secret_is_shown() -> None:
    assert "wJalr" not in repr(EXAMPLE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    require("versitygw")
    with running_objects(tmp_path_factory.mktemp("s3"), f"127.0.0.1:{free_ports(1)[0]}") as running:
        yield running


def connected(endpoint: str, bucket: str = BUCKET, secret: str = NAMES["secret"]) -> Bucket:
    keys = Keys(NAMES["identity"], secret)
    return Bucket(endpoint, "us-east-1", bucket, keys, sleep=lambda _: None)


@pytest.fixture
def bucket(server: ObjectServer) -> Iterator[Bucket]:
    with closing(connected(server.endpoint)) as found:
        yield found


@pytest.fixture
def front(server: ObjectServer) -> Iterator[Front]:
    with front_of(server.endpoint.removeprefix("http://")) as running:
        running.where = f"/{BUCKET}/"
        yield running


@pytest.mark.parametrize("key", ["a/b.json", "größe/a b+c&d=e%20(1)'*!~"])
def test_what_is_put_is_read_again(bucket: Bucket, key: str) -> None:
    assert not bucket.holds(f"put/{key}", 3, Digest.of(b"one"))
    bucket.put(f"put/{key}", b"one")
    assert bucket.holds(f"put/{key}", 3, Digest.of(b"one"))
    assert b"".join(bucket.read(f"put/{key}", 3)) == bucket.small(f"put/{key}", 3) == b"one"


def test_another_object_under_the_key_does_not_count(bucket: Bucket) -> None:
    bucket.put("other", b"one")
    assert not bucket.holds("other", 3, Digest.of(b"two"))
    assert not bucket.holds("other", 4, Digest.of(b"one"))


def pieces(data: bytes, size: int = 1_000_000) -> Iterator[bytes]:
    yield from (data[at : at + size] for at in range(0, len(data), size))


def test_a_large_object_goes_in_parts(bucket: Bucket, front: Front) -> None:
    with closing(connected(f"http://{front.host}")) as through:
        through.put_parts("large", len(DATA), Digest.of(DATA), pieces(DATA))
    assert [len(each.body) for each in front.asked if each.method == "PUT"] == [PART, 1024**2]
    assert bucket.holds("large", len(DATA), Digest.of(DATA))
    assert b"".join(bucket.read("large", len(DATA))) == DATA


def test_what_fails_in_the_middle_never_is_an_object_and_takes_no_room(
    server: ObjectServer, front: Front
) -> None:
    def broken() -> Iterator[bytes]:
        yield DATA
        raise IntegrityError("not these bytes")

    with (
        closing(connected(f"http://{front.host}")) as through,
        pytest.raises(IntegrityError, match="not these bytes"),
    ):
        through.put_parts("broken", len(DATA) + 1, Digest.of(DATA), broken())
    assert [each.method for each in front.asked] == ["POST", "PUT", "DELETE"]
    assert not (server.bucket / "broken").exists()


def test_what_went_wrong_first_is_told(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the parts that are there can't be taken away."""
    real, session = bucket._session.send, bucket._session

    def broken() -> Iterator[bytes]:
        yield DATA
        raise IntegrityError("not these bytes")

    def send(method: str, *asked: Any, **more: Any) -> Answer:
        if method == "DELETE":
            raise SourceError("the server went away")
        return real(method, *asked, **more)

    monkeypatch.setattr(session, "send", send)
    with pytest.raises(IntegrityError, match="not these bytes"):
        bucket.put_parts("broken", len(DATA) + 1, Digest.of(DATA), broken())


def test_a_body_that_changes_on_its_way_is_refused_by_the_server(
    server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a proxy would: after it was signed."""
    with closing(connected(server.endpoint)) as through:
        send = through._session.client.send

        def changed(request: httpx.Request, **rest: object) -> httpx.Response:
            if request.method == "PUT":
                request.stream = httpx.ByteStream(b"two")
            return send(request, **rest)  # type: ignore[arg-type]

        monkeypatch.setattr(through._session.client, "send", changed)
        with pytest.raises(SourceError, match="answered 400"):
            through.put("changed", b"one")
    assert not (server.bucket / "changed").exists()


def test_a_read_goes_on_where_the_connection_broke(bucket: Bucket, front: Front) -> None:
    bucket.put("cut", b"one two three")
    front.faults = [cut(4)]
    with closing(connected(f"http://{front.host}")) as through:
        assert b"".join(through.read("cut", 13)) == b"one two three"
    assert [each.headers.get("range") for each in front.asked] == [None, "bytes=4-"]


def test_what_is_busy_for_a_moment_is_asked_again(front: Front) -> None:
    front.faults = [instead(503), instead(503)]
    with closing(connected(f"http://{front.host}")) as through:
        through.put("busy", b"one")
    assert len(front.asked) == 3


DONE_BUT_NOT = b"<Error><Code>InternalError</Code><Message>We &amp; you</Message></Error>"


def test_an_error_after_a_200_is_an_error(front: Front) -> None:
    front.faults = [well, well, well, instead(200, DONE_BUT_NOT)]
    with (
        closing(connected(f"http://{front.host}")) as through,
        pytest.raises(SourceError, match=r"InternalError\): We & you"),
    ):
        through.put_parts("late", len(DATA), Digest.of(DATA), pieces(DATA))


def gave_up(reply: Reply) -> None:
    """As a proxy for which the store took too long."""
    reply.status, reply.body = 504, b""
    reply.set("Content-Length", "0")


NO_UPLOAD = b"<Error><Code>NoSuchUpload</Code></Error>"


@pytest.mark.parametrize(
    "then", [[instead(404, NO_UPLOAD)], [instead(504)] * 4], ids=["no upload", "no answer"]
)
def test_an_object_that_was_whole_after_the_proxy_gave_up_is_there(
    front: Front, then: list[Reply]
) -> None:
    """Asked again, many a store knows the upload no more."""
    front.faults = [well, well, well, gave_up, *then]
    with closing(connected(f"http://{front.host}")) as through:
        through.put_parts(f"whole{len(then)}", len(DATA), Digest.of(DATA), pieces(DATA))
    assert [each.method for each in front.asked[4:]] == ["POST"] * len(then) + ["HEAD"]


def test_an_object_that_never_was_whole_is_an_error(front: Front) -> None:
    front.faults = [well, well, well, *[instead(504)] * 5]
    with (
        closing(connected(f"http://{front.host}")) as through,
        pytest.raises(SourceError, match="parted: answered 504"),
    ):
        through.put_parts("parted", len(DATA), Digest.of(DATA), pieces(DATA))
    assert [each.method for each in front.asked[3:]] == ["POST"] * 5 + ["HEAD", "DELETE"]


def test_that_nobody_knows_whether_it_is_whole_is_not_what_is_told(front: Front) -> None:
    front.faults = [well, well, well, instead(200, DONE_BUT_NOT), instead(403)]
    with (
        closing(connected(f"http://{front.host}")) as through,
        pytest.raises(SourceError, match="InternalError"),
    ):
        through.put_parts("unknown", len(DATA), Digest.of(DATA), pieces(DATA))


def test_an_upload_is_begun_once(front: Front) -> None:
    """Of two, nobody would call off the one whose answer was lost."""
    front.faults = [gave_up]
    with (
        closing(connected(f"http://{front.host}")) as through,
        pytest.raises(SourceError, match="answered 504"),
    ):
        through.put_parts("begun", len(DATA), Digest.of(DATA), pieces(DATA))
    assert len(front.asked) == 1


def test_an_upload_without_an_id_is_an_error(front: Front) -> None:
    front.faults = [instead(200, b"<html>")]
    with (
        closing(connected(f"http://{front.host}")) as through,
        pytest.raises(SourceError, match="expected an UploadId"),
    ):
        through.put_parts("late", len(DATA), Digest.of(DATA), pieces(DATA))


def test_a_wrong_key_is_said_with_what_to_look_at(server: ObjectServer) -> None:
    with (
        closing(connected(server.endpoint, secret="wrong")) as through,
        pytest.raises(SourceError, match=r"answered 403 \(SignatureDoesNotMatch\)") as caught,
    ):
        through.put("a", b"one")
    assert "is the clock right" in str(caught.value.hint)


def test_a_bucket_that_is_not_there_is_said(server: ObjectServer) -> None:
    with (
        closing(connected(server.endpoint, bucket="nobodys")) as through,
        pytest.raises(SourceError, match=r"answered 404 \(NoSuchBucket\)") as caught,
    ):
        through.put("a", b"one")
    assert "is the bucket there" in str(caught.value.hint)


def test_a_small_object_that_is_large_is_refused(bucket: Bucket) -> None:
    bucket.put("small", b"four")
    with pytest.raises(SourceError, match="at most 3 bytes"):
        bucket.small("small", 3)


def test_keys_are_not_sent_in_the_open() -> None:
    with pytest.raises(UsageError, match="expected https://"):
        connected("http://s3.site:9000")


@pytest.fixture
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*KEYS, "AWS_SESSION_TOKEN", "AIRBUNDLE_BUCKET_KEYS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("nothing_known")
def test_keys_come_from_the_environment_or_a_mounted_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="expected AWS_ACCESS_KEY_ID and AWS_SECRET"):
        find_keys()
    monkeypatch.setenv("AIRBUNDLE_BUCKET_KEYS", str(tmp_path))
    (tmp_path / "AWS_ACCESS_KEY_ID").write_text("file\n")
    with pytest.raises(UsageError, match="expected AWS_SECRET_ACCESS_KEY, found none"):
        find_keys()
    (tmp_path / "AWS_SECRET_ACCESS_KEY").write_text("secret")
    assert find_keys() == Keys("file", "secret")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "variable")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    assert find_keys() == Keys("variable", "secret", "token")


@pytest.mark.usefixtures("nothing_known")
@pytest.mark.parametrize("value", ["a\nb", "a b", "ä"])
def test_keys_that_no_header_holds_are_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", value)
    with pytest.raises(UsageError, match="AWS_SECRET_ACCESS_KEY: expected one word") as caught:
        find_keys()
    assert value not in str(caught.value)
