"""Another CPython beside the one that runs: the same lock must give the same bytes in both."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# The versions that airbundle runs on, and some that are to come.
_MINORS = range(11, 21)
_ASK = "import platform, sys; print(platform.python_implementation(), *sys.version_info[:2])"


@functools.cache
def find_second_python() -> Path | None:
    """A CPython of 3.11 or later and of another minor version than this one, or None."""
    for candidate in _candidates():
        answer = _ask(candidate)
        found = re.fullmatch(r"CPython 3 (\d+)\n", answer)
        if found and int(found[1]) in _MINORS and int(found[1]) != sys.version_info.minor:
            return candidate
    return None


def _candidates() -> Iterator[Path]:
    """Newest first; a pyenv shim on PATH may be there and yet refuse, so each is asked."""
    for minor in reversed(_MINORS):
        found = shutil.which(f"python3.{minor}")
        if found:
            yield Path(found)
    for minor in reversed(_MINORS):
        yield from sorted(_pyenv_versions().glob(f"3.{minor}.*/bin/python3"))


def _pyenv_versions() -> Path:
    root = os.environ.get("PYENV_ROOT")
    return Path(root or Path.home() / ".pyenv") / "versions"


def _ask(python: Path) -> str:
    try:
        done = subprocess.run(
            [python, "-I", "-c", _ASK], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""
