"""Wheels of locked versions: fetched by pip, compared with their hashes, laid out as if installed.

The lock is requirements/core.txt, which lies in the wheel of airbundle, too. What is laid out runs
in every one of `PYTHONS`: a module that is compiled for one of them has its version in its name,
so they lie beside each other. Of these only cryptography's way to C is needed; what PyYAML and
others have compiled they have in Python as well.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from bundler.core.errors import ToolError
from bundler.tools import process
from bundler.tools.process import Runner

# The versions of CPython for which everything in the lock has wheels.
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# A slow line and a cold cache.
_TIMEOUT = 600.0
_REMEDY = "on the connected side: pip install '.[build]' in a clone"
_INDEX_REMEDY = (
    "pip's own settings say which index it asks (pip.conf, PIP_INDEX_URL); --wheels DIR asks none"
)
_FOLDER_REMEDY = "`make wheelhouse` makes such a folder"
_DOWNLOAD = (
    "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps",
    "--require-hashes", "--only-binary=:all:",
)  # fmt: skip
# Platforms of wheels, best first (PEP 600); glibc 2.28 is of 2018.
_TAGS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
# What pip reads of its surroundings: where its settings are, and how it gets out.
_PASSED = re.compile(r"PIP_\w+|HOME|PATH|TMPDIR|XDG_\w+|SSL_CERT_\w+|(?i:\w+_PROXY)")
_ENTRY = re.compile(r"([A-Za-z0-9][\w.-]*)==[^\s;\\]+(?: ;( [^\\]+))?")
_ELSEWHERE = "sys_platform == 'win32'"
# cffi-2.0-cp311-cp311-manylinux_2_28_x86_64.whl, say: a wheel for that version of Python alone.
_ONE_PYTHON = re.compile(r"([\w.]+)-[^-]+-(cp\d+)-\2-[^-]+\.whl")
_COMPILED = re.compile(r"\.cpython-\d+-[\w-]+\.so")
_NEEDED = "_cffi_backend."
# They differ from wheel to wheel of one version, and nobody uninstalls out of a zip.
_BOOKKEEPING = ("RECORD", "WHEEL")


def core_lock() -> str:
    """The versions and hashes of what the core needs, as pip reads them."""
    package = files("bundler")
    lock = package / "requirements" / "core.txt"
    if not lock.is_file():  # a checkout
        lock = package / ".." / "requirements" / "core.txt"
    return lock.read_text(encoding="utf-8")


def fetch(
    lock: str,
    machine: str,
    folder: Path,
    wheels: Path | None = None,
    run: Runner = process.run,
    environ: Mapping[str, str] = os.environ,
) -> None:
    """The wheels that `lock` names, for Linux on `machine` (``x86_64``), into `folder`.

    They come from the index that pip is set up for, or from the folder `wheels` alone. ToolError
    when there is no pip, or it fails: a wheel that is missing, or has another hash.
    """
    require("pip")
    asked = [*_DOWNLOAD, *(f"--platform={tag}_{machine}" for tag in _TAGS)]
    if wheels is not None:
        asked += ["--no-index", "--find-links", str(wheels.resolve())]
    asked += ["--dest", str(folder.resolve())]
    wanted = _for_linux(lock)
    for python in PYTHONS:
        if wanted:
            _download((*asked, f"--python-version={python}"), wanted, run, _passed(environ))
        single = _for_one_python(folder)
        wanted = {name: lines for name, lines in wanted.items() if _as_wheel(name) in single}


def unpack(wheels: Path, site: Path) -> None:
    """What is in all wheels of the folder `wheels`, as it would lie in site-packages, into `site`.

    ToolError for a wheel that wants something elsewhere, or has another's file with other bytes.
    """
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                if _wanted(entry.filename, wheel.name):
                    _place(site / entry.filename, archive.read(entry), wheel.name)


def module(name: str) -> tuple[str, ...]:
    """How the program of an installed package is started; never one that lies in this folder."""
    return sys.executable, "-P", "-m", name


def require(name: str) -> None:
    """ToolError when the package is not installed beside airbundle."""
    if find_spec(name) is None:
        raise ToolError(f"{name}: expected it beside this Python, found none", _REMEDY)


def _download(
    asked: Sequence[str], wanted: Mapping[str, Sequence[str]], run: Runner, env: Mapping[str, str]
) -> None:
    with tempfile.TemporaryDirectory(prefix="airbundle-") as temporary:
        requirements = Path(temporary) / "core.txt"
        lines = [line for entry in wanted.values() for line in entry]
        requirements.write_text("\n".join(lines) + "\n", encoding="utf-8")
        argv = (*module("pip"), *asked, "--requirement", str(requirements))
        try:
            run(argv, cwd=Path(temporary), env=env, timeout=_TIMEOUT)
        except ToolError as error:
            hint = _FOLDER_REMEDY if "--no-index" in asked else _INDEX_REMEDY
            raise ToolError(f"the locked wheels can't be had: {error.message}", hint) from error


def _for_linux(lock: str) -> dict[str, list[str]]:
    """Each entry's lines, without its condition: pip would hold that against its own Python."""
    entries: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in lock.splitlines():
        entry = _ENTRY.match(line)
        if entry:
            condition = entry[2] or ""
            lines = []
            if _ELSEWHERE not in condition:
                entries[entry[1]] = lines
            line = line.replace(f" ;{condition}", " ") if condition else line
        if not line.lstrip().startswith("#"):
            lines.append(line)
    return entries


def _for_one_python(folder: Path) -> set[str]:
    """The packages of which `folder` has wheels that other versions of Python can't use."""
    found = (_ONE_PYTHON.fullmatch(path.name) for path in folder.glob("*.whl"))
    return {_as_wheel(match[1]) for match in found if match}


def _as_wheel(name: str) -> str:
    """A package's name as those of wheels begin (PEP 427)."""
    return re.sub(r"[-_.]+", "_", name).lower()


def _passed(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if _PASSED.fullmatch(name)}


def _wanted(name: str, wheel: str) -> bool:
    path = PurePosixPath(name)
    if path.parts[0].endswith(".data"):
        raise ToolError(f"{wheel}: expected nothing but packages, found {name}")
    needless = _COMPILED.search(path.name) and not path.name.startswith(_NEEDED)
    counted = path.parent.name.endswith(".dist-info") and path.name in _BOOKKEEPING
    return not (needless or counted or name.endswith("/"))


def _place(path: Path, data: bytes, wheel: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.read_bytes() != data:
        raise ToolError(f"{wheel}: {path.name} is in another wheel already, with other bytes")
    path.write_bytes(data)
