"""The client of the API server, where the real one can't be made to misbehave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from bundler.cluster.client import Cluster, ConflictError, UnreachableError
from bundler.cluster.transaction.apply import _await_established
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import ObjectId
from bundler.tools.http import Session
from tests.releases import config_map

SETTINGS = config_map("serving", "one", key="value")
ONE = ObjectId.of(SETTINGS)
CRD = ObjectId("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, "things.example.org")
PATH = "/api/v1/namespaces/serving/configmaps/one"
RESOURCES = [
    {"name": "configmaps", "kind": "ConfigMap", "namespaced": True},
    {"name": "configmaps/status", "kind": "ConfigMap", "namespaced": True},
    {"name": "pods", "kind": "Pod", "namespaced": True},
    {"name": "customresourcedefinitions", "kind": CRD.kind, "namespaced": False},
]


class Server:
    """Discovery as it is, then `answers` in order; requests and pauses are remembered."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = []
        self.requests: list[httpx.Request] = []
        self.discoveries = 0
        self.pauses: list[float] = []
        self.retry_after = self.date = ""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path in ("/api/v1", "/apis/apiextensions.k8s.io/v1"):
            self.discoveries += 1
            return httpx.Response(200, json={"resources": RESOURCES})
        self.requests.append(request)
        status, content = self.answers.pop(0)
        if isinstance(content, Exception):
            raise content
        headers = {"Retry-After": self.retry_after, "Date": self.date}
        sent = {name: value for name, value in headers.items() if value}
        return httpx.Response(status, json=content, headers=sent)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture(name="cluster")
def connected(server: Server) -> Iterator[Cluster]:
    http = httpx.Client(base_url="https://api.example", transport=httpx.MockTransport(server))
    session = Session(
        http,
        "API server",
        ClusterError,
        "is it running?",
        server.pauses.append,
        unreachable=UnreachableError,
    )
    with closing(Cluster(session, "airbundle:site/app")) as cluster:
        yield cluster


def status(code: int, reason: str, message: str, **details: object) -> tuple[int, object]:
    return code, {"kind": "Status", "reason": reason, "message": message, "details": details}


def test_an_apply_is_ours_unforced_and_strict(cluster: Cluster, server: Server) -> None:
    server.answers = [(200, SETTINGS), (200, SETTINGS)]
    assert cluster.apply(SETTINGS) == SETTINGS
    assert cluster.apply(SETTINGS, dry_run=True) == SETTINGS
    real, tried = server.requests
    expected = {
        "fieldManager": "airbundle:site/app",
        "force": "false",
        "fieldValidation": "Strict",
    }
    assert (real.method, real.url.path, dict(real.url.params)) == ("PATCH", PATH, expected)
    assert dict(tried.url.params) == expected | {"dryRun": "All"}
    assert real.headers["content-type"] == "application/apply-patch+yaml"
    assert json.loads(real.content) == SETTINGS


def test_a_kind_is_asked_for_once(cluster: Cluster, server: Server) -> None:
    server.answers = [status(404, "NotFound", "")] * 3
    assert [cluster.get(ONE) for _ in range(2)] == [None, None]
    assert server.discoveries == 1
    cluster.forget()
    assert cluster.get(ONE) is None
    assert server.discoveries == 2


def test_a_conflict_names_the_field_and_its_owner(cluster: Cluster, server: Server) -> None:
    cause = {
        "reason": "FieldManagerConflict",
        "message": 'conflict with "kubectl" using v1',
        "field": ".data.key",
    }
    server.answers = [status(409, "Conflict", "Apply failed", causes=[cause])]
    with pytest.raises(
        ClusterError, match=r'one: .*\.data\.key: conflict with "kubectl"'
    ) as caught:
        cluster.apply(SETTINGS)
    assert "give these fields the bundle's values on the cluster" in str(caught.value.hint)


def test_a_missing_right_names_object_code_and_reason(cluster: Cluster, server: Server) -> None:
    server.answers = [status(403, "Forbidden", 'User "eve" cannot patch')]
    expected = 'ConfigMap serving/one: apply: the API server answered 403 Forbidden: User "eve" can'
    with pytest.raises(ClusterError, match=expected) as caught:
        cluster.apply(SETTINGS)
    assert "RBAC" in str(caught.value.hint)


