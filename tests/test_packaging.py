"""The wheel: everything the far side needs, and nothing of the build side."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bundler import scaffold
from bundler.installer import copy_own

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [built] = folder.glob("*.whl")
    return built


def files_below(folder: Path, name: str) -> set[str]:
    return {
        f"{name}/{path.relative_to(folder)}"
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_the_package_and_what_init_copies(wheel: Path) -> None:
    expected = files_below(ROOT / "bundler", "bundler")
    for name in scaffold.FOLDERS:
        expected |= files_below(ROOT / name, f"bundler/scaffold/{name}")
    expected.add("bundler/requirements/core.txt")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == expected
    assert "bundler/py.typed" in names


def test_the_wheel_asks_for_the_core_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith("/METADATA")]
        lines = archive.read(metadata).decode().splitlines()
    required = [line for line in lines if line.startswith("Requires-Dist:")]
    core = {re.split("[ <>=]+", line)[1] for line in required if "extra ==" not in line}
    assert core == {
        "click",
        "cryptography",
        "docker",
        "httpx",
        "publicsuffixlist",
        "pyyaml",
    }


def run_inside(wheel: Path, folder: Path, program: str) -> str:
    """What `program` prints where the wheel is installed, and the checkout is not."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_scaffold_is_found_in_a_wheel(wheel: Path, tmp_path: Path) -> None:
    found = run_inside(wheel, tmp_path, "from bundler import scaffold; print(scaffold.root())")
    assert Path(found.strip()) == tmp_path / "bundler" / "scaffold"


def test_an_installed_airbundle_knows_its_own_lock(wheel: Path, tmp_path: Path) -> None:
    program = "from bundler.tools import wheels; print(wheels.core_lock(), end='')"
    lock = (ROOT / "requirements" / "core.txt").read_text()
    assert run_inside(wheel, tmp_path, program) == lock


def test_an_installer_is_the_same_from_a_wheel_and_from_a_checkout(
    wheel: Path, tmp_path: Path
) -> None:
    copy_own(tmp_path / "checkout")
    program = "import sys; from pathlib import Path; from bundler.installer import copy_own; "
    run_inside(wheel, tmp_path, f"{program}copy_own(Path({str(tmp_path / 'wheel')!r}))")
    assert files_below(tmp_path / "wheel", "") == files_below(tmp_path / "checkout", "")
    for name in files_below(tmp_path / "wheel", ""):
        one, other = (tmp_path / place / name.lstrip("/") for place in ("wheel", "checkout"))
        assert one.read_bytes() == other.read_bytes()


def test_the_scaffold_is_found_in_a_checkout() -> None:
    assert all((scaffold.root() / name).is_dir() for name in scaffold.FOLDERS)
