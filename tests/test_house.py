"""The house keeps its rules: lint refuses what it must, and nothing has outgrown its room."""

from __future__ import annotations

import ast
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "bundler").rglob("*.py"))
TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py") if "__pycache__" not in path.parts)
CORE = [path for path in MODULES if path.is_relative_to(ROOT / "bundler" / "core")]

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(paths: list[Path]) -> Iterator[tuple[str, int]]:
    """Each function's place, and how many lines it has."""
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, Function):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                yield f"{name_of(path)}:{node.lineno} {node.name}", length


def lines(path: Path) -> int:
    return path.read_text(encoding="utf-8").count("\n")


# --- measures ---------------------------------------------------------------------------------


def test_no_module_has_outgrown_its_room() -> None:
    most = dict.fromkeys(MODULES, 400) | dict.fromkeys(TESTS, 500)
    assert {name_of(path): lines(path) for path, limit in most.items() if lines(path) > limit} == {}


def test_modules_are_short_as_a_rule() -> None:
    assert statistics.median(map(lines, MODULES)) < 150


def test_no_function_has_outgrown_its_room() -> None:
    """Of a test's functions some are tables: these may be as long as what they list."""
    assert {place: length for place, length in functions(MODULES) if length > 60} == {}


def test_functions_are_short_as_a_rule() -> None:
    lengths = [length for _, length in functions(MODULES)]
    assert statistics.median(lengths) < 10
    assert sum(length < 30 for length in lengths) >= 0.9 * len(lengths)


# --- the core is pure: what import-linter can't see ---------------------------------------------

_DEEDS = {"open", "print", "input", "exec", "eval", "compile", "__import__", "breakpoint"}
_CLOCKS = {"now", "utcnow", "today", "fromtimestamp"}
_PURE_PATHS = {"PurePath", "PurePosixPath"}


def impurities(tree: ast.AST) -> Iterator[str]:
    """What in `tree` opens files, speaks to a person, or reads the clock."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in _DEEDS:
                yield f"line {node.lineno}: {name}()"
            case ast.Call(func=ast.Attribute(attr="open" as name)):
                yield f"line {node.lineno}: .{name}()"
            case (
                ast.Attribute(attr=name, value=ast.Name(id="datetime" | "date"))
                | ast.Attribute(attr=name, value=ast.Attribute(attr="datetime" | "date"))
            ) if name in _CLOCKS:
                yield f"line {node.lineno}: .{name}"
            case ast.Import(names=names) if any(each.name == "pathlib" for each in names):
                yield f"line {node.lineno}: import pathlib"
            case ast.ImportFrom(module="pathlib", names=names) if not (
                {each.name for each in names} <= _PURE_PATHS
            ):
                yield f"line {node.lineno}: a path that touches the disk"


def test_the_core_opens_nothing_and_reads_no_clock() -> None:
    found = {
        name_of(path): list(impurities(ast.parse(path.read_text(encoding="utf-8"))))
        for path in CORE
    }
    assert {name: deeds for name, deeds in found.items() if deeds} == {}


@pytest.mark.parametrize(
    "line",
    [
        "open('x')",
        "io.open('x')",
        "print('x')",
        "date.today()",
        "datetime.datetime.now()",
        "import pathlib",
        "from pathlib import Path",
    ],
)
def test_an_impure_line_is_seen(line: str) -> None:
    assert len(list(impurities(ast.parse(line)))) == 1


# --- lint refuses -----------------------------------------------------------------------------


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package with its configuration, to be spoilt."""
    ignore = shutil.ignore_patterns("__pycache__", ".*_cache")
    shutil.copytree(ROOT / "bundler", tmp_path / "bundler", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def spoil(copy: Path, module: str, line: str) -> None:
    path = copy / "bundler" / module
    path.write_text(path.read_text(encoding="utf-8") + f"\n\n{line}\n", encoding="utf-8")


def lint(copy: Path, tool: str, *arguments: str) -> tuple[int, str]:
    """The exit code and the output of one of the programs behind `make lint`."""
    program = Path(sys.executable).with_name(tool)
    done = subprocess.run(
        [program, *arguments],
        cwd=copy,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, re.sub(r"\s+", " ", done.stdout)


def lint_imports(copy: Path) -> tuple[int, str]:
    return lint(copy, "lint-imports", "--no-logo", "--no-cache")


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("sources/__init__.py", "import bundler.sign", "imports go down only"),
        ("archive/__init__.py", "import bundler.tools", "imports go down only"),
        ("core/digest.py", "import bundler.archive", "imports go down only"),
        ("tools/__init__.py", "import bundler.cli", "imports go down only"),
        ("core/digest.py", "import os", "core is pure"),
        ("core/digest.py", "import time", "core is pure"),
        ("sign/__init__.py", "import click", "click lives in cli"),
        ("tools/__init__.py", "import click", "click lives in cli"),
        ("cluster/__init__.py", "import httpx", "HTTP and processes live in tools"),
        ("cli/__init__.py", "import subprocess", "HTTP and processes live in tools"),
        ("tools/__init__.py", "import subprocess", "HTTP and processes live in tools"),
        ("tools/__init__.py", "import lightkube", "the Kubernetes client is our own"),
        ("scan/__init__.py", "import torch", "what a bare machine doesn't have"),
        ("cli/__init__.py", "import jinja2", "what a bare machine doesn't have"),
    ],
)
def test_a_forbidden_import_breaks_its_contract(
    module: str, line: str, broken: str, copy: Path
) -> None:
    _, before = lint_imports(copy)
    assert re.search(rf"{broken}[^.]*? KEPT", before)
    spoil(copy, module, line)
    code, after = lint_imports(copy)
    assert code == 1
    assert re.search(rf"{broken}[^.]*? BROKEN", after)