def test_every_attempt_at_a_write_is_guarded(cluster: Cluster, server: Server) -> None:
    asked: list[int] = []

    def guard() -> None:
        asked.append(len(server.requests))
        if len(asked) == 3:
            raise ClusterError("the lease was lost")

    ours = cluster.guarded(guard)
    server.answers = [(200, SETTINGS), *[status(503, "Busy", "later")] * 2]
    assert ours.get(ONE) == SETTINGS
    assert asked == []
    with pytest.raises(ClusterError, match="the lease was lost"):
        ours.apply(SETTINGS)
    assert asked == [1, 2, 3]
    assert [each.method for each in server.requests] == ["GET", "PATCH", "PATCH"]


@pytest.mark.parametrize("write", ["apply", "create", "replace", "delete"])
def test_a_write_that_is_not_allowed_is_not_sent(
    cluster: Cluster, server: Server, write: str
) -> None:
    def guard() -> None:
        raise ClusterError("the lease was lost")

    arguments = {"delete": (ONE, "uid-1")}.get(write, (SETTINGS,))
    with pytest.raises(ClusterError, match="the lease was lost"):
        getattr(cluster.guarded(guard), write)(*arguments)
    assert server.requests == []
    server.answers = [(200, SETTINGS)]
    getattr(cluster, write)(*arguments)
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [429, 503])
def test_a_busy_server_is_asked_again_for_a_while(
    cluster: Cluster, server: Server, code: int
) -> None:
    server.answers = [(code, {}), (200, SETTINGS)]
    assert cluster.get(ONE) == SETTINGS
    server.answers = [status(code, "Busy", "later")] * 8
    with pytest.raises(ClusterError, match=f"answered {code} Busy"):
        cluster.get(ONE)
    assert server.pauses == [0.5, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0]


ETCD = "etcdserver: leader changed"
CONFLICT = {"causes": [{"reason": "FieldManagerConflict", "field": ".data.key", "message": "x"}]}


@pytest.mark.parametrize(
    ("answer", "again"),
    [
        (status(500, "InternalError", ETCD), True),
        (status(500, "InternalError", 'failed calling webhook "a.b": refused'), False),
        (status(504, "Timeout", "request did not complete"), True),
        (status(409, "Conflict", "the object has been modified"), True),
        (status(409, "Conflict", "Apply failed", **CONFLICT), False),
        (status(403, "Forbidden", "no"), False),
        (status(404, "NotFound", "no"), False),
        (status(422, "Invalid", ETCD), False),
    ],
)
def test_only_what_passes_is_tried_again(
    cluster: Cluster, server: Server, answer: tuple[int, object], again: bool
) -> None:
    server.answers = [answer, (200, SETTINGS)]
    if again:
        assert cluster.apply(SETTINGS) == SETTINGS
    else:
        with pytest.raises(ClusterError):
            cluster.apply(SETTINGS)
    assert server.pauses == [0.5] * again


def test_a_replacement_that_came_too_late_is_not_repeated(cluster: Cluster, server: Server) -> None:
    server.answers = [status(409, "Conflict", "the object has been modified")] * 2
    with pytest.raises(ConflictError, match="one: replace: the API server answered 409"):
        cluster.replace(SETTINGS)
    with pytest.raises(ConflictError, match="one: create: the API server answered 409"):
        cluster.create(SETTINGS)
    assert [each.method for each in server.requests] == ["PUT", "POST"]
    assert server.pauses == []


def test_a_server_that_broke_off_is_asked_again(cluster: Cluster, server: Server) -> None:
    broken = (0, httpx.ReadError("reset")), (0, httpx.ConnectError("refused"))
    server.answers = [(200, SETTINGS), *broken, (200, SETTINGS)]
    assert [cluster.get(ONE), cluster.get(ONE)] == [SETTINGS, SETTINGS]
    assert server.pauses == [0.5, 1.0]


def test_what_a_server_asks_for_is_waited(cluster: Cluster, server: Server) -> None:
    server.retry_after = "7"
    server.answers = [status(500, "ServerTimeout", "busy"), (200, SETTINGS)]
    assert cluster.get(ONE) == SETTINGS
    assert server.pauses == [7.0]


