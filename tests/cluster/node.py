"""A whole cluster of one real node, in a network without a way out. Needs root.

etcd, API server, controller manager, scheduler, containerd, kubelet, kube-proxy, storage on the
node's disk, and the site's registry with TLS by an authority of its own. Cluster DNS is missing.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.cluster import kubernetes, storage, wires
from tests.cluster.apiserver import ApiServer, Ports, apiserver
from tests.cluster.certificates import write_server_certificate
from tests.cluster.cgroups import pods_cgroup
from tests.cluster.sandbox import Sandbox, running_sandbox
from tests.cluster.wires import ADDRESS, Capture
from tests.parts.components import KUBERNETES, ROOT
from tests.parts.registry import Registry, running_registry
from tests.parts.service import READY_WITHIN, Service, ServiceError, running

# What must be here, besides root; components.py says where each is from.
PROGRAMS = (
    *("etcd", "docker-registry", "ip", "nsenter", "iptables", "conntrack"),
    *("runc", "ptp", "containerd", "containerd-shim-runc-v2", "ctr", "pause", *KUBERNETES),
)
# Nobody else is in the network, so nobody else has these.
_PORTS = Ports(api=6443, etcd_client=2379, etcd_peer=2380)
_REGISTRY_PORT = 5000
# In the node, PATH has our own build first.
_CTR = ("ctr", "--address", kubernetes.SOCKET, "--namespace", "k8s.io")
_PAUSE = 0.1


@dataclass(frozen=True)
class Node:
    """A running cluster.

    name: the node's. registry: "HOST:PORT", with TLS by `ca`, also for the kubelet. All of it can
    be reached only by what `exec` starts or from within `entered`.
    """

    name: str
    registry: str
    ca: Path
    kubeconfig: Path
    storage_class: str
    sandbox: Sandbox
    _apiserver: ApiServer
    _registry: Registry

    @property
    def netns(self) -> Path:
        """What `nsenter --net=` takes."""
        return self.sandbox.netns

    @property
    def storage(self) -> Path:
        """Where the registry keeps its blobs and tags."""
        return self._registry.storage

    def exec(
        self, argv: Sequence[str | Path], env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program in the network to its end; `env` is all its environment, or else ours."""
        return subprocess.run(
            [*self.sandbox.network, *map(str, argv)],
            env=None if env is None else dict(env),
            capture_output=True,
            text=True,
            check=False,
        )

    def exec_in(
        self, pod: Mapping[str, Any], argv: Sequence[str], user: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program in the first container of a pod to its end, as its user or as `user`."""
        [status, *_] = pod["status"]["containerStatuses"]
        container = status["containerID"].removeprefix("containerd://")
        command = [*_CTR, "tasks", "exec", f"--exec-id=exec-{uuid.uuid4().hex}", f"--user={user}"]
        return subprocess.run(
            [*self.sandbox.inside, *command, container, *argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def entered(self) -> contextlib.AbstractContextManager[None]:
        """The calling thread, and those that it starts, are in the network until the end."""
        return self.sandbox.entered()

    def capture(self) -> contextlib.AbstractContextManager[Capture]:
        """The packets that leave the node from now on; none of them arrives anywhere."""
        return wires.capturing(self.sandbox)

    def restart_apiserver(self) -> None:
        """Kills it, and returns when it is ready again, with all that it knew."""
        self._apiserver.service.restart()

    def restart_registry(self) -> None:
        """Kills it, and returns when it answers again."""
        self._registry.service.restart()


@contextlib.contextmanager
def running_node(folder: Path) -> Iterator[Node]:
    """Starts everything below `folder`, and takes all of it away at the end but some logs."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        stack.callback(_forget, folder)
        cgroup = stack.enter_context(pods_cgroup())
        sandbox = stack.enter_context(running_sandbox())
        _prepare(sandbox, folder)
        registry = stack.enter_context(_running_site_registry(folder, sandbox))
        ca = folder / "tls" / "ca.crt"
        kubernetes.write_containerd(folder, registry.host, ca)
        kubernetes.write_kubelet(folder, cgroup)
        runtime = stack.enter_context(_service(folder, sandbox, kubernetes.containerd(folder)))
        keys = folder / "cluster"
        server = stack.enter_context(apiserver(keys, _PORTS, sandbox.inside, ADDRESS))
        for command in (
            kubernetes.controller_manager(keys, server.kubeconfig),
            kubernetes.scheduler(keys, server.kubeconfig),
            kubernetes.proxy(server.kubeconfig),
            _provisioner(folder, server.kubeconfig),
        ):
            stack.enter_context(_service(folder, sandbox, command))
        _import_pause(folder, sandbox, runtime)
        kubelet = kubernetes.kubelet(folder, server.kubeconfig)
        stack.enter_context(_service(folder, sandbox, kubelet))
        _wait_ready(sandbox, server)
        # Everything at once: what ends in order first waits for what uses it.
        stack.callback(sandbox.end)
        yield Node(
            kubernetes.NAME,
            registry.host,
            ca,
            server.kubeconfig,
            storage.CLASS,
            sandbox,
            server,
            registry,
        )


def _prepare(sandbox: Sandbox, folder: Path) -> None:
    """The network, and places of its own for what programs keep outside of `folder`."""
    wires.lay(sandbox)
    # What is said to a pod that is gone stays here, too: no route but this one is its any more.
    sandbox.run(["ip", "route", "add", "unreachable", kubernetes.PODS])
    # A container's volumes may be shared with it, as on any node.
    sandbox.run(["mount", "--make-rshared", "/"])
    # The node itself looks up nothing, and hears so at once.
    names = folder / "resolv.conf"
    names.write_text("nameserver 127.0.0.1\n")
    sandbox.run(["mount", "--bind", names, "/etc/resolv.conf"])
    for place in ("/run", "/var/log", "/var/lib/cni"):
        Path(place).mkdir(exist_ok=True)
        sandbox.run(["mount", "-t", "tmpfs", "tmpfs", place])
    # Its own name is short enough for the sockets in it.
    for each in (folder / "kubelet", kubernetes.KUBELET):
        each.mkdir(exist_ok=True)
    sandbox.run(["mount", "--bind", folder / "kubelet", kubernetes.KUBELET])


@contextlib.contextmanager
def _running_site_registry(folder: Path, sandbox: Sandbox) -> Iterator[Registry]:
    tls = folder / "tls"
    tls.mkdir()
    write_server_certificate(tls, "registry.site", ADDRESS)
    place = folder / "registry"
    keeps = {"filesystem": {"rootdirectory": str(place / "storage")}, "delete": {"enabled": True}}
    with running_registry(
        place,
        _REGISTRY_PORT,
        sandbox.inside,
        settings={"storage": keeps},
        tls=tls,
        address=ADDRESS,
    ) as registry:
        yield registry


def _service(
    folder: Path, sandbox: Sandbox, command: Sequence[str]
) -> contextlib.AbstractContextManager[Service]:
    return running(command, folder / f"{Path(command[0]).name}.log", sandbox.inside)


def _provisioner(folder: Path, kubeconfig: Path) -> list[str]:
    program = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1));"
    program += "runpy.run_module('tests.cluster.storage', run_name='__main__', alter_sys=True)"
    return [sys.executable, "-c", program, str(ROOT), str(kubeconfig), str(folder / "volumes")]


