"""Downloads that go on where they stopped: a real registry behind a front that misbehaves."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from bundler.core.digest import Descriptor
from bundler.core.errors import IntegrityError, SourceError
from bundler.tools.http import ATTEMPTS
from bundler.tools.registry import RegistrySource
from tests.fakes.registry.front import (
    Fault,
    Front,
    both,
    cut,
    front_of,
    instead,
    with_body,
    with_header,
)
from tests.fakes.registry.serving import Reply
from tests.parts.registry import Registry
from tests.parts.service import free_ports
from tests.pushed import put

pytestmark = pytest.mark.needs("docker-registry")

# More than what goes through httpcore's parser: the rest comes from the connection itself.
DATA = random.Random(0).randbytes(2_500_000)
SECRET = "hunter2"


@dataclass
class Pull:
    """One blob behind a front; `pauses` are the seconds that were waited in between."""

    front: Front
    source: RegistrySource
    repository: str
    blob: Descriptor
    pauses: list[float]

    def read(self, *faults: Fault, offset: int = 0) -> bytes:
        self.front.faults[:] = faults
        return b"".join(self.source.blob(self.repository, self.blob, offset))

    def ranges(self) -> list[str | None]:
        return [asked.headers["Range"] for asked in self.front.asked]


@pytest.fixture(scope="module")
def pushed(registry: Registry) -> tuple[str, Descriptor]:
    return put(registry.host, DATA)


@pytest.fixture
def pull(registry: Registry, pushed: tuple[str, Descriptor]) -> Iterator[Pull]:
    repository, blob = pushed
    pauses: list[float] = []
    with (
        front_of(registry.host) as front,
        closing(RegistrySource(front.host, sleep=pauses.append)) as source,
    ):
        yield Pull(front, source, repository, blob, pauses)


@pytest.fixture
def storage(pull: Pull) -> Iterator[Front]:
    """The same registry under another name: where blobs are really kept."""
    with front_of(pull.front.upstream) as running:
        yield running


def sent_to(storage: Front, path: str = "", scheme: str = "http") -> Fault:
    return instead(307, location=f"{scheme}://{storage.host}{path}?signature={SECRET}")


def place(pull: Pull) -> str:
    return f"/v2/{pull.repository}/blobs/{pull.blob.digest}"


def test_large_blobs_arrive_one_after_the_other(pull: Pull) -> None:
    assert [pull.read() == DATA for _ in range(3)] == [True] * 3
    assert pull.ranges() == [None] * 3
    assert pull.pauses == []


def test_a_blob_arrives_in_one_request(pull: Pull) -> None:
    assert pull.read() == DATA
    assert pull.ranges() == [None]
    assert pull.pauses == []


@pytest.mark.parametrize("offset", [1, 65_536, len(DATA) - 1])
def test_it_goes_on_from_an_offset(pull: Pull, offset: int) -> None:
    assert pull.read(offset=offset) == DATA[offset:]
    assert pull.ranges() == [f"bytes={offset}-"]


def test_what_is_there_whole_is_not_asked_for(pull: Pull) -> None:
    assert pull.read(offset=len(DATA)) == b""
    assert pull.ranges() == []


@pytest.mark.parametrize("after", [0, 1, 65_535, 65_536, 65_537, len(DATA) - 1])
def test_a_cut_at_any_byte_is_mended(pull: Pull, after: int) -> None:
    assert pull.read(cut(after)) == DATA
    assert pull.ranges() == [None, f"bytes={after}-" if after else None]


def test_a_reset_on_the_way_is_mended(pull: Pull) -> None:
    def reset(reply: Reply) -> None:
        reply.cut, reply.reset = 1_500_000, True

    assert pull.read(reset) == DATA
    assert len(pull.ranges()) == 2


def test_cuts_that_bring_something_each_are_mended_for_ever(pull: Pull) -> None:
    assert pull.read(*[cut(10) for _ in range(3 * ATTEMPTS)]) == DATA
    assert set(pull.pauses) == {0.5}


def test_cuts_that_bring_nothing_are_not(pull: Pull) -> None:
    with pytest.raises(SourceError, match=f"broke, attempt {ATTEMPTS} of {ATTEMPTS}"):
        pull.read(*[cut(0) for _ in range(2 * ATTEMPTS)])
    assert pull.pauses == [0.5, 1.0, 2.0, 4.0]


def test_an_answer_that_ends_well_but_early_is_a_cut(pull: Pull) -> None:
    """As after a proxy that closes what has no length."""
    short = both(with_body(DATA[:100]), with_header("Content-Length", None), cut(100))
    assert pull.read(short) == DATA
    assert pull.ranges() == [None, "bytes=100-"]


def test_a_server_that_ignores_ranges_sends_all_again(pull: Pull) -> None:
    assert pull.read(cut(70_000), instead(200, DATA)) == DATA


def test_a_server_that_ignores_ranges_and_stops_at_one_place_brings_nothing(pull: Pull) -> None:
    stuck = instead(200, DATA, cut=70_000)
    with pytest.raises(SourceError, match="connection broke"):
        pull.read(*[stuck for _ in range(2 * ATTEMPTS)])


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (with_body(DATA + b"x"), f"expected {len(DATA)} bytes, found {len(DATA) + 1}"),
        (with_body(DATA[1:]), f"expected {len(DATA)} bytes, found {len(DATA) - 1}"),
        (
            both(with_body(DATA + b"x"), with_header("Content-Length", None), cut(len(DATA) + 1)),
            f"expected {len(DATA)} bytes, found more",
        ),
    ],
)
def test_a_blob_of_another_length_is_refused(pull: Pull, fault: Fault, words: str) -> None:
    with pytest.raises(IntegrityError, match=words) as caught:
        pull.read(fault)
    assert str(pull.blob.digest) in caught.value.message


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        ("bytes 9-2499999/2500000", SourceError, "expected the bytes from 10 on, found 'bytes 9-"),
        ("bytes 10-2499999/2500001", IntegrityError, "expected 2500000 bytes, found 2500001"),
        ("bytes */2500000", SourceError, "expected the bytes from 10 on"),
        ("lines 10-20/30", SourceError, "expected the bytes from 10 on, found 'lines"),
        (None, SourceError, "expected the bytes from 10 on, found ''"),
    ],
)
def test_another_range_than_asked_for_is_refused(
    pull: Pull, said: str | None, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        pull.read(with_header("Content-Range", said), offset=10)


def test_a_range_of_unknown_total_will_do(pull: Pull) -> None:
    assert pull.read(with_header("Content-Range", "bytes 10-2499999/*"), offset=10) == DATA[10:]


def test_a_range_beyond_the_end_says_the_true_length(pull: Pull, registry: Registry) -> None:
    longer = Descriptor(pull.blob.media_type, pull.blob.digest, len(DATA) + 10)
    with (
        closing(RegistrySource(registry.host)) as source,
        pytest.raises(IntegrityError, match=f"expected {len(DATA) + 10} bytes, found {len(DATA)}"),
    ):
        next(source.blob(pull.repository, longer, len(DATA) + 1))


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_server_may_ask_to_wait(pull: Pull, status: int) -> None:
    assert pull.read(instead(status, retry_after="7"), cut(10), instead(status)) == DATA
    assert pull.pauses == [7.0, 0.5, 1.0]


def test_a_server_may_name_the_time(pull: Pull) -> None:
    then, now = "Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 31 Dec 1999 23:59:30 GMT"
    assert pull.read(instead(503, date=now, retry_after=then)) == DATA
    assert pull.pauses == [29.0]


def test_it_does_not_wait_for_ever(pull: Pull) -> None:
    with pytest.raises(SourceError, match="answered 503"):
        pull.read(*[instead(503) for _ in range(ATTEMPTS)])
    assert len(pull.pauses) == ATTEMPTS - 1


@pytest.mark.parametrize("status", [400, 403, 404, 416, 500])
def test_nothing_else_is_tried_again(pull: Pull, status: int) -> None:
    with pytest.raises(SourceError, match=rf"{status}"):
        pull.read(instead(status))
    assert pull.pauses == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_blob_is_fetched_where_it_is_kept(pull: Pull, storage: Front, status: int) -> None:
    away = instead(status, location=f"http://{storage.host}{place(pull)}")
    assert pull.read(away, offset=5) == DATA[5:]
    assert [asked.headers["Range"] for asked in storage.asked] == ["bytes=5-"]


def test_after_a_cut_the_registry_is_asked_anew_where_it_is_kept(
    pull: Pull, storage: Front
) -> None:
    """What it said before may be a link that ends."""
    storage.faults.append(cut(1000))
    away = sent_to(storage, place(pull))
    assert pull.read(away, away) == DATA
    assert [asked.headers["Range"] for asked in storage.asked] == [None, "bytes=1000-"]
    assert len(pull.front.asked) == 2


def test_it_is_not_sent_on_for_ever(pull: Pull) -> None:
    pull.front.faults[:] = [sent_to(pull.front, place(pull)) for _ in range(20)]
    with pytest.raises(SourceError, match="sends us on more than 5 times"):
        list(pull.source.blob(pull.repository, pull.blob, 0))


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("ftp://h/x", "sends us on to ftp://h/x, expected http"),
        ("file:///etc/passwd", "sends us on to file:/etc/passwd, expected http"),
        ("http://xn--zzzz-/x", "sends us on to what is no URL"),
        ("http://h:abc/x", "Invalid port: 'abc'"),
    ],
)
def test_it_is_not_sent_to_what_is_no_server(pull: Pull, where: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        pull.read(*[instead(307, location=where) for _ in range(ATTEMPTS)])


def test_who_can_not_be_reached_is_named(pull: Pull) -> None:
    port = free_ports(1)[0]
    with pytest.raises(SourceError, match=rf"^registry .*: http://127\.0\.0\.1:{port}: "):
        pull.read(instead(307, location=f"http://127.0.0.1:{port}/x?signature={SECRET}"))


def test_a_refusal_where_it_is_kept_names_the_place_and_no_secret(
    pull: Pull, storage: Front
) -> None:
    storage.faults.append(instead(403, b"<Error/>"))
    with pytest.raises(SourceError, match=rf"\(403\) at http://{storage.host}/v2/") as caught:
        pull.read(sent_to(storage, place(pull)))
    assert SECRET not in f"{caught.value.message} {caught.value.hint}"


def test_packed_on_the_way_it_is_still_what_was_sent(pull: Pull) -> None:
    """A storage that marks layers as gzip must not have them unpacked by us."""
    assert pull.read(with_header("Content-Encoding", "gzip")) == DATA
