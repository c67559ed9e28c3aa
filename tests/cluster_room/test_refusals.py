"""Why a real API server says no, and what the message makes of it."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bundler.cluster.client import Cluster, open_cluster
from bundler.cluster.client.refusals import hint_for
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from tests.cluster.certificates import write_server_certificate
from tests.parts.service import free_ports
from tests.releases import config_map, crd, namespace

_WITHIN = 30.0


@pytest.fixture(name="cluster")
def connected(kubeconfig: Path) -> Iterator[Cluster]:
    with closing(open_cluster(kubeconfig, None, "airbundle-tests")) as cluster:
        yield cluster


@contextmanager
def made(cluster: Cluster, obj: JsonObject) -> Iterator[JsonObject]:
    """An object that is there for a while."""
    live = cluster.create(obj)
    try:
        yield live
    finally:
        cluster.delete(ObjectId.of(obj), live["metadata"]["uid"])


@pytest.fixture
def space(cluster: Cluster) -> Iterator[str]:
    name = f"t{uuid.uuid4().hex[:10]}"
    with made(cluster, namespace(name)):
        yield name


class _Webhook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        review: Any = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        response = {
            "uid": review["request"]["uid"],
            "allowed": False,
            "status": {"message": "no ConfigMap on Fridays"},
        }
        body = json.dumps(review | {"response": response}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def webhook(folder: Path) -> Iterator[int]:
    """One that refuses everything; its port on 127.0.0.1, known by ca.crt in `folder`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Webhook) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def configuration(space: str, port: int, authority: bytes) -> JsonObject:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
    hook = {
        "name": "deny.example.org",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "timeoutSeconds": 5,
        "rules": [rule | {"operations": ["*"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space}},
        "clientConfig": {
            "url": f"https://127.0.0.1:{port}/",
            "caBundle": base64.b64encode(authority).decode(),
        },
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": f"deny-{space}"},
        "webhooks": [hook],
    }


def refused(deed: Callable[[], object]) -> ClusterError:
    """The refusal, which comes as soon as the server has heard of its own settings."""
    end = time.monotonic() + _WITHIN
    while time.monotonic() < end:
        try:
            deed()
        except ClusterError as error:
            return error
    raise AssertionError("nothing was refused")


def test_a_webhook_that_refuses_is_named_in_its_words(
    cluster: Cluster, space: str, tmp_path: Path
) -> None:
    write_server_certificate(tmp_path, "webhook", "127.0.0.1")
    authority = (tmp_path / "ca.crt").read_bytes()
    with webhook(tmp_path) as port, made(cluster, configuration(space, port, authority)):
        error = refused(lambda: cluster.apply(config_map(space, "one"), dry_run=True))
    assert f"ConfigMap {space}/one: apply: the API server answered" in error.message
    assert (
        'admission webhook "deny.example.org" denied the request: no ConfigMap on' in error.message
    )
    assert 'the cluster\'s own webhook "deny.example.org" refuses it' in str(error.hint)


def test_a_webhook_that_does_not_answer_is_named(
    cluster: Cluster, space: str, tmp_path: Path
) -> None:
    write_server_certificate(tmp_path, "webhook", "127.0.0.1")
    authority = (tmp_path / "ca.crt").read_bytes()
    with made(cluster, configuration(space, free_ports(1)[0], authority)):
        error = refused(lambda: cluster.apply(config_map(space, "one"), dry_run=True))
    assert 'failed calling webhook "deny.example.org"' in error.message
    assert "connection refused" in error.message
    assert 'webhook "deny.example.org" has to be asked and can\'t be' in str(error.hint)


def test_a_policy_that_refuses_is_named(cluster: Cluster, space: str) -> None:
    api = "admissionregistration.k8s.io/v1"
    match = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
    policy = {
        "apiVersion": api,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": f"no-{space}"},
        "spec": {
            "matchConstraints": {"resourceRules": [match | {"operations": ["CREATE"]}]},
            "validations": [{"expression": "false", "message": "not here"}],
        },
    }
    selector = {"matchLabels": {"kubernetes.io/metadata.name": space}}
    binding = {
        "apiVersion": api,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": f"no-{space}"},
        "spec": {
            "policyName": f"no-{space}",
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": selector},
        },
    }
    with made(cluster, policy), made(cluster, binding):
        error = refused(lambda: cluster.apply(config_map(space, "one"), dry_run=True))
    assert "not here" in error.message
    assert f"the cluster's own policy 'no-{space}' refuses it" in str(error.hint)


def test_a_namespace_that_hangs_is_named(cluster: Cluster) -> None:
    name = f"t{uuid.uuid4().hex[:10]}"
    with made(cluster, namespace(name)):
        pass  # nobody here takes its finalizer away
    error = refused(lambda: cluster.apply(config_map(name, "one"), dry_run=True))
    assert "because it is being terminated" in error.message
    assert f"the namespace {name} is being deleted: wait until it is gone" in str(error.hint)


def test_a_pod_that_the_namespace_does_not_admit(cluster: Cluster, space: str) -> None:
    container = {"name": "c", "image": "example.org/x", "securityContext": {"privileged": True}}
    pod = config_map(space, "one") | {"kind": "Pod", "spec": {"containers": [container]}}
    pod.pop("data")
    account = config_map(space, "default") | {"kind": "ServiceAccount"}
    account.pop("data")
    cluster.create(account)
    # The server may hear of it a moment later.
    expected = 'violates PodSecurity "restricted'
    errors = (refused(lambda: cluster.create(pod, dry_run=True)) for _ in range(1000))
    error = next(each for each in errors if expected in each.message)
    assert "or install into a namespace that allows it" in str(error.hint)


def test_a_kind_of_another_version_says_which_there_is(cluster: Cluster, space: str) -> None:
    group = f"{space}.example.org"
    thing = {"kind": "Thing", "metadata": {"name": "one", "namespace": space}}
    with made(cluster, crd(group, "Thing")):
        end = time.monotonic() + _WITHIN
        while cluster.resource(ObjectId(f"{group}/v1", "Thing", space, "one")) is None:
            assert time.monotonic() < end
            cluster.forget()
        error = refused(lambda: cluster.apply(thing | {"apiVersion": f"{group}/v1beta1"}))
        other = refused(lambda: cluster.apply(thing | {"apiVersion": f"{group}/v2", "kind": "X"}))
    assert error.message.endswith(f"the cluster has no Thing in {group}/v1beta1, but in {group}/v1")
    assert "of another version than the bundle was made for" in str(error.hint)
    assert other.message.endswith(f"the cluster has no X in {group}/v2")
    absent = refused(lambda: cluster.apply(thing | {"apiVersion": f"no.{group}/v1"}))
    assert "install what defines it" in str(absent.hint)


def test_a_field_that_the_cluster_does_not_know(cluster: Cluster, space: str) -> None:
    deployment = config_map(space, "one") | {"kind": "ConfigMap", "datas": {"a": "b"}}
    error = refused(lambda: cluster.apply(deployment, dry_run=True))
    assert "the cluster's version of this kind lacks the field" in str(error.hint)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            'pods "web" is forbidden: exceeded quota: compute, requested: limits.memory=8Gi, '
            "used: limits.memory=0, limited: limits.memory=4Gi",
            "the namespace's ResourceQuota has no room",
        ),
        (
            'configmaps is forbidden: User "eve" cannot list resource "configmaps" in API group ""',
            "decided by the cluster's RBAC",
        ),
        (
            'Deployment.apps "web" is invalid: spec.selector: Invalid value: x: field is immutable',
            "this field can't change while the object is there",
        ),
        ("something else", None),
        (None, None),
    ],
)
def test_other_refusals_have_their_remedy(message: str | None, expected: str | None) -> None:
    hint = hint_for({"message": message})
    assert hint == expected or (hint and expected and expected in hint)
