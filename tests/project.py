"""A project folder on disk, as a person keeps one: bundle.yaml, base, overlays, weights, an image.

Small enough that a build takes a fraction of a second; a test changes the files it is about.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundler.archive import format as fmt
from bundler.archive.store import Store
from bundler.build import Built, build
from bundler.core import strictjson
from bundler.core.digest import Digest
from bundler.core.progress import SILENT
from bundler.sign.keys import PrivateKey
from tests.making import image, tar_of

IMAGE = "registry.corp:5000/team/server:1.0"
MODEL = "airbundle.invalid/models/mini"
TODAY = "2026-06-30"
WEIGHTS = bytes(range(256)) * 8

SPEC = f"""\
apiVersion: airbundle.dev/v1alpha1
kind: Bundle
metadata: {{name: movie-search, version: "1.4.0"}}
spec:
  platforms: [linux/amd64]
  models:
    - {{name: mini, source: weights, license: MIT}}
  files:
    - {{name: data, source: data, kind: dataset}}
  images:
    - {{name: "{IMAGE}", source: "oci:image"}}
  manifests: {{base: base, overlays: [dev, site]}}
  parameters:
    - name: mode
      type: enum
      values: [fast, exact]
      default: fast
      description: How the server searches
      targets: [{{kind: ConfigMap, name: server, path: /data/mode}}]
  policy: policies/default.yaml
"""
POLICY = "apiVersion: airbundle.dev/v1alpha1\nkind: Policy\n"
NAMESPACE = """\
apiVersion: v1
kind: Namespace
metadata:
  name: search
  labels: {pod-security.kubernetes.io/enforce: restricted}
"""
CONFIG_MAP = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: server, namespace: search}
data:
  mode: fast
"""
DEPLOYMENT = f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: server, namespace: search}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: server}}}}
  template:
    metadata: {{labels: {{app: server}}}}
    spec:
      automountServiceAccountToken: false
      securityContext:
        runAsNonRoot: true
        runAsUser: 10001
        seccompProfile: {{type: RuntimeDefault}}
      containers:
        - name: server
          image: {IMAGE}
          securityContext:
            allowPrivilegeEscalation: false
            capabilities: {{drop: [ALL]}}
          volumeMounts: [{{name: weights, mountPath: /mnt, readOnly: true}}]
      volumes:
        - name: weights
          image: {{reference: {MODEL}}}
"""
OVERLAY = "resources: [../../base]\n"
SITE = """\
resources: [../../base]
patches:
  - target: {kind: Deployment, name: server}
    patch: '[{"op": "replace", "path": "/spec/replicas", "value": 2}]'
"""
PACKAGE = "usr/lib/python3/dist-packages/server-1.0.dist-info/METADATA"
METADATA = b"Metadata-Version: 2.1\nName: server\nVersion: 1.0\n"
MISSING = (
    "CKV2_K8S_6", "CKV_K8S_8", "CKV_K8S_9", "CKV_K8S_10", "CKV_K8S_12", "CKV_K8S_13", "CKV_K8S_22",
)  # fmt: skip
FILES: dict[str, str] = {
    "bundle.yaml": SPEC,
    "policies/default.yaml": POLICY,
    "base/kustomization.yaml": "resources: [namespace.yaml, config.yaml, server.yaml]\n",
    "base/namespace.yaml": NAMESPACE,
    "base/config.yaml": CONFIG_MAP,
    "base/server.yaml": DEPLOYMENT,
    "overlays/dev/kustomization.yaml": OVERLAY,
    "overlays/site/kustomization.yaml": SITE,
    "weights/README.md": "---\nlicense: mit\n---\nA model.\n",
    "weights/config.json": '{"hidden_size": 4}\n',
    "data/train.jsonl": '{"text": "a film"}\n',
}


@dataclass(frozen=True)
class Project:
    """A project folder; `spec` is its bundle.yaml."""

    folder: Path

    @property
    def spec(self) -> Path:
        return self.folder / "bundle.yaml"

    @property
    def lock(self) -> Path:
        return self.folder / "bundle.lock"

    @property
    def store(self) -> Store:
        return Store(Path(os.environ["AIRBUNDLE_STORE"]))

    def write(self, name: str, data: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    def edit(self, name: str, old: str, new: str) -> None:
        """Other text for `old`, which stands in the file exactly once."""
        text = (self.folder / name).read_text()
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        self.write(name, text.replace(old, new))

    def please_checkov(self) -> None:
        """What the server should have and has not is skipped: for builds that the real one sees,
        since they are processes of their own.
        """
        skipped = ", ".join(f"{{check: {check}, reason: small}}" for check in MISSING)
        text = (self.folder / "policies/default.yaml").read_text()
        self.write("policies/default.yaml", f"{text}skip: [{skipped}]\n")

    def build(
        self,
        output: Path,
        key: PrivateKey | None = None,
        today: str = TODAY,
        *,
        locked: bool = False,
    ) -> Built:
        return build(self.spec, output, key, today, self.store, SILENT, locked=locked)


def make_project(folder: Path) -> Project:
    """A project in `folder` that builds."""
    project = Project(folder)
    for name, text in FILES.items():
        project.write(name, text)
    project.write("weights/model.safetensors", safetensors(WEIGHTS))
    write_layout(
        folder / "image",
        tar_of({"README": b"one"}),
        tar_of({"bin/server": b"two", PACKAGE: METADATA}),
    )
    return project


def safetensors_header(size: int) -> bytes:
    """What comes before a buffer that is one U8 tensor of `size` bytes."""
    tensor: dict[str, Any] = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
    header = json.dumps({"weight": tensor}, separators=(",", ":")).encode()
    return struct.pack("<Q", len(header)) + header


def safetensors(tensor: bytes) -> bytes:
    """A safetensors file of one U8 tensor."""
    return safetensors_header(len(tensor)) + tensor


def write_sparse_safetensors(path: Path, size: int) -> None:
    """The same with `size` zeros, which take no room on the disk."""
    header = safetensors_header(size)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + size)


def write_layout(folder: Path, *layers: bytes) -> Digest:
    """An OCI layout of one image for linux/amd64; its manifest's digest."""
    top, metadata = image(layers)
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    for data in (*layers, *metadata.values()):
        (blobs / Digest.of(data).hex).write_bytes(data)
    index = {"schemaVersion": 2, "mediaType": fmt.OCI_INDEX, "manifests": [top.to_json()]}
    (folder / "oci-layout").write_bytes(fmt.LAYOUT)
    (folder / "index.json").write_bytes(strictjson.canonical(index))
    return top.digest


def listing(folder: Path, skip: Sequence[str] = ()) -> list[str]:
    """Every file below `folder`, to compare before and after."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in found if name not in skip)
