"""The rows: what airbundle does, and beside each what it is held to."""

from __future__ import annotations

import json
import shutil
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.data import MIB, Data
from benchmarks.measure import Bench, Usage, in_turn, program
from benchmarks.results import Result, result
from benchmarks.yardstick import limit, packing, reading
from tests.parts.components import ROOT
from tests.parts.registry import Registry, running_registry
from tests.parts.service import free_ports
from tests.project import make_project

ROUNDS = 3
# What a registry and crane know, too: airbundle's own artifacts are none of these.
_PULLABLE = ("models/", "registry.corp_5000/")
TARGETS = ("dev", "site")


@dataclass(frozen=True)
class Site:
    """Everything that rows share.

    bench: where all that is measured writes. scratch: what lies beside it, registries say, and
    counts for nobody. goals: by the names of rows.
    """

    bench: Bench
    scratch: Path
    data: Data
    goals: Mapping[str, float]
    rounds: int = ROUNDS

    @property
    def bundle(self) -> Path:
        """What the first row builds, and the others read."""
        return self.bench.folder / "bundle.tar"

    @property
    def key(self) -> Path:
        """The private key; its public half lies beside it."""
        return self.scratch / "bench.key"

    @property
    def public(self) -> Path:
        """The public half of the key."""
        return self.key.with_suffix(".pub")

    def contest(
        self, name: str, ours: Callable[[], Usage], theirs: Callable[[], Usage] | None = None
    ) -> tuple[list[Result], Usage]:
        """The rows that every contest has, and the medians that others are made of."""
        own, other = in_turn(self.rounds, ours, theirs)
        against = other.seconds if other else None
        rows = [
            self.row(name, own.seconds, "s", against),
            self.row(f"{name}, memory", own.memory / MIB, "MiB"),
            self.row(f"{name}, memory of a child", own.children / MIB, "MiB"),
            self.row(f"{name}, written", own.written / MIB, "MiB"),
        ]
        return rows, own

    def row(self, name: str, value: float, unit: str, against: float | None = None) -> Result:
        """One row, with its goal if there is one."""
        return result(name, value, unit, against, self.goals.get(name))


def prepare(site: Site) -> None:
    """The key, the lock, and one build that nobody times: it leaves the gate's result behind.

    What an installed airbundle has compiled is compiled, too.
    """
    site.bench.program([sys.executable, "-m", "compileall", "-q", ROOT / "bundler"])
    site.bench.airbundle("keygen", site.key, "--no-passphrase")
    site.bench.airbundle("lock", site.data.spec)
    site.bench.airbundle(*_build(site))


def _build(site: Site) -> tuple[str | Path, ...]:
    return "build", site.data.spec, "--locked", "--key", site.key, "-o", site.bundle


def building(site: Site) -> list[Result]:
    """`build --locked` against reading, the sha256s that the format needs, and writing once."""
    plan, sources = packing(site.data), [*site.data.weights, *site.data.blobs]
    copy = site.bench.folder / "copy"

    def ours() -> Usage:
        site.bundle.unlink(missing_ok=True)
        return site.bench.airbundle(*_build(site), around=sources)

    def theirs() -> Usage:
        try:
            return limit(site.bench, plan, copy, sources)
        finally:
            copy.unlink(missing_ok=True)

    rows, own = site.contest("build --locked", ours, theirs)
    size = site.bundle.stat().st_size
    return [*rows, site.row("build --locked, extra disk", own.disk / MIB, "MiB", size / MIB)]


def verifying(site: Site) -> list[Result]:
    """`verify` against reading and hashing every byte once."""
    plan, around = reading(site.bundle), [site.bundle]
    command = "verify", site.bundle, "--key", site.public
    return site.contest(
        "verify",
        lambda: site.bench.airbundle(*command, around=around),
        lambda: limit(site.bench, plan, around=around),
    )[0]


