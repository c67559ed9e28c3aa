"""The protocol of the demo's server, over HTTP; what it answers with is tests/node's."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence

import httpx
import pytest

from examples.demo import serve

V1 = "/v1/models/mini"


def _lengths(texts: Sequence[str]) -> list[list[float]]:
    return [[float(len(each))] for each in texts]


@pytest.fixture
def model() -> serve.Model:
    return serve.Model("mini", _lengths)


@pytest.fixture
def http(model: serve.Model) -> Iterator[httpx.Client]:
    with serve.make_server(model, 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        with httpx.Client(base_url=url, trust_env=False) as client:
            yield client
        server.shutdown()
        thread.join()


def test_predictions_stand_in_the_order_of_the_instances(http: httpx.Client) -> None:
    reply = http.post(f"{V1}:predict", json={"instances": ["one", "three"]})
    assert reply.status_code == 200
    assert reply.json() == {"predictions": [[3.0], [5.0]]}
    assert reply.headers["content-type"] == "application/json"


def test_no_instances_have_no_predictions(http: httpx.Client) -> None:
    assert http.post(f"{V1}:predict", json={"instances": []}).json() == {"predictions": []}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/models", {"models": ["mini"]}),
        (V1, {"name": "mini", "ready": True}),
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2/health/ready?verbose", {"ready": True}),
    ],
)
def test_what_is_there_to_read(http: httpx.Client, path: str, expected: dict[str, object]) -> None:
    assert http.get(path).json() == expected


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v2/health/ready"), ("GET", V1), ("POST", f"{V1}:predict")],
)
def test_unavailable_until_the_model_is_there(
    http: httpx.Client, model: serve.Model, method: str, path: str
) -> None:
    model.encode = None
    reply = http.request(method, path, content=b'{"instances": []}')
    assert (reply.status_code, reply.json()) == (
        503,
        {"error": "Model with name mini is not ready."},
    )
    assert http.get("/v2/health/live").status_code == 200


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{}", 'Expected "instances" to be a list'),
        (b'{"instances": "a"}', 'Expected "instances" to be a list'),
        (b'["a"]', 'Expected "instances" to be a list'),
        (b'{"instances": ["a", 1]}', 'Expected each of "instances" to be a string'),
        (b"no", "Unrecognized request format: Expecting value: line 1 column 1 (char 0)"),
        (b"\xff", "Unrecognized request format: 'utf-8' codec can't decode byte"),
    ],
)
def test_odd_request_is_refused(http: httpx.Client, body: bytes, error: str) -> None:
    reply = http.post(f"{V1}:predict", content=body)
    assert reply.status_code == 400
    assert reply.json()["error"].startswith(error)


@pytest.mark.parametrize(
    ("method", "path", "error"),
    [
        ("GET", "/v1/models/other", "Model with name other does not exist."),
        ("POST", "/v1/models/other:predict", "Model with name other does not exist."),
        ("GET", "/", "Not Found"),
        ("POST", V1, "Not Found"),
        ("POST", "/v2/health/live", "Not Found"),
    ],
)
def test_what_is_not_there(http: httpx.Client, method: str, path: str, error: str) -> None:
    reply = http.request(method, path, content=b"{}")
    assert (reply.status_code, reply.json()) == (404, {"error": error})


def test_request_of_more_than_the_limit_is_refused_unread(http: httpx.Client) -> None:
    reply = http.post(f"{V1}:predict", content=b" " * (serve.BODY_LIMIT + 1))
    assert reply.status_code == 413
    assert reply.headers["connection"] == "close"


def test_a_client_that_gives_up_is_no_trouble(
    http: httpx.Client, model: serve.Model, capfd: pytest.CaptureFixture[str]
) -> None:
    asked, gone = threading.Event(), threading.Event()

    def encode(texts: Sequence[str]) -> list[list[float]]:
        asked.set()
        assert gone.wait(20)
        # More than fits between two ends of a connection.
        return [[0.0] * 5_000_000]

    model.encode = encode
    before = set(threading.enumerate())
    url = http.base_url
    with socket.create_connection((url.host, url.port or 0)) as client:
        client.sendall(f"POST {V1}:predict HTTP/1.1\r\nContent-Length: 19\r\n\r\n".encode())
        client.sendall(b'{"instances":["a"]}')
        assert asked.wait(20)
    gone.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(20)
    assert capfd.readouterr().err == ""


def test_request_of_unknown_length_is_refused(http: httpx.Client) -> None:
    reply = http.post(f"{V1}:predict", content=iter([b"{}"]))
    assert reply.status_code == 411
