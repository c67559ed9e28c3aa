"""The wheels that requirements/core.txt names, for both platforms, fetched once for a lock."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from bundler.core.errors import ToolError
from bundler.installer import MACHINES
from bundler.tools import wheels
from tests.parts.components import BUILD
from tests.parts.wheel import FetchError


def _folder() -> Path:
    lock = hashlib.sha256(wheels.core_lock().encode()).hexdigest()[:16]
    return BUILD / "cache" / f"core-wheels-{lock}"


def present() -> bool:
    """Whether they are there."""
    return _folder().is_dir()


def fetch() -> Path:
    """The folder, with one of wheels for each machine in it; FetchError when pip fails."""
    folder = _folder()
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            made = Path(scratch) / "made"
            for machine in MACHINES.values():
                try:
                    wheels.fetch(wheels.core_lock(), machine, made / machine)
                except ToolError as error:
                    raise FetchError(error.message) from error
            try:
                made.rename(folder)
            except OSError:  # another run of the tests was faster
                if not folder.is_dir():
                    raise
    return folder
