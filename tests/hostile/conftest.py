"""A desk with a valid bundle on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile.desk import NAME, OBJECTS, Desk
from tests.releases import Release


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A whole small release, signed by KEY."""
    path = tmp_path_factory.mktemp("good") / "b.tar"
    return Release(NAME, OBJECTS, "1.4.0").write(path).read_bytes()


@pytest.fixture
def desk(tmp_path: Path, good: bytes, capsys: pytest.CaptureFixture[str]) -> Desk:
    (tmp_path / "b.tar").write_bytes(good)
    return Desk(tmp_path, capsys)
