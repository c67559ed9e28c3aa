"""What is said of a disk that is too small."""

from __future__ import annotations

import pytest

from bundler.core.room import shortage

MIB = 1024**2


@pytest.mark.parametrize(
    ("size", "free", "said"),
    [
        (87 * MIB + 400_000, 40 * MIB, "needs 87.4 MiB, its disk has 40.0 MiB free"),
        (MIB + 1, MIB, "needs 1.1 MiB, its disk has 1.0 MiB free"),
        (3 * 1024 * MIB, 0, "needs 3,072.0 MiB, its disk has 0.0 MiB free"),
    ],
)
def test_the_numbers_of_what_does_not_fit_differ(size: int, free: int, said: str) -> None:
    assert shortage("b.tar", size, free) == f"b.tar: {said}"
