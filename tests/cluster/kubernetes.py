"""What makes a node of a machine: the programs beside the API server, and how each is started."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cluster.wires import ADDRESS
from tests.parts import images
from tests.parts.components import find_program

NAME = "node"
SOCKET = "/run/containerd/containerd.sock"
KUBELET = Path("/var/lib/kubelet")
PODS = "10.88.0.0/16"
# Nothing answers there; who looks up a name is seen trying.
NAME_SERVER = "192.0.2.53"
PAUSE = "docker.io/airbundle-test/pause:latest"

# oom scores: lowering them is more than root of a small machine may do.
_CONTAINERD = """\
version = 3
root = "{folder}/containerd"
state = "/run/containerd"
[grpc]
address = "{socket}"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{pause}"
[plugins."io.containerd.cri.v1.images".registry]
config_path = "{folder}/registries"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{plugins}"]
conf_dir = "{folder}/cni"
"""
_REGISTRY = """\
server = "https://{registry}"
ca = "{ca}"
"""


def write_containerd(folder: Path, registry: str, ca: Path) -> None:
    """containerd's settings, how it reaches the registry, the pods' network, the pause image."""
    plugin = find_program("ptp")
    assert plugin is not None, "callers ask `require` first"
    settings = _CONTAINERD.format(folder=folder, socket=SOCKET, pause=PAUSE, plugins=plugin.parent)
    (folder / "containerd.toml").write_text(settings)
    hosts = folder / "registries" / registry / "hosts.toml"
    hosts.parent.mkdir(parents=True)
    hosts.write_text(_REGISTRY.format(registry=registry, ca=ca))
    # Each pod has a wire of its own to the node: no bridge, so no bridge's firewall settings. No
    # address is rewritten, so that what leaves the node says which pod it is from.
    (folder / "cni").mkdir()
    network = {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "ptp",
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": PODS}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": "/run/cni",
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }
    (folder / "cni" / "10-pods.conflist").write_text(json.dumps(network))
    images.make_docker_archive(folder / "pause.tar", "pause")


def write_kubelet(folder: Path, cgroup: str) -> None:
    """The kubelet's settings."""
    settings = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        # Nobody else is in the network.
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup,
        "failCgroupV1": False,
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "clusterDNS": [NAME_SERVER],
        "clusterDomain": "cluster.local",
        "oomScoreAdj": 0,
        "registryPullQPS": 0,
        "serializeImagePulls": False,
        # A developer's disk is fuller than a server's.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1Gi"},
        "imageGCHighThresholdPercent": 100,
    }
    (folder / "kubelet.json").write_text(json.dumps(settings, indent=2) + "\n")


def containerd(folder: Path) -> list[str]:
    """Its command line."""
    return [_program("containerd"), f"--config={folder / 'containerd.toml'}", "--log-level=warn"]


def kubelet(folder: Path, kubeconfig: Path) -> list[str]:
    """Its command line."""
    return [
        _program("kubelet"),
        f"--config={folder / 'kubelet.json'}",
        f"--kubeconfig={kubeconfig}",
        f"--root-dir={KUBELET}",
        f"--cert-dir={folder / 'kubelet-certificates'}",
        f"--volume-plugin-dir={folder / 'kubelet-plugins'}",
        f"--hostname-override={NAME}",
        f"--node-ip={ADDRESS}",
    ]


def controller_manager(keys: Path, kubeconfig: Path) -> list[str]:
    """Its command line; `keys` is the API server's folder."""
    return [
        _program("kube-controller-manager"),
        f"--kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--cert-dir={keys / 'controller-manager'}",
        f"--root-ca-file={keys / 'ca.crt'}",
        f"--service-account-private-key-file={keys / 'service-accounts.key'}",
    ]


def scheduler(keys: Path, kubeconfig: Path) -> list[str]:
    """Its command line."""
    return [
        _program("kube-scheduler"),
        f"--kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--cert-dir={keys / 'scheduler'}",
    ]


def proxy(kubeconfig: Path) -> list[str]:
    """Its command line."""
    return [
        _program("kube-proxy"),
        f"--kubeconfig={kubeconfig}",
        "--proxy-mode=iptables",
        f"--cluster-cidr={PODS}",
        f"--hostname-override={NAME}",
        "--conntrack-max-per-core=0",
        "--oom-score-adj=0",
    ]


def _program(name: str) -> str:
    found = find_program(name)
    assert found is not None, "callers ask `require` first"
    return str(found)
