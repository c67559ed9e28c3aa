"""Smoke calls: what is asked, for how long, and what is told when the answer is another one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from bundler.cluster.client import Cluster, UnreachableError
from bundler.cluster.watch.smoke import LIMIT, smoke
from bundler.core.documents.smoke import Expected, Smoke
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from tests.cluster_room.statuses import Clock, Stage, Watched, on_stage

PREDICT = Smoke(
    service="web",
    namespace="serving",
    port="http",
    path="/v1/models/m:predict",
    method="POST",
    body='{"instances": []}',
    expect=(Expected(pointer="/predictions", type="array", length=2),),
)
READY = Smoke(service="web", namespace="serving", port=8080, path="/ready", status=204)
GOOD = (200, b'{"predictions": [1, 2]}')
ABSENT = (
    503,
    b'{"kind":"Status","message":"no endpoints available"}',
)
UNKNOWN = (404, b'{"kind":"Status","details":{"name":"web","kind":"services"}}')


class Answering:
    """The one method of a Cluster that is asked here, with `answers` in order."""

    def __init__(self, *answers: tuple[int, bytes] | ClusterError) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[Any, ...]] = []

    def call(
        self,
        service: ObjectId,
        port: str | int,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        self.asked.append((str(service), port, method, path, body, headers))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, ClusterError):
            raise answer
        return answer


@pytest.fixture
def clock() -> Clock:
    return Clock()


def ask(server: Answering, clock: Clock, *calls: Smoke) -> list[str]:
    """What was told on the way."""
    watched = Watched()
    smoke(cast(Cluster, server), calls or (PREDICT,), clock.sleep, clock, watched)
    return watched.labels


def test_it_asks_what_is_declared(clock: Clock) -> None:
    server = Answering(GOOD, (204, b""))
    told = ask(server, clock, PREDICT, READY)
    service = "Service serving/web"
    json_type = {"Content-Type": "application/json"}
    body = b'{"instances": []}'
    assert server.asked == [
        (service, "http", "POST", "/v1/models/m:predict", body, json_type),
        (service, 8080, "GET", "/ready", None, None),
    ]
    assert told == [
        "smoke 1 of 2: POST serving/web:http/v1/models/m:predict",
        "smoke 2 of 2: GET serving/web:8080/ready",
    ]
    assert clock.slept == []


@pytest.mark.parametrize(
    "answer", [ABSENT, UNKNOWN, (502, b""), (504, b""), UnreachableError("API server: refused")]
)
def test_who_is_not_there_yet_is_asked_again(
    clock: Clock, answer: tuple[int, bytes] | ClusterError
) -> None:
    ask(Answering(answer, answer, GOOD), clock)
    assert clock.slept == [2.0, 2.0]


def test_who_never_comes_ends_it(clock: Clock) -> None:
    with pytest.raises(ClusterError, match="expected status 200, found 503") as caught:
        ask(Answering(ABSENT), clock)
    assert clock.now == 1000 + LIMIT
    assert caught.value.hint is not None
    assert "no pod that is ready" in caught.value.hint
    assert "no endpoints available" in caught.value.message


def test_an_api_server_that_never_comes_ends_it(clock: Clock) -> None:
    with pytest.raises(ClusterError, match=r"smoke 1 of 1: .*: API server: refused"):
        ask(Answering(UnreachableError("API server: refused")), clock)
    assert clock.now == 1000 + LIMIT


def test_who_is_meant_to_be_busy_is_asked_once(clock: Clock) -> None:
    busy = Smoke(service="web", namespace="serving", port=80, path="/", status=503)
    ask(Answering(ABSENT), clock, busy)
    assert clock.slept == []


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((500, b"Traceback"), "expected status 200, found 500; the answer was: Traceback"),
        ((404, b""), r"expected status 200, found 404; the answer was: \(empty\)"),
        ((200, b'{"predictions": [1]}'), "/predictions: expected a length of 2, found one of 1"),
        ((200, b"\x1b[2Jno"), r"expected JSON, found something else; .*: \\x1b\[2Jno"),
    ],
)
def test_another_answer_is_told_and_not_asked_for_again(
    clock: Clock, answer: tuple[int, bytes], says: str
) -> None:
    where = "smoke 1 of 1: POST serving/web:http/v1/models/m:predict: "
    with pytest.raises(ClusterError, match=where + says) as caught:
        ask(Answering(answer), clock)
    assert clock.slept == []
    assert caught.value.exit_code == 8


def test_a_long_answer_is_cut(clock: Clock) -> None:
    with pytest.raises(ClusterError) as caught:
        ask(Answering((500, b"x" * 100_000)), clock)
    assert len(caught.value.message) < 700


def test_a_missing_right_has_its_hint(clock: Clock) -> None:
    with pytest.raises(ClusterError) as caught:
        ask(Answering((403, b'{"kind":"Status","details":{"kind":"services"}}')), clock)
    assert "services/proxy" in str(caught.value.hint)


@pytest.fixture(name="stage")
def staged(kubeconfig: Path) -> Iterator[Stage]:
    with on_stage(kubeconfig) as stage:
        yield stage


@pytest.mark.needs("apiserver")
def test_a_real_api_server_says_who_is_missing(stage: Stage, clock: Clock) -> None:
    call = Smoke(service="web", namespace=stage.space, port=80, path="/ready")
    with pytest.raises(ClusterError, match="expected status 200, found 404") as caught:
        smoke(stage.cluster, [call], clock.sleep, clock, Watched())
    assert "the Service's name" in str(caught.value.hint)
    made: JsonObject = {"apiVersion": "v1", "kind": "Service"}
    metadata = {"name": "web", "namespace": stage.space}
    stage.make(made | {"metadata": metadata, "spec": {"ports": [{"port": 80}]}})
    stage.make({"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata})
    with pytest.raises(ClusterError, match="expected status 200, found 503") as caught:
        smoke(stage.cluster, [call], clock.sleep, clock, Watched())
    assert "no pod that is ready" in str(caught.value.hint)
