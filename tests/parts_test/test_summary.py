"""The plugin that names missing parts and counts, run inside itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.parts import components, needs, summary

pytest_plugins = ["pytester"]

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs pytest with our plugins over the test files given by name."""

    def start(*arguments: str, ci: bool = False, **files: str) -> pytest.RunResult:
        monkeypatch.setenv("CI", "true" if ci else "false")
        pytester.makepyfile(**files)
        return pytester.runpytest_inprocess(*arguments, plugins=[needs, summary])

    return start


def last_line(result: pytest.RunResult) -> str:
    return str(result.outlines[-1])


PASSES = "def test_a(): pass\n\ndef test_b(): pass\n"
# Its program is taken away in each test that uses it.
NEEDY = """
import pytest

@pytest.mark.needs("crane", "git")
def test_needy(): pass

def test_plain(): pass
"""


@pytest.fixture
def without_crane(monkeypatch: pytest.MonkeyPatch) -> None:
    real = components.find_program
    monkeypatch.setattr(
        components, "find_program", lambda name: None if name == "crane" else real(name)
    )


@pytest.mark.parametrize("ci", [False, True])
def test_all_run(run: Run, ci: bool) -> None:
    result = run(test_one=PASSES, ci=ci)
    assert result.ret == 0
    assert last_line(result) == "tests found: 2, run: 2, skipped: 0"


def test_pytests_own_closing_line_stays(run: Run) -> None:
    result = run(test_one=PASSES)
    assert "2 passed in" in result.outlines[-2]


def test_what_workers_do_is_counted(run: Run) -> None:
    skipped = 'import pytest\n\n@pytest.mark.skip(reason="later")\ndef test_c(): pass\n'
    result = run("-n", "2", test_one=PASSES, test_two=skipped)
    assert result.ret == 0
    assert last_line(result) == "tests found: 3, run: 2, skipped: 1 (later: 1)"
    assert run("-n", "2", test_one=PASSES, test_two=skipped, ci=True).ret == 1


def test_a_failed_test_ran(run: Run) -> None:
    result = run(test_one="def test_a(): assert False")
    assert result.ret == 1
    assert last_line(result) == "tests found: 1, run: 1, skipped: 0"


@pytest.mark.needs("git")
@pytest.mark.usefixtures("without_crane")
def test_a_missing_part_is_named(run: Run) -> None:
    result = run(test_one=NEEDY)
    assert result.ret == 0
    result.assert_outcomes(passed=1, skipped=1)
    assert last_line(result) == "tests found: 2, run: 1, skipped: 1 (crane: 1)"


@pytest.mark.needs("git")
@pytest.mark.usefixtures("without_crane")
def test_a_missing_part_is_an_error_in_ci(run: Run) -> None:
    result = run(test_one=NEEDY, ci=True)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*needs crane, and CI=true allows no skip*"])
    assert result.ret == 1
    assert last_line(result) == "tests found: 2, run: 1, skipped: 1 (setup failed: 1)"


@pytest.mark.usefixtures("without_crane")
def test_a_fixture_may_require_a_part(run: Run) -> None:
    text = """
import pytest
from tests.parts.needs import require

@pytest.fixture
def part(): require("crane")

def test_a(part): pass
"""
    result = run(test_one=text)
    assert last_line(result) == "tests found: 1, run: 0, skipped: 1 (crane: 1)"


def test_a_part_that_nobody_knows_is_an_error(run: Run) -> None:
    text = "import pytest\n\n@pytest.mark.needs('krane')\ndef test_a(): pass\n"
    result = run(test_one=text)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*needs(krane): known are *crane*"])


