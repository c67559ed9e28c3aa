"""One lock gives the same bytes everywhere: in any folder, time zone, umask and Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bundler.archive import format as fmt
from bundler.sign.keys import Algorithm, PrivateKey
from tests.parts import core_packages
from tests.parts.components import ROOT
from tests.project import Project, make_project

SLOT = slice(512, 512 + fmt.SLOT_SIZE)


@dataclass(frozen=True)
class Surroundings:
    """Where a build runs: none of it may be seen in what is built."""

    folder: str
    zone: str
    umask: int
    python: Path = Path(sys.executable)
    packages: tuple[Path, ...] = ()
    more: dict[str, str] = field(default_factory=dict)

    def build(self, project: Project, root: Path) -> bytes:
        """What `airbundle build --locked --unsigned` writes from a copy of `project`."""
        copy = root / self.folder / "project"
        shutil.copytree(project.folder, copy)
        for path in copy.rglob("*"):
            path.chmod(path.stat().st_mode & ~self.umask)
            os.utime(path, (self.umask, self.umask))
        paths = os.pathsep.join(map(str, (ROOT, *self.packages)))
        argv = [str(self.python), "-m", "bundler", "build", "bundle.yaml", "--locked", "--unsigned"]
        done = subprocess.run(
            [*argv, "-o", "../bundle.tar"],
            cwd=copy,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": paths,
                "TZ": self.zone,
                "AIRBUNDLE_STORE": str(root / self.folder / "store"),
                **self.more,
            },
            umask=self.umask,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return (root / self.folder / "bundle.tar").read_bytes()


HERE = Surroundings("here", "UTC", 0o022)
ELSEWHERE = Surroundings(
    "somewhere/else/altogether", "Pacific/Kiritimati", 0o077,
    more={"PYTHONHASHSEED": "7", "LANG": "de_DE.UTF-8", "HOME": "/nowhere", "USER": "somebody"},
)  # fmt: skip


@pytest.fixture
def locked(project: Project, tmp_path: Path, real_checkov: None) -> Project:
    """The project with its lock, and inputs whose names are not ASCII."""
    project.write("weights/größe.txt", "1")
    project.write("data/ünï/😀.txt", "2")
    project.please_checkov()
    project.build(tmp_path / "first.tar")
    return project


def test_another_folder_time_zone_and_umask_change_nothing(locked: Project, tmp_path: Path) -> None:
    first = (tmp_path / "first.tar").read_bytes()
    assert HERE.build(locked, tmp_path) == first
    assert ELSEWHERE.build(locked, tmp_path) == first


@pytest.mark.needs("second-python")
def test_another_python_changes_nothing(
    locked: Project, tmp_path: Path, second_python: Path
) -> None:
    packages = core_packages.fetch(second_python)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "checkov").symlink_to(Path(sys.executable).with_name("checkov"))
    path = os.pathsep.join((str(programs), os.environ["PATH"]))
    there = Surroundings(
        "there", "Asia/Kathmandu", 0o002, second_python, (packages,), {"PATH": path}
    )
    assert there.build(locked, tmp_path) == (tmp_path / "first.tar").read_bytes()


def test_nothing_of_the_machine_is_in_it(locked: Project, tmp_path: Path) -> None:
    data = (tmp_path / "first.tar").read_bytes()
    for text in (str(tmp_path), str(ROOT), os.uname().nodename, sys.prefix):
        assert text.encode() not in data


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_signature_changes_the_slot_alone(
    locked: Project, tmp_path: Path, algorithm: Algorithm
) -> None:
    locked.build(tmp_path / "signed.tar", PrivateKey.generate(algorithm), locked=True)
    signed = (tmp_path / "signed.tar").read_bytes()
    unsigned = (tmp_path / "first.tar").read_bytes()
    assert unsigned[SLOT] == b" " * fmt.SLOT_SIZE != signed[SLOT]
    assert signed[: SLOT.start] == unsigned[: SLOT.start]
    assert signed[SLOT.stop :] == unsigned[SLOT.stop :]


def test_other_inputs_are_another_bundle(tmp_path: Path, kustomize: Path) -> None:
    one, two = (make_project(tmp_path / name) for name in ("one", "two"))
    two.write("weights/extra.txt", "x")
    indexes = {
        project.build(tmp_path / f"{project.folder.name}.tar").index for project in (one, two)
    }
    assert len(indexes) == 2
