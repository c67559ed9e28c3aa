"""A cgroup for one node's pods, in which no other kubelet of the machine clears up."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_PREFIX = "airbundle-"
_UNIFIED = _ROOT / "cgroup.controllers"
_EMPTY_WITHIN = 10.0
_PAUSE = 0.05


@contextlib.contextmanager
def pods_cgroup() -> Iterator[str]:
    """Its name below every hierarchy, "/airbundle-PID"; removed when what ran in it has ended."""
    name = f"{_PREFIX}{os.getpid()}"
    folders = [each / name for each in _hierarchies()]
    for hierarchy in _hierarchies():
        for left in hierarchy.glob(f"{_PREFIX}*"):
            # Somebody was killed and could not.
            if not Path("/proc", left.name.removeprefix(_PREFIX)).exists():
                _remove(left)
    for folder in folders:
        folder.mkdir(exist_ok=True)
        _delegate(folder)
    try:
        yield f"/{name}"
    finally:
        for folder in folders:
            _remove(folder)


def _hierarchies() -> list[Path]:
    """One with cgroup v2; with v1 each controller's, and the unified one beside them."""
    if _UNIFIED.is_file():
        return [_ROOT]
    # `cpu` and `cpuacct` may be one hierarchy with two names.
    found = {each.resolve() for each in _ROOT.iterdir() if (each / "cgroup.procs").is_file()}
    return sorted(found)


def _delegate(folder: Path) -> None:
    """With cgroup v2 a folder has the controllers that its parent hands down."""
    if _UNIFIED.is_file():
        handed = " ".join(f"+{each}" for each in _UNIFIED.read_text().split())
        for each in (folder.parent, folder):
            (each / "cgroup.subtree_control").write_text(handed)


def _remove(folder: Path) -> None:
    """Deepest first; the kernel needs a moment after the last process."""
    deadline = time.monotonic() + _EMPTY_WITHIN
    for path, _, _ in os.walk(folder, topdown=False):
        while True:
            try:
                os.rmdir(path)
                break
            except FileNotFoundError:
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_PAUSE)
