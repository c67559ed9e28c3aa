"""More than 8 GiB in one member: built, verified, listed by GNU tar, as sparse as its source."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bundler.cli import main
from tests.large import TENSOR, LargeBundle, make_large

MIB = 1024**2


@pytest.fixture(scope="module")
def nine_gib(tmp_path_factory: pytest.TempPathFactory, kustomize: Path) -> Iterator[LargeBundle]:
    """A signed bundle whose one model file has 9 GiB."""
    bundle = make_large(tmp_path_factory.mktemp("large"))
    yield bundle
    bundle.path.unlink()


def test_it_is_verified(nine_gib: LargeBundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert nine_gib.path.stat().st_size > TENSOR > 8 * 1024 * MIB
    assert main.run(["verify", str(nine_gib.path), "--key", str(nine_gib.public)]) == 0
    assert "verified  movie-search 1.4.0: TRUSTED" in capsys.readouterr().out


def test_zeros_take_no_room_on_the_disk(nine_gib: LargeBundle) -> None:
    assert nine_gib.path.stat().st_blocks * 512 < 2 * MIB


@pytest.mark.needs("tar")
def test_gnu_tar_lists_it(nine_gib: LargeBundle) -> None:
    done = subprocess.run(
        ["tar", "--list", "--verbose", "--file", nine_gib.path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    sizes = [int(line.split()[2]) for line in done.stdout.splitlines()]
    assert sum(size > TENSOR for size in sizes) == 1
    assert all(line.endswith(tuple("0123456789abcdef")) for line in done.stdout.splitlines()[3:])


def test_the_other_reader_verifies_it(nine_gib: LargeBundle, tool: Callable[[str], Path]) -> None:
    argv: list[str | Path] = [tool("reader"), "verify", "--key", nine_gib.public, nine_gib.path]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\t")[1].strip() == "ok"
