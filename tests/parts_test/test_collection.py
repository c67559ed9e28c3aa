"""Every process that collects the tests finds the same: workers of one run refuse anything else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# A year apart: times within a zip are exact to two seconds only.
COLLECT = """
import sys, time
import pytest
now, later = time.time, int(sys.argv[1])
time.time = lambda: now() + later
sys.exit(pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider"]))
"""


def _collecting(seed: str, later: str) -> subprocess.Popen[str]:
    """Lists all tests with sets in another order and at another time."""
    return subprocess.Popen(
        [sys.executable, "-c", COLLECT, later],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTEST_ADDOPTS": ""},
        stdout=subprocess.PIPE,
        text=True,
    )


def _collected(process: subprocess.Popen[str]) -> list[str]:
    output, _ = process.communicate()
    assert process.returncode == 0, output[-2000:]
    return [line for line in output.splitlines() if line.startswith("tests/")]


def test_names_of_tests_depend_on_nothing_but_the_tests() -> None:
    with _collecting("1", "0") as first, _collecting("2", "31536000") as second:
        found = _collected(first), _collected(second)
    assert "tests/parts_test/test_collection.py::" in "\n".join(found[0])
    assert set(found[0]) ^ set(found[1]) == set()
    assert found[0] == found[1]
