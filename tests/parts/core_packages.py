"""The core's dependencies for another Python than ours, beside the tests' other parts."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.parts.components import BUILD, ROOT

_LOCK = ROOT / "requirements" / "core.txt"
_VERSION = "import platform; print(platform.python_version())"


def fetch(python: Path) -> Path:
    """A folder for PYTHONPATH with what requirements/core.txt names, by hash, for `python`.

    It is made once for a lock and a version of Python, and gets its name last.
    """
    asked = subprocess.run(
        [python, "-I", "-c", _VERSION], capture_output=True, text=True, check=True
    )
    lock = hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:16]
    folder = BUILD / "cache" / f"core-{asked.stdout.strip()}-{lock}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            _install(python, Path(scratch) / "core")
            try:
                (Path(scratch) / "core").rename(folder)
            except OSError:  # another run of the tests was faster
                if not folder.is_dir():
                    raise
    return folder


def _install(python: Path, folder: Path) -> None:
    # Our pip runs in the other interpreter, which need not have one.
    argv = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    argv += ["--disable-pip-version-check", "--no-warn-script-location"]
    argv += ["--require-hashes", "--only-binary=:all:"]
    done = subprocess.run(
        [*argv, "--requirement", str(_LOCK), "--target", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