def test_all_namespaces_are_listed_at_once(cluster: Cluster, server: Server) -> None:
    server.answers = [(200, {"metadata": {}, "items": []})]
    anywhere = ObjectId("v1", "ConfigMap", None, "any")
    assert cluster.list(anywhere, label_selector="a=b") == []
    (asked,) = server.requests
    assert asked.url.path == "/api/v1/configmaps"
    assert dict(asked.url.params) == {"limit": "500", "labelSelector": "a=b"}
    with pytest.raises(ClusterError, match="ConfigMap one: expected a namespace, found none"):
        cluster.create(SETTINGS | {"metadata": {"name": "one"}})


def test_a_service_is_called_once_through_the_server(cluster: Cluster, server: Server) -> None:
    server.answers = [(503, {"kind": "Status"}), (401, {"error": "who are you"})]
    service = ObjectId("v1", "Service", "serving", "web")
    asked = cluster.call(service, 8080, "POST", "/v1/models/m:predict?x=1", b"{}", {"X-A": "b"})
    assert asked[0] == 503
    assert cluster.call(service, "https:web", "GET", "/")[0] == 401
    first, second = server.requests
    place = "/api/v1/namespaces/serving/services"
    assert str(first.url).endswith(f"{place}/web:8080/proxy/v1/models/m:predict?x=1")
    assert (first.content, first.headers["x-a"]) == (b"{}", "b")
    assert second.url.path == f"{place}/https:web:web/proxy/"
    assert server.pauses == []


def test_the_last_lines_of_a_container(cluster: Cluster, server: Server) -> None:
    server.answers = [(200, "x"), status(404, "NotFound", "no such container")]
    pod = ObjectId("v1", "Pod", "serving", "web-1")
    assert cluster.logs(pod, "app", 20, previous=True) == '"x"'
    assert dict(server.requests[0].url.params) == {
        "container": "app",
        "tailLines": "20",
        "limitBytes": "1048576",
        "previous": "true",
    }
    with pytest.raises(ClusterError, match=r"Pod serving/web-1: logs of app: .*no such container"):
        cluster.logs(pod, "app", 20)


def test_the_server_s_clock_is_read_off_its_answers(cluster: Cluster, server: Server) -> None:
    assert cluster.server_time() is None
    server.answers = [(200, SETTINGS), (200, SETTINGS)]
    server.date = "Fri, 02 Jan 2026 03:04:05 GMT"
    cluster.get(ONE)
    assert cluster.server_time() == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    server.date = "yesterday"
    cluster.get(ONE)
    assert cluster.server_time() is None


def test_an_unreachable_server_is_named_with_a_hint(cluster: Cluster, server: Server) -> None:
    server.answers = [(0, httpx.ConnectError("refused"))]
    with pytest.raises(ClusterError, match=r"^API server: refused$") as caught:
        cluster.read("/version")
    assert caught.value.hint == "is it running?"
    assert server.pauses == []


def test_a_deletion_is_of_the_very_object(cluster: Cluster, server: Server) -> None:
    server.answers = [(200, {"kind": "Status"}), status(404, "NotFound", "")]
    cluster.delete(ONE, "uid-1")
    cluster.delete(ONE, "uid-1")
    assert json.loads(server.requests[0].content) == {
        "propagationPolicy": "Background",
        "preconditions": {"uid": "uid-1"},
    }


def test_a_deletion_of_another_is_refused(cluster: Cluster, server: Server) -> None:
    server.answers = [status(409, "Conflict", "the UID in the precondition differs")]
    with pytest.raises(ClusterError, match="delete: the API server answered 409"):
        cluster.delete(ONE, "uid-1")


def test_a_list_is_read_to_its_last_page(cluster: Cluster, server: Server) -> None:
    pages: tuple[dict[str, str], ...] = ({"continue": "more"}, {})
    server.answers = [
        (200, {"metadata": page, "items": [{"metadata": {"name": "one"}}]}) for page in pages
    ]
    found = cluster.list(ONE, "type=x")
    assert found == [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}] * 2
    assert "continue" not in server.requests[0].url.params
    assert server.requests[1].url.params["continue"] == "more"


def test_a_list_without_end_is_refused(cluster: Cluster, server: Server) -> None:
    server.answers = [(200, {"metadata": {"continue": "x"}, "items": []}) for _ in range(300)]
    with pytest.raises(ClusterError, match="more than 200 pages"):
        cluster.list(ONE, "type=x")
    assert len(server.requests) == 200


