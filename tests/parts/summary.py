"""The run's very last line: how many tests were found, how many ran, and why the others didn't.

A test ran when its body did and no part of it was skipped. Whatever else keeps a test from
running counts as skipped: deselected, xfailed, a failed setup, a run that stopped early. A test
file that gave no test at all (a collection error, `--ignore`, a skip of the whole module) counts
as one test that was found and not collected. With CI=true any difference fails the run.
"""

from __future__ import annotations

import fnmatch
import os
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import pytest

from tests.parts.needs import in_ci

_NEEDS = "needs "


def pytest_configure(config: pytest.Config) -> None:
    """Starts counting, unless this run only lists tests; a worker's are counted by who sent it."""
    if not config.getoption("collectonly") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Summary(config), "airbundle-summary")


class _Summary:
    """Counts by node id, so that nothing is counted twice."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._found: set[str] = set()
        self._ran: set[str] = set()
        self._skipped: dict[str, str] = {}

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        self._found.add(item.nodeid)

    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """All workers find the same, and nobody else does."""
        self._found.update(ids)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        for item in items:
            self._skipped.setdefault(item.nodeid, "deselected")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if not report.passed:
            self._miss(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if hasattr(report, "wasxfail"):
            self._skipped.setdefault(report.nodeid, "xfailed")
        elif report.skipped:
            self._skipped.setdefault(report.nodeid, _reason(report))
        elif report.when == "call":
            self._ran.add(report.nodeid)
        elif report.when == "setup" and report.failed:
            self._skipped.setdefault(report.nodeid, "setup failed")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Outside of all other wrappers: pytest's own closing line is printed by then."""
        yield
        for path in _test_files(self._config):
            if not any(name == path or name.startswith(f"{path}::") for name in self._found):
                self._miss(path)
        run = len(self._ran - self._skipped.keys())
        for name in self._found - self._ran:
            self._skipped.setdefault(name, "not reached")
        if in_ci() and run != len(self._found):
            self._write("CI=true: a test that was found and did not run fails the run")
            if session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self._write(self._line(run))

    def _miss(self, nodeid: str) -> None:
        self._found.add(nodeid)
        self._skipped.setdefault(nodeid, "not collected")

    def _line(self, run: int) -> str:
        reasons = Counter(self._skipped.values())
        named = ", ".join(f"{reason}: {count}" for reason, count in sorted(reasons.items()))
        skipped = f"skipped: {len(self._skipped)}" + (f" ({named})" if named else "")
        return f"tests found: {len(self._found)}, run: {run}, {skipped}"

    def _write(self, line: str) -> None:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(line)


def _reason(report: pytest.TestReport) -> str:
    """Of `needs` the parts' names, of other skips what they say."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ").removeprefix(_NEEDS)


def _test_files(config: pytest.Config) -> Iterator[str]:
    """Every test file below what this run was asked for, as a node id, collected or not."""
    patterns = config.getini("python_files")
    skipped_folders = config.getini("norecursedirs")
    for argument in config.args:
        start = config.invocation_params.dir / argument.split("::")[0]
        if start.is_file():
            yield _node_id(config, start)
        for folder, folders, files in os.walk(start):
            folders[:] = sorted(each for each in folders if not _matches(each, skipped_folders))
            yield from (
                _node_id(config, Path(folder, each))
                for each in sorted(files)
                if _matches(each, patterns)
            )


def _node_id(config: pytest.Config, path: Path) -> str:
    return path.relative_to(config.rootpath).as_posix()


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
