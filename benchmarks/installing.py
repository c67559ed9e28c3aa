"""The rows of `install`: against a copy of the same layouts, again, and upgraded."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import Usage, program
from benchmarks.results import Result
from benchmarks.rows import TARGETS, Site, empty_registry, unpacked
from tests.cluster.apiserver import Ports, running_apiserver
from tests.parts.registry import Registry
from tests.parts.service import free_ports
from tests.project import Project

# One after the other: it copies no more than one at a time.
_COPY = """
skopeo=$1 registry=$2
shift 2
for layout; do
    "$skopeo" copy --quiet --insecure-policy --all --dest-tls-verify=false \\
        "oci:$layout" "docker://$registry/${layout##*/}:1"
done
"""


def installing(site: Site) -> list[Result]:
    """`install` on a real API server and an empty registry, against `skopeo copy --all`.

    No pod is waited for: there is no node. What is copied are the bundle's images and its model.
    """
    layouts = _layouts(site)
    blobs = sorted((site.scratch / "layout" / "blobs" / "sha256").iterdir())
    copy = ["sh", "-euc", _COPY, "sh", program("skopeo")]

    def ours() -> Usage:
        with _far_side(site.scratch) as (registry, kubeconfig):
            command = _install(site, site.bundle, registry, kubeconfig)
            return site.bench.airbundle(*command, around=[site.bundle])

    def theirs() -> Usage:
        with empty_registry(site.scratch) as registry:
            return site.bench.program([*copy, registry.host, *layouts], around=blobs)

    try:
        return site.contest("install", ours, theirs)[0]
    finally:
        shutil.rmtree(site.scratch / "layout")
        shutil.rmtree(site.scratch / "layouts")


def again(site: Site) -> list[Result]:
    """A second `install` with nothing changed, and an upgrade of one manifest."""
    newer = _newer(site)
    with _far_side(site.scratch) as (registry, kubeconfig):
        command = _install(site, site.bundle, registry, kubeconfig)
        site.bench.airbundle(*command)
        rows = site.contest(
            "install again", lambda: site.bench.airbundle(*command, around=[site.bundle])
        )[0]
        there = _blobs(registry)
        upgrade = _install(site, newer, registry, kubeconfig)
        rows += phased(site, "upgrade of one manifest", upgrade)
        sent = len(_blobs(registry) - there)
    newer.unlink()
    return [*rows, site.row("upgrade of one manifest, blobs", sent, "blobs")]


def phased(
    site: Site, name: str, install: Sequence[str | Path], prefix: Sequence[str] = ()
) -> list[Result]:
    """The seconds of one `install`, and of each of its phases; `prefix` starts it elsewhere."""
    file = site.scratch / "phases.json"
    usage = site.bench.observed("phases", file, *install, prefix=prefix)
    spent = json.loads(file.read_text())
    rows = [site.row(name, usage.seconds, "s")]
    return rows + [site.row(f"{name}, {phase}", spent[phase], "s") for phase in spent]


def _install(
    site: Site, bundle: Path, registry: Registry, kubeconfig: Path
) -> tuple[str | Path, ...]:
    words = "install", bundle, "--key", site.public, "--target", TARGETS[0]
    return *words, "--registry", registry.host, "--kubeconfig", kubeconfig, "--timeout", "0s"


@contextmanager
def _far_side(scratch: Path) -> Iterator[tuple[Registry, Path]]:
    """An empty registry, and an API server without a kubelet, that nobody has installed on."""
    folder = scratch / "cluster"
    try:
        with (
            empty_registry(scratch) as registry,
            running_apiserver(folder, Ports(*free_ports(3))) as kubeconfig,
        ):
            yield registry, kubeconfig
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _layouts(site: Site) -> Sequence[Path]:
    """A layout for each image and model of the bundle; they have their blobs in common."""
    whole = unpacked(site.bundle, site.scratch / "layout")
    entries = json.loads((whole / "index.json").read_text())["manifests"]
    layouts = []
    for number, entry in enumerate(entries):
        layout = site.scratch / "layouts" / f"entry-{number}"
        layout.mkdir(parents=True)
        (layout / "oci-layout").write_bytes((whole / "oci-layout").read_bytes())
        (layout / "blobs").symlink_to(whole / "blobs")
        entry.pop("annotations")
        index = {"schemaVersion": 2, "manifests": [entry]}
        (layout / "index.json").write_text(json.dumps(index))
        layouts.append(layout)
    return layouts


def _newer(site: Site) -> Path:
    """A bundle of the next version, in which one manifest says something else."""
    folder = site.scratch / "newer"
    shutil.copytree(site.data.folder, folder, copy_function=os.link)
    project = Project(folder)
    for name, old, new in (
        ("bundle.yaml", 'version: "1.4.0"', 'version: "1.4.1"'),
        ("base/server.yaml", "replicas: 1", "replicas: 3"),
    ):
        text = (folder / name).read_text()
        (folder / name).unlink()  # or the first one's would change as well
        project.write(name, text.replace(old, new))
    bundle = site.bench.folder / "newer.tar"
    site.bench.airbundle("lock", project.spec)
    site.bench.airbundle("build", project.spec, "--locked", "--key", site.key, "-o", bundle)
    shutil.rmtree(folder)
    return bundle


def _blobs(registry: Registry) -> set[str]:
    """What its repositories hold, but for those of bundles: each image's and model's blobs."""
    repositories = registry.storage / "docker" / "registry" / "v2" / "repositories"
    found = (path.relative_to(repositories) for path in repositories.rglob("_layers/sha256/*"))
    return {str(path) for path in found if path.parts[0] != "bundles"}


ALL = (installing, again)
