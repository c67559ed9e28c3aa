"""Pushes to a real registry that are cut off, and run again: what is there is not sent again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bundler.core.progress import SILENT
from bundler.push import push
from bundler.sign.open import open_bundle
from tests.fakes.registry.front import Front
from tests.fakes.registry.serving import Asked, Reply, serving
from tests.listing import listing
from tests.making import Contents
from tests.parts.components import ROOT
from tests.parts.registry import Registry
from tests.releases import Release, config_map

pytestmark = pytest.mark.needs("docker-registry")

IMAGES = {
    "registry.corp_5000/one": tuple(f"layer {n} of one".encode() for n in range(4)),
    "registry.corp_5000/two": (b"layer 0 of one", b"the other's own"),
}


@dataclass
class Killing(Front):
    """Remembers the blobs that arrived; when there are so many, ends whoever sends them."""

    arrived: int = 0
    process: subprocess.Popen[bytes] | None = None
    stored: list[str] = field(default_factory=list)

    def _forward(self, asked: Asked) -> Reply:
        reply = super()._forward(asked)
        if reply.status == 201:
            self.stored += sent([asked])
        if self.process is not None and len(self.stored) >= self.arrived:
            os.kill(self.process.pid, signal.SIGKILL)
        return reply


@pytest.fixture
def front(registry: Registry) -> Iterator[Killing]:
    running = Killing(registry.host, where="")
    with serving(running.answer) as running.host:
        yield running


def write(folder: Path, version: str = "1.0.0") -> Path:
    release = Release("app", [config_map("s", "c", version=version)], version)
    release.contents = Contents(images=IMAGES)
    return release.write(folder / f"{version}.tar")


def sent(asked: list[Asked]) -> list[str]:
    """The blobs that were sent, by digest, but for those of the bundle's own artifact."""
    puts = (each.path for each in asked if each.method == "PUT" and "/blobs/" in each.path)
    return [path.rpartition("digest=")[2] for path in puts if "/bundles/" not in path]


def address(front: Front, folder: Path) -> str:
    return f"{front.host}/t{abs(hash(str(folder)))}"


@pytest.mark.parametrize("arrived", [1, 6])
def test_killed_in_the_middle_it_goes_on_where_it_stopped(
    front: Killing, registry: Registry, tmp_path: Path, arrived: int
) -> None:
    """Behaviour 13: SIGKILL with so many blobs there, and with the next one on its way."""
    file, where = write(tmp_path), address(front, tmp_path)
    whole = address(front, tmp_path / "whole")
    with open_bundle(file, None) as bundle:
        push(bundle, whole, SILENT)
    expected = sent(front.asked)
    assert len(expected) == len(set(expected)) > 7
    front.stored.clear()
    argv = [sys.executable, "-m", "bundler", "push", str(file), "--registry", where]
    front.arrived = arrived
    with subprocess.Popen([*argv, "--allow-unsigned"], cwd=ROOT, stderr=subprocess.DEVNULL) as run:
        front.process = run
        assert run.wait(60) == -signal.SIGKILL
    front.process = None
    front.asked.clear()
    stored = list(front.stored)
    assert arrived <= len(stored) < len(expected)
    with open_bundle(file, None) as bundle:
        push(bundle, where, SILENT)
    again = sent(front.asked)
    assert set(again).isdisjoint(stored)
    assert set(again) < set(expected)
    assert same(listing(registry), where, whole)


def same(found: dict[str, str], one: str, other: str) -> bool:
    """Whether two prefixes hold the same under the same names."""
    prefixes = [each.partition("/")[2] + "/" for each in (one, other)]
    below = [
        {name.removeprefix(p): value for name, value in found.items() if name.startswith(p)}
        for p in prefixes
    ]
    return below[0] == below[1] != {}


def test_an_upgrade_of_one_manifest_sends_no_blob(front: Front, tmp_path: Path) -> None:
    where = address(front, tmp_path)
    with open_bundle(write(tmp_path), None) as bundle:
        push(bundle, where, SILENT)
    front.asked.clear()
    with open_bundle(write(tmp_path, "1.0.1"), None) as bundle:
        done = push(bundle, where, SILENT)
    assert sent(front.asked) == []
    assert (done.sent.transfers, done.sent.entries, done.sent.artifact) == ((), (), True)
