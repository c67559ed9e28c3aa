"""What the examples for CI and the reports are checked with: check-jsonschema (which carries the
schemas of GitHub's workflows and GitLab's jobs), pre-commit, junitparser, and xmlschema with
Jenkins's schema of JUnit reports, which pytest's source distribution carries.

They get an environment of their own in build/cache: `citools.txt` and `junitschema.txt` pin them
by sha256.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.parts.components import BUILD
from tests.parts.wheel import FetchError

_LOCK = Path(__file__).with_suffix(".txt")
_SCHEMA = Path(__file__).with_name("junitschema.txt")
_MEMBER = "/testing/example_scripts/junit-10.xsd"
_CACHE = BUILD / "cache"
_PINS = hashlib.sha256(_LOCK.read_bytes() + _SCHEMA.read_bytes() + sys.version.encode())
# Programs of an environment know its path, so it is made where it stays.
_FOLDER = _CACHE / f"citools-{_PINS.hexdigest()[:12]}"
# Written last: without it, the folder is what an interrupted run left.
_XSD = _FOLDER / "junit-10.xsd"


def present() -> bool:
    """Whether `fetch` has nothing left to do."""
    return _XSD.is_file()


def fetch() -> Path:
    """The folder with `bin/` and `junit-10.xsd`; FetchError when they can't be had."""
    if not present():
        _CACHE.mkdir(parents=True, exist_ok=True)
        _run([sys.executable, "-m", "venv", "--clear", str(_FOLDER)])
        pip = [str(_FOLDER / "bin" / "python"), "-m", "pip"]
        quiet = ["--quiet", "--disable-pip-version-check", "--require-hashes"]
        only = "--only-binary=:all:"
        _run([*pip, "install", *quiet, only, "--requirement", str(_LOCK)])
        with tempfile.TemporaryDirectory(dir=_CACHE) as scratch:
            source = ["--no-deps", "--no-binary=pytest", "--dest", scratch]
            _run([*pip, "download", *quiet, *source, "--requirement", str(_SCHEMA)])
            [archive] = Path(scratch).glob("*.tar.gz")
            schema = Path(scratch) / _XSD.name
            schema.write_bytes(_member(archive))
            schema.rename(_XSD)
    return _FOLDER


def _run(argv: Sequence[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"{argv[0]} ended with {done.returncode}"]
        raise FetchError(lines[-1])


def _member(archive: Path) -> bytes:
    with tarfile.open(archive) as tar:
        [name] = [name for name in tar.getnames() if name.endswith(_MEMBER)]
        file = tar.extractfile(name)
        assert file is not None
        return file.read()