SKIPPED = {
    "skip": ("@pytest.mark.skip(reason='later')\ndef test_b(): pass", "later"),
    "skip_inside": ("def test_b(): pytest.skip('too slow')", "too slow"),
    "xfail": ("@pytest.mark.xfail\ndef test_b(): assert False", "xfailed"),
    "xpass": ("@pytest.mark.xfail(strict=False)\ndef test_b(): pass", "xfailed"),
    "xfail_norun": ("@pytest.mark.xfail(run=False)\ndef test_b(): pass", "xfailed"),
    "subtest": (
        "def test_b(subtests):\n with subtests.test('one'):\n  pytest.skip('a part of it')",
        "a part of it",
    ),
}


@pytest.mark.parametrize("case", SKIPPED)
@pytest.mark.parametrize("ci", [False, True])
def test_what_counts_as_skipped(run: Run, case: str, ci: bool) -> None:
    body, reason = SKIPPED[case]
    result = run(test_one=f"import pytest\n\ndef test_a(): pass\n\n{body}\n", ci=ci)
    assert result.ret == (1 if ci else 0)
    assert last_line(result) == f"tests found: 2, run: 1, skipped: 1 ({reason}: 1)"


@pytest.mark.parametrize("ci", [False, True])
def test_deselected_counts_as_skipped(run: Run, ci: bool) -> None:
    result = run("-k", "test_a", test_one=PASSES, ci=ci)
    assert result.ret == (1 if ci else 0)
    assert last_line(result) == "tests found: 2, run: 1, skipped: 1 (deselected: 1)"


@pytest.mark.parametrize("ci", [False, True])
@pytest.mark.parametrize("option", ["--ignore=test_two.py", "--ignore-glob=*two*"])
def test_an_ignored_file_counts_as_skipped(run: Run, option: str, ci: bool) -> None:
    result = run(option, test_one=PASSES, test_two=PASSES, ci=ci)
    assert result.ret == (1 if ci else 0)
    assert last_line(result) == "tests found: 3, run: 2, skipped: 1 (not collected: 1)"


def test_an_ignored_folder_counts_as_skipped(run: Run, pytester: pytest.Pytester) -> None:
    folder = pytester.mkdir("deep")
    (folder / "test_two.py").write_text(PASSES)
    result = run("--ignore=deep", test_one=PASSES)
    assert last_line(result) == "tests found: 3, run: 2, skipped: 1 (not collected: 1)"


def test_a_conftest_that_ignores_a_file(run: Run) -> None:
    result = run(test_one=PASSES, test_two=PASSES, conftest="collect_ignore = ['test_two.py']")
    assert last_line(result) == "tests found: 3, run: 2, skipped: 1 (not collected: 1)"


def test_a_collection_error(run: Run) -> None:
    result = run("--continue-on-collection-errors", test_one=PASSES, test_two="1 / 0")
    assert result.ret == 1
    assert last_line(result) == "tests found: 3, run: 2, skipped: 1 (not collected: 1)"


@pytest.mark.parametrize("ci", [False, True])
def test_a_module_that_skips_itself(run: Run, ci: bool) -> None:
    text = "import pytest\npytest.importorskip('no_such_module_here')\n\ndef test_c(): pass\n"
    result = run(test_one=PASSES, test_two=text, ci=ci)
    assert result.ret == (1 if ci else 0)
    assert last_line(result) == "tests found: 3, run: 2, skipped: 1 (not collected: 1)"


def test_a_run_that_stopped_early(run: Run) -> None:
    result = run("-x", test_one="def test_a(): assert False\n\ndef test_b(): pass\n")
    assert last_line(result) == "tests found: 2, run: 1, skipped: 1 (not reached: 1)"


def test_only_what_was_asked_for_is_looked_at(run: Run) -> None:
    result = run("test_one.py::test_a", test_one=PASSES, test_two=PASSES, ci=True)
    assert result.ret == 0
    assert last_line(result) == "tests found: 1, run: 1, skipped: 0"


def test_a_listing_counts_nothing(run: Run) -> None:
    result = run("--collect-only", test_one=PASSES, ci=True)
    assert result.ret == 0
    assert "tests found" not in result.stdout.str()
