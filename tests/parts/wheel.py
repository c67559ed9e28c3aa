"""A wheel out of the package index, pinned by its sha256. Only the standard library and pip."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


class FetchError(Exception):
    """A package could not be had, or is another than the pinned one; in the fetcher's own words."""


def download(pin: Path, folder: Path) -> Path:
    """The wheel that the requirements file `pin` names, in `folder`; FetchError if pip fails."""
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    argv += ["--only-binary=:all:", "--dest", str(folder), "--requirement", str(pin)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"pip ended with {done.returncode}"]
        raise FetchError(lines[-1])
    return next(folder.glob("*.whl"))
