"""The whole main job, in the places where it happens.

On the connected side a bundle is made of a real model and a real image. On the far side, a network
namespace that leads nowhere, the installer file verifies, renders, pushes and installs with nothing
but Python, a registry and an API server.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bundler.archive.store import Store
from bundler.build import build
from bundler.core.progress import SILENT
from bundler.init import init
from bundler.sign.keys import Algorithm, PrivateKey
from tests.cluster.namespace import FarSide
from tests.parts.components import ROOT
from tests.parts.images import make_oci_layout

pytestmark = pytest.mark.needs("root")

# Creates the pods of every Deployment as a dry run: the namespace's own admission judges them.
_ADMIT = """
import json, sys
from contextlib import closing
from pathlib import Path
from bundler.cluster.client import open_cluster
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import ObjectId

with closing(open_cluster(Path(sys.argv[1]), None, "tests")) as cluster:
    deployment = cluster.get(ObjectId("apps/v1", "Deployment", "serving", "server"))
    template = deployment["spec"]["template"]
    labels = template["metadata"]["labels"]
    metadata = {"name": "probe", "namespace": "serving"}
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": template["spec"]}
    made = cluster.create(pod | {"metadata": metadata | {"labels": labels}}, dry_run=True)
    volumes = made["spec"]["volumes"]
    print(json.dumps([each["image"]["reference"] for each in volumes if "image" in each]))
    spec = template["spec"]
    spec["containers"][0]["securityContext"]["runAsNonRoot"] = False
    spec["securityContext"]["runAsNonRoot"] = False
    try:
        cluster.create(pod | {"metadata": metadata}, dry_run=True)
    except ClusterError as error:
        print(error.message)
