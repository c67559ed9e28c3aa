"""Which tests stay together, where workers share a run."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

CONFTEST = """
from tests.parts.workers import ByFile

def pytest_xdist_make_scheduler(config, log):
    return ByFile(config, log)
"""
TESTS = """
import os, pathlib, pytest

@pytest.mark.parametrize("number", range(20))
def test_it(number):
    with (pathlib.Path(__file__).with_suffix(".workers")).open("a") as file:
        file.write(os.environ["PYTEST_XDIST_WORKER"] + "\\n")
"""


def test_a_file_stays_with_one_worker_and_so_does_all_of_the_node(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.mkdir("tests")
    pytester.mkdir("tests/node")
    for name in ("tests/test_one", "tests/test_two", "tests/node/test_a", "tests/node/test_b"):
        (pytester.path / f"{name}.py").write_text(TESTS)
    result = pytester.runpytest_inprocess(
        "-n", "2", "--import-mode=importlib", "-p", "no:cacheprovider"
    )
    result.assert_outcomes(passed=80)

    def workers(name: str) -> set[str]:
        return set((pytester.path / f"{name}.workers").read_text().split())

    assert len(workers("tests/test_one")) == len(workers("tests/test_two")) == 1
    assert workers("tests/node/test_a") | workers("tests/node/test_b") in ({"gw0"}, {"gw1"})
