"""What a machine has little of: room on the disk, and memory, whatever the size of a bundle."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.making import KEY
from tests.parts.components import ROOT
from tests.project import Project, make_project, write_sparse_safetensors

MIB = 1024**2
BUILD = (sys.executable, "-m", "bundler", "build", "--unsigned")


# --- the disk ---------------------------------------------------------------------------------


def build_on_a_disk(project: Project, size: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Builds onto a disk of that size, which is there for this process alone, and lists it."""
    folder.mkdir()
    command = shlex.join([*BUILD, str(project.spec), "-o", str(folder / "bundle.tar")])
    script = f"""
        mount -t tmpfs -o size={size} tmpfs {shlex.quote(str(folder))} || exit 99
        {command}
        code=$?
        ls -A {shlex.quote(str(folder))}
        exit $code
    """
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def two_mib(project: Project) -> Project:
    """A project whose weights have 2 MiB."""
    write_sparse_safetensors(project.folder / "weights" / "model.safetensors", 2 * MIB)
    project.please_checkov()
    return project


@pytest.mark.needs("root")
def test_a_disk_that_is_too_small_is_named_before_anything_is_written(
    two_mib: Project, tmp_path: Path
) -> None:
    done = build_on_a_disk(two_mib, "1m", tmp_path / "disk")
    assert (done.returncode, done.stdout) == (2, "")
    error = re.search(r"^error: (\S+): needs ([\d.]+) MiB, its disk has ([\d.]+) MiB free$",
                      done.stderr, re.MULTILINE)  # fmt: skip
    assert error is not None, done.stderr
    assert error[1] == f"{tmp_path}/disk/bundle.tar"
    needed, free = float(error[2]), float(error[3])
    assert needed > 2 > 1 == free
    assert "hint: free some room, or write to another disk with -o" in done.stderr
    assert "packing layers" not in done.stderr


@pytest.mark.needs("root")
def test_a_disk_with_just_enough_room_will_do(two_mib: Project, tmp_path: Path) -> None:
    two_mib.build(tmp_path / "bundle.tar")
    pages = -(-(tmp_path / "bundle.tar").stat().st_size // 4096)
    done = build_on_a_disk(two_mib, str(pages * 4096), tmp_path / "disk")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "bundle.tar"), done.stderr


# --- memory -----------------------------------------------------------------------------------

# A process that pytest starts counts pytest's own peak as its own; one that this starts does not.
MEASURE = """
import os, sys
child = os.posix_spawn(sys.executable, [sys.executable, *sys.argv[1:]], os.environ)
_, status, usage = os.wait4(child, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss)
"""


@dataclass(frozen=True)
class Run:
    """A command that has ended: its exit code, and its peak of memory in bytes."""

    code: int
    peak: int


def measured(*arguments: str | Path) -> Run:
    """Runs `airbundle` with these arguments."""
    argv = [sys.executable, "-c", MEASURE, "-m", "bundler", *map(str, arguments)]
    done = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    code, kib = done.stdout.splitlines()[-1].split()
    return Run(int(code), int(kib) * 1024)


@dataclass(frozen=True)
class Gigabyte:
    """A bundle of a 1 GiB model, and what building it took."""

    bundle: Path
    public: Path
    run: Run


@pytest.fixture(scope="module")
def gigabyte(tmp_path_factory: pytest.TempPathFactory, kustomize: Path) -> Gigabyte:
    folder = tmp_path_factory.mktemp("gigabyte")
    project = make_project(folder / "project")
    write_sparse_safetensors(project.folder / "weights" / "model.safetensors", 1024 * MIB)
    project.please_checkov()
    (folder / "a.key").write_bytes(KEY.encrypted_pem(None))
    (folder / "a.pub").write_bytes(KEY.public.pem())
    output = folder / "bundle.tar"
    run = measured("build", project.spec, "-o", output, "--key", folder / "a.key")
    return Gigabyte(output, folder / "a.pub", run)


def test_build_stays_small(gigabyte: Gigabyte) -> None:
    assert gigabyte.run.code == 0
    assert 8 * MIB < gigabyte.run.peak < 256 * MIB
    assert gigabyte.bundle.stat().st_size > 1024 * MIB


@pytest.mark.parametrize("command", ["verify", "inspect"])
def test_a_reader_stays_small(gigabyte: Gigabyte, command: str) -> None:
    run = measured(command, gigabyte.bundle, "--key", gigabyte.public)
    assert run.code == 0
    assert 8 * MIB < run.peak < 256 * MIB


def test_push_stays_small(gigabyte: Gigabyte, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    arguments = ("--registry", f"oci:{layout}", "--key", gigabyte.public)
    run = measured("push", gigabyte.bundle, *arguments)
    assert run.code == 0
    assert 8 * MIB < run.peak < 256 * MIB
    blobs = [path for path in layout.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in blobs) > 1024 * MIB
    for path in blobs:
        os.unlink(path)