"""


@dataclass(frozen=True)
class Operator:
    """Somebody on the far side, with a bare Python, the installer file and nothing on PATH."""

    side: FarSide
    file: Path
    folder: Path

    def _exec(self, words: Sequence[str], **more: str) -> subprocess.CompletedProcess[str]:
        python = Path(sys.base_prefix) / "bin" / "python{}.{}".format(*sys.version_info)
        environment = {"PATH": "", "HOME": str(self.folder), **more}
        return self.side.exec([python, "-I", "-S", self.file, *words], environment)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._exec(arguments)

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def script(self, text: str, *arguments: str) -> str:
        done = self._exec(["-c", text, *arguments], SHIV_INTERPRETER="1")
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, minilm: Path, kustomize: Path) -> Path:
    """A signed bundle of the real model and an image with several layers; its key beside it."""
    folder = tmp_path_factory.mktemp("near")
    project = init(folder / "project").folder
    for file in minilm.iterdir():
        if file.is_file():
            (project / "weights" / file.name).write_bytes(file.read_bytes())
    image = project / "image"
    image.rename(folder / "placeholder")
    make_oci_layout(image, "busybox")
    key = PrivateKey.generate(Algorithm.P256)
    (folder / "release.pub").write_bytes(key.public.pem())
    build(
        project / "bundle.yaml",
        folder / "bundle.tar",
        key,
        "2026-01-01",
        Store(folder / "store"),
        SILENT,
    )
    return folder / "bundle.tar"


@pytest.fixture(scope="module")
def wheelhouse() -> Path:
    """What `make wheelhouse` makes."""
    make = ["make", "--no-print-directory", "wheelhouse", f"PYTHON={sys.executable}"]
    subprocess.run(make, cwd=ROOT, check=True, capture_output=True)
    return ROOT / "build" / "wheelhouse"


@pytest.fixture(scope="module")
def operator(
    tmp_path_factory: pytest.TempPathFactory, netns: FarSide, installer_file: Path
) -> Operator:
    """airbundle as one file, in there."""
    return Operator(netns, installer_file, tmp_path_factory.mktemp("far"))


def test_nothing_of_the_build_side_is_there(operator: Operator) -> None:
    listed = operator.script(
        "import importlib.metadata as m; print(*[d.name for d in m.distributions()])"
    )
    names = {name.lower() for name in listed.split()}
    assert {"click", "cryptography", "httpx"} <= names
    assert not names & {"torch", "transformers", "checkov", "huggingface-hub", "pytest", "uv"}


def test_the_wheelhouse_installs_without_an_index(
    tmp_path: Path, netns: FarSide, wheelhouse: Path
) -> None:
    """The other way, for whoever has an environment of their own to install into."""
    made = netns.exec([sys.executable, "-m", "venv", tmp_path / "venv"])
    assert made.returncode == 0, made.stderr
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    wheels: list[str | Path] = ["--no-index", "--find-links", wheelhouse]
    python = tmp_path / "venv" / "bin" / "python"
    installed = netns.exec(
        [python, "-m", "pip", "install", "--quiet", *wheels, "airbundle"], environment
    )
    assert installed.returncode == 0, installed.stderr
    done = netns.exec([python.with_name("airbundle"), "--version"], environment)
    assert done.stdout.startswith("airbundle ")


def test_verify_and_render(operator: Operator, bundle: Path) -> None:
    key = str(bundle.with_name("release.pub"))
    verified = operator.json("verify", str(bundle), "--key", key)
    assert verified["status"] == "TRUSTED"
    rendered = operator.run("render", str(bundle), "--key", key, "--target", "dev")
    assert rendered.returncode == 0
    assert "image: registry.airbundle.invalid/serving.local/server@sha256:" in rendered.stdout


def test_install_upgrade_and_again(operator: Operator, bundle: Path) -> None:
    """Installed, seen by the API server and its admission, installed again without a change."""
    install = (
        "install", str(bundle), "--key", str(bundle.with_name("release.pub")),
        "--target", "dev", "--registry", operator.side.registry,
        "--kubeconfig", str(operator.side.kubeconfig),
        "--timeout", "0s",  # there is no kubelet
    )  # fmt: skip
    planned = operator.json(*install, "--dry-run")
    assert not _repositories(operator)
    done = operator.json(*install)
    expected = [*planned["plan"]["created"], *planned["plan"]["unchecked"]]
    assert sorted(map(str, done["plan"]["created"])) == sorted(map(str, expected))
    repositories = _repositories(operator)
    assert {"serving.local/server", "models/model", "modelpacks/model"} <= set(repositories)
    reference, refusal = operator.script(_ADMIT, str(operator.side.kubeconfig)).splitlines()
    assert json.loads(reference)[0].startswith(f"{operator.side.registry}/models/model@sha256:")
    assert 'violates PodSecurity "restricted' in refusal
    again = operator.json(*install)
    plan = again["plan"]
    assert [plan[part] for part in ("created", "changed", "removed")] == [[], [], []]
    assert _repositories(operator) == repositories


def test_the_models_files_arrive_in_the_registry_byte_for_byte(
    operator: Operator, bundle: Path, minilm: Path
) -> None:
    """Behaviour 26: what nodes pull holds the tokenizer as it was."""
    pushed = operator.run(
        "push", str(bundle), "--key", str(bundle.with_name("release.pub")),
        "--registry", f"{operator.side.registry}/again",
    )  # fmt: skip
    assert pushed.returncode == 0, pushed.stderr
    script = """
import io, sys, tarfile
import httpx
base = f"http://{sys.argv[1]}/v2/again/models/model"
accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
tag = httpx.get(base + "/tags/list").json()["tags"][0]
manifest = httpx.get(f"{base}/manifests/{tag}", headers=accept).json()
small = httpx.get(f"{base}/blobs/{manifest['layers'][0]['digest']}").content
sys.stdout.write(tarfile.open(fileobj=io.BytesIO(small)).extractfile("models/tokenizer.json").read().decode())
"""
    arrived = operator.script(script, operator.side.registry)
    assert arrived == (minilm / "tokenizer.json").read_text(encoding="utf-8")


def _repositories(operator: Operator) -> dict[str, Any]:
    """Every repository of the registry with its tags."""
    script = """
import json, sys
import httpx
base = f"http://{sys.argv[1]}/v2/"
names = httpx.get(base + "_catalog").json()["repositories"]
tags = {name: httpx.get(f"{base}{name}/tags/list").json()["tags"] for name in names}
print(json.dumps(tags))
"""
    found: dict[str, Any] = json.loads(operator.script(script, operator.side.registry))
    return found