def test_a_verb_that_the_import_law_does_not_list_is_refused(copy: Path) -> None:
    (copy / "bundler" / "unlisted.py").write_text('"""A verb."""\n')
    code, output = lint_imports(copy)
    assert code == 1
    assert "bundler.unlisted" in output


@pytest.mark.parametrize(
    ("module", "line", "rule"),
    [
        ("sources/__init__.py", "import subprocess", "TID251"),
        ("archive/__init__.py", "import httpx", "TID251"),
        ("sign/__init__.py", "import click", "TID251"),
        ("tools/__init__.py", "from .. import core", "TID252"),
        ("scan/__init__.py", "import lightkube", "TID251"),
        ("scan/__init__.py", "import torch", "TID251"),
        ("scan/__init__.py", "import transformers", "TID251"),
        ("core/objects/manifests.py", "import jinja2", "TID251"),
        ("core/digest.py", "def public() -> None:\n    return", "D103"),
        ("core/digest.py", "try:\n    pass\nexcept Exception:\n    pass", "BLE001"),
        ("core/digest.py", f"# {'x' * 100}", "E501"),
    ],
)
def test_a_forbidden_line_fails_ruff(module: str, line: str, rule: str, copy: Path) -> None:
    arguments = ("check", "--no-cache", f"--select={rule}", f"bundler/{module}")
    assert lint(copy, "ruff", *arguments)[0] == 0
    spoil(copy, module, line)
    code, output = lint(copy, "ruff", *arguments)
    assert code == 1
    assert rule in output


def test_an_untyped_function_fails_mypy(copy: Path) -> None:
    spoil(copy, "core/digest.py", "def untyped(x):\n    return x")
    arguments = ("--follow-imports=silent", "--cache-dir", str(copy / "cache"))
    code, output = lint(copy, "mypy", *arguments, "bundler/core/digest.py")
    assert code == 1
    assert "no-untyped-def" in output


# --- locks ------------------------------------------------------------------------------------

LOCKS = ("core", "build", "dev")


def requirements(name: str) -> list[tuple[str, str]]:
    """The requirements of a lock and their versions; one may stand twice, by version of Python."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    found = re.findall(r"^([a-z0-9-]+)==(\S+)(.*(?:\n +--hash=.*)*)", text, re.MULTILINE)
    assert all("--hash=sha256:" in rest for _, _, rest in found)
    return [(package, version) for package, version, _ in found]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_index(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host", text)


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_of_a_lock_has_hashes(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert len(requirements(name)) == len(re.findall(r"^\w", text, re.MULTILINE)) > 5


def test_what_is_tested_is_what_is_shipped() -> None:
    core, tested = dict(requirements("core")), dict(requirements("dev"))
    assert {name: tested.get(name) for name in core} == core
