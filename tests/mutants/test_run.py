"""The runner of mutants, on a tree of one module and one test."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run")

CODE = """\
def check(size):
    if size > 3:
        raise ValueError("too big")
    return size
"""
TEST = """\
import pytest
from room.check import check

def test_refuses():
    with pytest.raises(ValueError):
        check(4)

def test_accepts():
    assert check(3) == 3

@pytest.mark.skip(reason="not here")
def test_skipped():
    check(4)

@pytest.fixture
def broken():
    assert check(9) is None

def test_in_a_fixture(broken):
    pass
"""
REFUSES = "# test: tests/test_check.py::test_refuses\n"
HEAD = "--- a/room/check.py\n+++ b/room/check.py\n@@ -1,4 +1,4 @@\n def check(size):\n"
TAIL = '         raise ValueError("too big")\n     return size\n'
KILLED = REFUSES + HEAD + "-    if size > 3:\n+    if size > 4:\n" + TAIL


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for folder in ("room", "tests/mutants", "build"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "room" / "check.py").write_text(CODE)
    (tmp_path / "tests" / "test_check.py").write_text(TEST)
    shutil.copy(RUN, tmp_path / "tests" / "mutants")
    return tmp_path


def run(tree: Path, **patches: str) -> tuple[int, list[str]]:
    for name, text in patches.items():
        (tree / "tests" / "mutants" / f"{name}.patch").write_text(text)
    command = [sys.executable, "tests/mutants/run"]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_a_mutant_whose_test_fails_is_killed(tree: Path) -> None:
    code, lines = run(tree, first=KILLED, second=KILLED)
    assert code == 0
    assert sorted(lines[:-1]) == ["killed  first.patch", "killed  second.patch"]
    assert lines[-1] == "2 mutants killed, 0 survived"


def test_the_tree_itself_is_left_alone(tree: Path) -> None:
    (tree / "tests" / "mutants" / "a.patch").write_text(KILLED)
    before = {path: path.is_file() and path.read_bytes() for path in tree.rglob("*")}
    assert run(tree)[0] == 0
    assert {path: path.is_file() and path.read_bytes() for path in tree.rglob("*")} == before


def test_a_mutant_whose_test_still_passes_survives(tree: Path) -> None:
    text = KILLED.replace("size > 4", "size > 3.5")
    code, lines = run(tree, a=text)
    assert code == 1
    assert lines[-2:] == [
        "a.patch: tests/test_check.py::test_refuses still passes",
        "0 mutants killed, 1 survived",
    ]


def test_every_named_test_must_fail(tree: Path) -> None:
    code, lines = run(
        tree, a=KILLED.replace("# test", REFUSES.replace("refuses", "accepts") + "# test", 1)
    )
    assert code == 1
    assert lines[-2] == "a.patch: tests/test_check.py::test_accepts still passes"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("    if size > :", "broke before it could judge"),
        ("    if sise > 4:", "failed by a broken program: NameError"),
        ("    import nowhere", "broke before it could judge"),
    ],
)
def test_a_broken_program_is_no_kill(line: str, why: str, tree: Path) -> None:
    code, lines = run(tree, a=KILLED.replace("    if size > 4:", line))
    assert (code, lines[-1]) == (1, "0 mutants killed, 1 survived")
    assert any(why in each for each in lines)


def test_a_broken_fixture_is_no_kill(tree: Path) -> None:
    (tree / "tests" / "test_check.py").write_text(
        TEST.replace("assert check(9) is None", "assert check(3) == 3")
    )
    text = KILLED.replace("test_refuses", "test_in_a_fixture").replace("size > 4", "size > 2")
    code, lines = run(tree, a=text)
    assert code == 1
    assert "a.patch: tests/test_check.py::test_in_a_fixture broke before it could judge:" in lines


@pytest.mark.parametrize("test", ["test_skipped", "test_in_a_fixture", "test_nowhere"])
def test_without_a_patch_the_tests_must_pass(test: str, tree: Path) -> None:
    code, lines = run(tree, a=KILLED.replace("test_refuses", test))
    assert code == 1
    assert "without any patch the named tests must pass, and none may be skipped" in lines


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (KILLED.replace("# test:", "# for:"), "names no test"),
        (KILLED.replace("return size\n", "return size\n@@ -9 +9 @@\n-a\n+b\n"), "found 2"),
        (KILLED.replace("     return size", "-    return size"), "found -2 +1"),
        (KILLED.replace("+    if size > 4:\n", "+    if size:\n+    if size > 4:\n"), "-1 +2"),
        (KILLED.replace("b/room/check.py", "b/tests/test_check.py"), "would break the test"),
        (KILLED.replace("size > 3", "size > 7"), "does not apply"),
        (KILLED.replace("b/room/check.py", "b/room/gone.py"), "No such file"),
        (KILLED.replace("@@ -1,4 +1,4 @@", "@@ somewhere @@"), "@@ line can't be read"),
        (REFUSES, "one hunk in one file, found 0"),
    ],
)
def test_a_patch_that_is_not_one_line_in_its_place_is_refused(
    text: str, why: str, tree: Path
) -> None:
    code, lines = run(tree, a=text)
    assert (code, lines[-1]) == (1, "0 mutants killed, 1 survived")
    assert why in lines[-2]


def test_lines_that_stand_twice_are_told_apart_by_their_number(tree: Path) -> None:
    twin = CODE.replace("check", "other") + CODE
    (tree / "room" / "check.py").write_text(twin)
    patch = (
        REFUSES + "--- a/room/check.py\n+++ b/room/check.py\n"
        "@@ -6 +6 @@\n-    if size > 3:\n+    if size > 4:\n"
    )
    assert run(tree, a=patch)[0] == 0
    assert run(tree, a=patch.replace("-6 +6", "-5 +5"))[0] == 1


def test_a_patch_whose_lines_have_moved_still_applies(tree: Path) -> None:
    (tree / "room" / "check.py").write_text("# one line more\n" + CODE)
    assert run(tree, a=KILLED)[0] == 0


def test_no_patch_at_all_is_no_success(tree: Path) -> None:
    assert run(tree) == (1, ["tests/mutants/ holds no patch, so nothing was tried"])
