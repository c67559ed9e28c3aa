"""More than 8 GiB in one member: built, verified, read by GNU tar, and sparse as its source."""

from __future__ import annotations

import subprocess
import time

import pytest

from bundler.cli import main
from tests.large import TENSOR, LargeBundle


def test_it_is_verified(nine_gib: LargeBundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert nine_gib.path.stat().st_size > TENSOR
    assert main.run(["verify", str(nine_gib.path), "--key", str(nine_gib.public)]) == 0
    assert "verified  movie-search 1.4.0: TRUSTED" in capsys.readouterr().out
