"""A registry that wants a login: what `nodes` and `install` write is enough for a real kubelet."""

from __future__ import annotations

import base64
import json
import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bundler.cli.main import run
from bundler.nodes import write_node_settings
from tests.cluster.node import Node
from tests.fakes.registry.tokens import HTPASSWD, PASSWORD, USER
from tests.nodefield import Field, new_layer, node_field
from tests.parts.registry import Registry, running_registry
from tests.releases import TARGET

_PORT = 5443


@pytest.fixture
def on(node: Node, tmp_path: Path) -> Iterator[Field]:
    with node_field(tmp_path, node) as on:
        yield on


@pytest.fixture
def closed(on: Field, tmp_path: Path) -> Iterator[Registry]:
    """A registry on the node for USER alone; containerd has the settings that `nodes` wrote."""
    (tmp_path / "users").write_text(HTPASSWD)
    auth = {"auth": {"htpasswd": {"realm": "tests", "path": str(tmp_path / "users")}}}
    inside, tls = on.node.sandbox.inside, on.node.ca.parent
    address = on.node.registry.partition(":")[0]
    with running_registry(
        tmp_path / "closed", _PORT, inside, settings=auth, tls=tls, address=address
    ) as registry:
        write_node_settings(registry.host, on.node.ca, [], tmp_path / "nodes")
        known = tls.parent / "registries" / registry.host
        shutil.copytree(tmp_path / "nodes/containerd/certs.d" / registry.host, known)
        yield registry
        shutil.rmtree(known)


def test_a_kubelet_pulls_by_the_secret_that_was_made_of_the_site_s_login(
    on: Field, closed: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust = ssl.create_default_context(cafile=on.node.ca)
    anonymous = httpx.get(f"{closed.url}/v2/", verify=trust, trust_env=False)
    assert anonymous.status_code == 401
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"auths": {closed.host: {"auth": login}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    # The layer is new: no earlier pull lets the node have it without a login.
    release = on.release(layers=[new_layer(1000)], imagePullSecrets=[{"name": "pull"}])
    release.spec += f"  site: {{{{pullSecret: {{{{name: pull, namespaces: [{on.mark}]}}}}}}}}\n"
    path = release.write(tmp_path / "a.tar")
    where = [f"--key={on.key}", f"--target={TARGET}", f"--registry={closed.host}/{on.mark}"]
    login_of_pods = f"--registry-credentials={file}"
    assert run(["install", str(path), *where, *on.flags(), login_of_pods]) == 0
    on.runs(release)
    [pod] = on.pods()
    [status] = pod["status"]["containerStatuses"]
    assert status["imageID"].startswith(f"{closed.host}/{on.mark}/")
