"""A bundle that serves: the project that `airbundle init` makes, with a real model and a server.

Built once for a run of tests: with the server's torch it has half a gigabyte.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from bundler.archive.store import Store
from bundler.build import build
from bundler.core.progress import SILENT
from bundler.init import init
from bundler.sign.keys import Algorithm, PrivateKey
from tests.parts import demoimage

TARGET = "dev"
NAMESPACE = "serving"
MODEL = "model"
_TODAY = "2026-06-30"
_SPEC = """\
apiVersion: airbundle.dev/v1alpha1
kind: Bundle
metadata: {name: movie-search, version: "1.4.0"}
spec:
  platforms: [linux/amd64]
  models:
    - name: model
      source: weights
      include: ["*.safetensors", "*.json", "*.txt", README.md]
      license: Apache-2.0
  images:
    - {name: "serving.local/server:1.0", source: "oci:image"}
  manifests: {base: base, overlays: [dev]}
  parameters:
    - name: replicas
      type: integer
      default: 1
      description: How many pods answer
      targets: [{kind: Deployment, name: server, path: /spec/replicas}]
  policy: policies/default.yaml
"""


@dataclass(frozen=True)
class ServingBundle:
    """`path` of the signed bundle and its `key`; `weights` is the folder that the model is from."""

    path: Path
    key: PrivateKey
    weights: Path


def make_serving(folder: Path, minilm: Path) -> ServingBundle:
    """Builds it in `folder` around the model in `minilm`."""
    project = folder / "project"
    init(project)
    (project / "bundle.yaml").write_text(_SPEC)
    shutil.copytree(minilm, project / "weights", dirs_exist_ok=True)
    shutil.rmtree(project / "image")
    demoimage.make_demo_layout(project / "image")
    key = PrivateKey.generate(Algorithm.P256)
    bundle = ServingBundle(folder / "serving.tar", key, minilm)
    store = Store(folder / "store")
    build(project / "bundle.yaml", bundle.path, key, _TODAY, store, SILENT)
    shutil.rmtree(folder / "store")
    shutil.rmtree(project)
    return bundle
