"""The programs and surroundings that tests lean on, by name, and where each comes from.

One table for two readers: `tests/parts/install` gets what is missing, `needs` (needs.py) looks
whether it is there. Only the standard library: `make demo` installs from here too.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
TOOLS = BUILD / "tools"

# Debian keeps `ip`, network plugins and others in folders that a person's PATH often lacks.
_MORE_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/lib/cni")


@dataclass(frozen=True)
class GoTool:
    """A program built from a Go module of its own into build/tools.

    module: folder with go.mod, below the repository's root. package: what `go build` is given.
    version_of: the module whose version, without asking it, `version_flags` are filled with
    ({version}, {major}, {minor}): a program built as somebody's dependency doesn't know its own.
    """

    module: str
    package: str
    version_of: str = ""
    version_flags: str = ""
    tags: str = ""


KUBERNETES = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
)


def _kubernetes(name: str) -> GoTool:
    """One of Kubernetes' own programs; the tags are those of its release build."""
    return GoTool(
        "tests/cluster",
        f"k8s.io/kubernetes/cmd/{name}",
        version_of="k8s.io/kubernetes",
        version_flags=(
            "-X k8s.io/component-base/version.gitVersion={version}"
            " -X k8s.io/component-base/version.gitMajor={major}"
            " -X k8s.io/component-base/version.gitMinor={minor}"
        ),
        tags="selinux,notest,grpcnotrace",
    )


GO_TOOLS: dict[str, GoTool] = {
    "kustomize": GoTool(
        "tests/parts/kustomize",
        "sigs.k8s.io/kustomize/kustomize/v5",
        version_of="sigs.k8s.io/kustomize/kustomize/v5",
        version_flags="-X sigs.k8s.io/kustomize/api/provenance.version={version}",
    ),
    "crane": GoTool("tests/parts/oracles", "github.com/google/go-containerregistry/cmd/crane"),
    "cosign": GoTool("tests/parts/oracles", "github.com/sigstore/cosign/v2/cmd/cosign"),
    "limit": GoTool("benchmarks/limit", "."),
    "reader": GoTool("tests/reader", "."),
    "dsse-check": GoTool("tests/parts/oracles", "./dsse-check"),
    "kstatus": GoTool("tests/parts/kstatus", "."),
    **{name: _kubernetes(name) for name in KUBERNETES},
    # Debian's containerd is one without image volumes. The tags leave out what needs C libraries.
    **{
        name: GoTool(
            "tests/parts/containerd",
            f"github.com/containerd/containerd/v2/cmd/{name}",
            tags="no_btrfs,no_zfs,no_devmapper",
        )
        for name in ("containerd", "containerd-shim-runc-v2", "ctr")
    },
    "pause": GoTool("tests/parts/pause", "."),
    "versitygw": GoTool("tests/parts/versitygw", "github.com/versity/versitygw/cmd/versitygw"),
}

# program: the Debian package that has it
DEBIAN: dict[str, str] = {
    "busybox": "busybox-static",
    "conntrack": "conntrack",
    "debootstrap": "debootstrap",
    "docker-registry": "docker-registry",
    "dockerd": "docker.io",
    "etcd": "etcd-server",
    "fish": "fish",
    "ip": "iproute2",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "npm": "npm",
    "ptp": "containernetworking-plugins",
    "runc": "runc",
    "skopeo": "skopeo",
    "tar": "tar",
    "tinyproxy": "tinyproxy-bin",
    "zsh": "zsh",
}

# What `tests/parts/fetched.py` gets out of package indexes into build/cache.
FETCHED = (
    "minilm",
    "awstools",
    "citools",
    "sarif",
    "cyclonedx",
    "core-wheels",
    "trees",
    "demoimage",
)


def names() -> tuple[str, ...]:
    """Every component that can be installed, in the order in which it is."""
    return (*DEBIAN, *FETCHED, *GO_TOOLS)


def find_program(name: str) -> Path | None:
    """The program's path: our own build first, then PATH, then the administrator's folders."""
    own = TOOLS / name
    if own.is_file() and os.access(own, os.X_OK):
        return own
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *_MORE_FOLDERS)))
    return Path(found) if found else None


def missing_programs(wanted: Iterable[str]) -> list[str]:
    """Those of the wanted programs that are nowhere."""
    return [name for name in wanted if find_program(name) is None]
