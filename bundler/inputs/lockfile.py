"""`bundle.lock`, beside the spec: read, written in one move, held against what is found now."""

from __future__ import annotations

import os
from pathlib import Path

from bundler.core.errors import IntegrityError, UsageError
from bundler.core.lock import Lock, parse
from bundler.core.lockdiff import differences
from bundler.sources.steady import read_steady

LOCK = "bundle.lock"
_MAX_LOCK = 64 * 1024**2
_SHOWN = 12


def read_lock(spec_path: Path) -> Lock | None:
    """The lock beside `spec_path`; None when there is none, UsageError when it is no lock."""
    path = spec_path.with_name(LOCK)
    try:
        return parse(read_steady(path, _MAX_LOCK), str(path)) if os.path.lexists(path) else None
    except IntegrityError as error:
        raise UsageError(error.message, "run `airbundle lock` to write it anew") from error


def require_lock(spec_path: Path, why: str) -> Lock:
    """The lock beside `spec_path`; UsageError that says `why` it has to be there."""
    found = read_lock(spec_path)
    if found is None:
        raise UsageError(
            f"{spec_path.with_name(LOCK)}: {why} expects it, found none",
            "run `airbundle lock`, and keep what it writes beside the spec",
        )
    return found


def write_lock(spec_path: Path, found: Lock) -> Path:
    """Write `found` beside `spec_path`, in one move."""
    path = spec_path.with_name(LOCK)
    partial = path.with_name(f".{LOCK}.{os.getpid()}")
    try:
        partial.write_bytes(found.dump())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UsageError(f"{path}: can't be written: {error.strerror}") from error
    return path


def require_fit(locked: Lock, found: Lock, spec_path: Path) -> None:
    """UsageError that names every input in which `found` is not what was `locked`."""
    changed = differences(locked, found)
    if changed:
        more = [f"  … and {len(changed) - _SHOWN} more"] if len(changed) > _SHOWN else []
        lines = [f"  {line}" for line in changed[:_SHOWN]] + more
        raise UsageError(
            "\n".join([f"{spec_path.with_name(LOCK)}: does not fit any more:", *lines]),
            "run `airbundle lock` when the change is wanted, and look at what it changes",
        )