def looking(site: Site) -> list[Result]:
    """`inspect` and `render`, which read metadata alone."""
    around = [site.bundle]
    inspect = "inspect", site.bundle, "--key", site.public
    render = "render", site.bundle, "--key", site.public, "--target", TARGETS[0]
    return [
        *site.contest("inspect", lambda: site.bench.airbundle(*inspect, around=around))[0],
        *site.contest("render", lambda: site.bench.airbundle(*render, around=around))[0],
    ]


def pushing(site: Site) -> list[Result]:
    """`push` to an empty registry against `crane push` of the same layers out of a layout."""
    layout = unpacked(site.bundle, site.scratch / "layout")
    blobs = sorted((layout / "blobs" / "sha256").iterdir())

    def ours() -> Usage:
        with empty_registry(site.scratch) as registry:
            command = "push", site.bundle, "--key", site.public, "--registry", registry.host
            return site.bench.airbundle(*command, around=[site.bundle])

    def theirs() -> Usage:
        with empty_registry(site.scratch) as registry:
            command = "push", "--index", layout, f"{registry.host}/all", "--insecure"
            return site.bench.program([program("crane"), *command], around=blobs)

    try:
        return site.contest("push", ours, theirs)[0]
    finally:
        shutil.rmtree(layout)


def unpacked(bundle: Path, layout: Path) -> Path:
    """The bundle as a folder, whose index names no more than what other programs push."""
    with tarfile.open(bundle) as tar:
        tar.extractall(layout, filter="data")
    index = json.loads((layout / "index.json").read_text())
    names = "org.opencontainers.image.ref.name"
    index["manifests"] = [
        entry for entry in index["manifests"] if entry["annotations"][names].startswith(_PULLABLE)
    ]
    (layout / "index.json").write_text(json.dumps(index))
    return layout


@contextmanager
def empty_registry(scratch: Path) -> Iterator[Registry]:
    """One that is gone afterwards with all that it holds."""
    folder = scratch / "registry"
    folder.mkdir()
    try:
        with running_registry(folder, free_ports(1)[0]) as registry:
            yield registry
    finally:
        shutil.rmtree(folder)


def pulling(site: Site) -> list[Result]:
    """The image out of a registry into the store, against `crane pull` into a layout."""
    with empty_registry(site.scratch) as registry:
        reference = f"{registry.host}/server:1"
        site.bench.program([program("crane"), "push", site.data.image, reference, "--insecure"])
        around = [path for path in registry.storage.rglob("data") if path.is_file()]
        store, layout = site.bench.folder / "store", site.bench.folder / "pulled"

        def ours() -> Usage:
            shutil.rmtree(store, ignore_errors=True)
            return site.bench.observed("pull", f"docker://{reference}", store, around=around)

        def theirs() -> Usage:
            shutil.rmtree(layout, ignore_errors=True)
            command = "pull", "--format=oci", "--insecure", reference, layout
            return site.bench.program([program("crane"), *command], around=around)

        try:
            return site.contest("pull", ours, theirs)[0]
        finally:
            shutil.rmtree(layout, ignore_errors=True)


def gating(site: Site) -> list[Result]:
    """The gate of a small project whose result is not known yet, against checkov by itself."""
    project = make_project(site.scratch / "gate")
    project.please_checkov()
    spec = project.spec
    bundle, rendered = site.scratch / "gate.tar", site.scratch / "rendered"
    store = site.bench.folder / "store"
    site.bench.airbundle("build", spec, "--unsigned", "-o", bundle)
    rendered.mkdir(exist_ok=True)
    for target in TARGETS:
        words = "render", bundle, "--allow-unsigned", "--target", target
        site.bench.airbundle(*words, output=rendered / f"{target}.yaml")

    def ours() -> Usage:
        shutil.rmtree(store, ignore_errors=True)
        return site.bench.airbundle("audit", spec)

    checkov = Path(sys.executable).with_name("checkov")
    options = "--framework", "kubernetes", "--skip-download", "--soft-fail", "--compact"
    command = checkov, "--directory", rendered, *options
    return site.contest("cold gate", ours, lambda: site.bench.program(command))[0]


# The first builds what the others read.
ALL = (building, verifying, looking, pushing, pulling, gating)