@pytest.mark.parametrize(
    "content",
    [
        {"metadata": {}},
        {"items": []},
        {"metadata": {}, "items": [5]},
        {"metadata": {}, "items": 5},
        {"metadata": {}, "items": [{}]},
        {"metadata": {}, "items": [{"metadata": {}}]},
        {"metadata": 5, "items": []},
    ],
)
def test_a_list_that_is_none_is_refused(cluster: Cluster, server: Server, content: object) -> None:
    server.answers = [(200, content)]
    with pytest.raises(ClusterError, match=r"ConfigMap serving/one: .*found something else"):
        cluster.list(ONE, "type=x")


@pytest.mark.parametrize(
    "content",
    [
        {"kind": "ConfigMap"},
        {"metadata": 5},
        {"metadata": {"managedFields": 5}},
        {"metadata": {"managedFields": [5]}},
    ],
)
def test_an_object_without_metadata_is_refused(
    cluster: Cluster, server: Server, content: object
) -> None:
    server.answers = [(200, content)] * 2
    with pytest.raises(ClusterError, match="expected an object with metadata"):
        cluster.get(ONE)
    with pytest.raises(ClusterError, match="expected an object with metadata"):
        cluster.apply(SETTINGS)


@pytest.mark.parametrize("resources", [5, [5], [{"x": 1}], [{"kind": "A", "name": "a"}]])
def test_an_odd_discovery_is_refused(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, resources: object
) -> None:
    monkeypatch.setattr(f"{__name__}.RESOURCES", resources)
    with pytest.raises(ClusterError, match="v1: discover: expected kinds"):
        cluster.get(ONE)


@pytest.mark.parametrize("details", [5, {"causes": 5}, {"causes": [5]}])
def test_odd_details_of_a_refusal_are_passed_over(
    cluster: Cluster, server: Server, details: object
) -> None:
    server.answers = [(403, {"reason": "Forbidden", "message": "no", "details": details})]
    with pytest.raises(ClusterError, match="answered 403 Forbidden: no"):
        cluster.apply(SETTINGS)


def test_an_answer_nested_without_end_is_refused(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    nested = httpx.Response(200, content=b"[" * 100_000)
    monkeypatch.setattr(Server, "__call__", lambda self, request: nested)
    with pytest.raises(ClusterError, match="discover: the API server answered 200"):
        cluster.get(ONE)


@pytest.mark.parametrize("content", [[], {}])
def test_an_answer_that_is_no_object_is_refused(
    cluster: Cluster, server: Server, content: object
) -> None:
    server.answers = [(200, content)]
    with pytest.raises(ClusterError, match="get: the API server answered 200"):
        cluster.get(ONE)


def conditions(**states: str) -> tuple[int, object]:
    found = [{"type": key, "status": value} for key, value in states.items()]
    return 200, {"kind": CRD.kind, "metadata": {}, "status": {"conditions": found}}


def test_a_kind_is_waited_for(cluster: Cluster, server: Server) -> None:
    server.answers = [conditions(), conditions(Established="False"), conditions(Established="True")]
    _await_established(cluster, CRD, server.pauses.append)
    assert server.pauses == [0.5, 0.5]


def test_a_kind_is_not_waited_for_for_ever(cluster: Cluster, server: Server) -> None:
    server.answers = [conditions() for _ in range(200)]
    with pytest.raises(ClusterError, match="not established after 60 seconds"):
        _await_established(cluster, CRD, server.pauses.append)
    assert sum(server.pauses) == 60


def test_a_kind_whose_names_are_taken_is_not_waited_for(cluster: Cluster, server: Server) -> None:
    server.answers = [conditions(NamesAccepted="False")]
    with pytest.raises(ClusterError, match="names are taken"):
        _await_established(cluster, CRD, server.pauses.append)


def test_a_token_that_can_not_be_sent_is_not_shown(cluster: Cluster, server: Server) -> None:
    server.answers = [(0, httpx.LocalProtocolError("Illegal header value b'Bearer hunter2'"))]
    with pytest.raises(ClusterError, match="that HTTP can't send") as caught:
        cluster.get(ONE)
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"