def _import_pause(folder: Path, sandbox: Sandbox, runtime: Service) -> None:
    runtime.wait_probe([*_CTR, "version"])
    sandbox.run([*_CTR, "images", "import", folder / "pause.tar"])


def _wait_ready(sandbox: Sandbox, server: ApiServer) -> None:
    """Until a pod may be made: the node takes some, and they have an account."""
    deadline = time.monotonic() + READY_WITHIN
    with sandbox.entered(), storage.open_api(server.kubeconfig) as api:
        made = api.post("/apis/storage.k8s.io/v1/storageclasses", json=storage.storage_class())
        made.raise_for_status()
        while not _is_ready(api):
            if time.monotonic() > deadline:
                raise ServiceError(f"the node is not ready after {READY_WITHIN:.0f} s")
            time.sleep(_PAUSE)


def _is_ready(api: httpx.Client) -> bool:
    node = api.get(f"/api/v1/nodes/{kubernetes.NAME}")
    if node.status_code != httpx.codes.OK or node.json()["spec"].get("taints"):
        return False
    conditions = {each["type"]: each["status"] for each in node.json()["status"]["conditions"]}
    account = api.get("/api/v1/namespaces/default/serviceaccounts/default")
    return conditions.get("Ready") == "True" and account.status_code == httpx.codes.OK


def _forget(folder: Path) -> None:
    """Images and volumes are too large to be left; whatever was mounted there is gone by now."""
    for name in ("containerd", "kubelet", "registry", "volumes"):
        shutil.rmtree(folder / name, ignore_errors=True)
