"""A real Kubernetes API server with its etcd, and nothing else: no controllers, no nodes.

Objects are checked and kept (admission, Pod Security and RBAC included); nothing acts on them.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.certificates import (
    write_client_authority,
    write_key,
    write_server_certificate,
)
from tests.parts.components import find_program
from tests.parts.service import Service, running

_ROOT = Path(__file__).parents[2]
_LOOPBACK = "127.0.0.1"
# The first of the services' addresses is the API's own, which pods use.
_SERVICE = "10.96.0.1"


@dataclass(frozen=True)
class Ports:
    """Where the three listeners are: etcd's on 127.0.0.1, the API's on the server's address."""

    api: int
    etcd_client: int
    etcd_peer: int


@dataclass(frozen=True)
class ApiServer:
    """A running one. `url` is where it is, `token` an administrator's."""

    url: str
    token: str
    kubeconfig: Path
    service: Service


@contextlib.contextmanager
def running_apiserver(folder: Path, ports: Ports, prefix: Sequence[str] = ()) -> Iterator[Path]:
    """Starts both below `folder` and gives the path of an administrator's kubeconfig.

    `prefix` starts them somewhere else, in a network namespace say. The one node that is there is
    an object alone: a preflight finds room for pods, and none is ever started.
    """
    with apiserver(folder, ports, prefix) as server:
        command = [*prefix, sys.executable, "-m", "tests.cluster.nodes", str(server.kubeconfig)]
        subprocess.run(command, check=True, cwd=_ROOT)
        yield server.kubeconfig


@contextlib.contextmanager
def apiserver(
    folder: Path, ports: Ports, prefix: Sequence[str] = (), address: str = _LOOPBACK
) -> Iterator[ApiServer]:
    """The same for who wants more of it than the kubeconfig, or it at another `address`."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        etcd = stack.enter_context(running(_etcd(folder, ports), folder / "etcd.log", prefix))
        etcd.wait_ready(f"http://127.0.0.1:{ports.etcd_client}/health")
        token = _write_credentials(folder, address)
        command = _apiserver(folder, ports, address)
        server = stack.enter_context(running(command, folder / "apiserver.log", prefix))
        url = f"https://{address}:{ports.api}"
        server.wait_ready(f"{url}/readyz", folder / "ca.crt", token)
        yield ApiServer(url, token, _write_kubeconfig(folder, url, token), server)


def _etcd(folder: Path, ports: Ports) -> list[str]:
    client = f"http://127.0.0.1:{ports.etcd_client}"
    peer = f"http://127.0.0.1:{ports.etcd_peer}"
    return [
        _program("etcd"),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    ]


def _apiserver(folder: Path, ports: Ports, address: str) -> list[str]:
    # Loopback is no address that it would publish by itself, nor has to.
    published = ["--endpoint-reconciler-type=none"] if address == _LOOPBACK else []
    return [
        _program("kube-apiserver"),
        *published,
        f"--etcd-servers=http://127.0.0.1:{ports.etcd_client}",
        f"--bind-address={address}",
        f"--advertise-address={address}",
        f"--secure-port={ports.api}",
        f"--cert-dir={folder / 'certificates'}",
        f"--tls-cert-file={folder / 'server.crt'}",
        f"--tls-private-key-file={folder / 'server.key'}",
        f"--client-ca-file={folder / 'clients.crt'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        f"--service-account-key-file={folder / 'service-accounts.key'}",
        f"--service-account-signing-key-file={folder / 'service-accounts.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--kubelet-preferred-address-types=InternalIP",
        "--authorization-mode=RBAC",
        # As clusters have it: whether a pod may be privileged is for Pod Security to say.
        "--allow-privileged=true",
    ]


def _program(name: str) -> str:
    found = find_program(name)
    assert found is not None, "callers ask `require` first"
    return str(found)


def _write_credentials(folder: Path, address: str) -> str:
    """The server's certificate and keys; returns the administrator's token."""
    token = secrets.token_hex(16)
    tokens = folder / "tokens.csv"
    tokens.touch(mode=0o600)
    tokens.write_text(f'{token},admin,admin,"system:masters"\n')
    write_server_certificate(folder, "kubernetes", address, _SERVICE)
    write_client_authority(folder)
    write_key(folder / "service-accounts.key")
    return token


def _write_kubeconfig(folder: Path, url: str, token: str) -> Path:
    path = folder / "kubeconfig"
    path.touch(mode=0o600)
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        "clusters": [
            {
                "name": "test",
                "cluster": {"server": url, "certificate-authority": str(folder / "ca.crt")},
            }
        ],
        "users": [{"name": "admin", "user": {"token": token}}],
    }
    # JSON is YAML too.
    path.write_text(json.dumps(content, indent=2) + "\n")
    return path
