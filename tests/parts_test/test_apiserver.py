"""The API server of the tests keeps objects, and judges pods as a hardened cluster would."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml

Answer = tuple[int, dict[str, Any]]


def ask(kubeconfig: Path, method: str, path: str, body: object = None) -> Answer:
    """One request with the kubeconfig's token."""
    content = yaml.safe_load(kubeconfig.read_text())
    cluster, token = content["clusters"][0]["cluster"], content["users"][0]["user"].get("token")
    if token is None:
        pytest.skip("the given cluster's kubeconfig has no token")
    request = urllib.request.Request(
        cluster["server"] + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    context = ssl.create_default_context(cafile=cluster.get("certificate-authority"))
    try:
        with urllib.request.urlopen(request, context=context) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.fixture
def namespace(kubeconfig: Path) -> str:
    name = f"parts-{uuid.uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    body = {"metadata": {"name": name, "labels": labels}}
    status, answer = ask(kubeconfig, "POST", "/api/v1/namespaces", body)
    assert (status, answer["metadata"]["name"]) == (201, name)
    return name


def test_it_accepts_a_namespace(kubeconfig: Path, namespace: str) -> None:
    status, answer = ask(kubeconfig, "GET", f"/api/v1/namespaces/{namespace}")
    assert status == 200
    assert answer["status"]["phase"] == "Active"


def test_it_says_its_version(kubeconfig: Path) -> None:
    status, answer = ask(kubeconfig, "GET", "/version")
    assert status == 200
    assert answer["gitVersion"].startswith("v1.")


def test_pod_security_is_enforced(kubeconfig: Path, namespace: str) -> None:
    account = {"metadata": {"name": "default"}}
    ask(kubeconfig, "POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", account)
    container = {"name": "c", "image": "x", "securityContext": {"privileged": True}}
    pod = {"metadata": {"name": "bad"}, "spec": {"containers": [container]}}
    status, answer = ask(kubeconfig, "POST", f"/api/v1/namespaces/{namespace}/pods", pod)
    assert status == 403
    assert 'violates PodSecurity "restricted' in answer["message"]
