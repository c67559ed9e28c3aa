"""`airbundle lock`: every input by digest, in one file made for review.

Parse the spec, render every target, find the images, resolve them; `build` does the same and goes
on. With `check`, nothing is written: the lock has to fit what is found now.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bundler.archive.store import Store
from bundler.core.errors import UsageError
from bundler.core.findings import Finding
from bundler.core.lockdiff import changes
from bundler.core.progress import Progress
from bundler.inputs.inputs import Inputs
from bundler.inputs.lockfile import LOCK, read_lock, require_fit, require_lock, write_lock
from bundler.inputs.resolve import resolve


@dataclass(frozen=True)
class Locked:
    """The lock that was written, or (`checked`) found to fit, and where.

    `changes` says what is another than before.
    """

    checked: bool
    path: Path
    name: str
    version: str
    models: int
    images: int
    files: int
    targets: tuple[str, ...]
    changes: tuple[str, ...]
    warnings: tuple[Finding, ...]


def lock(spec_path: Path, store: Store, progress: Progress) -> Locked:
    """Resolve every input of `spec_path` and write `bundle.lock` beside it.

    DocumentError, SourceError, PolicyError or ToolError when an input can't be resolved; then
    nothing is written. A lock that can't be read is replaced.
    """
    noted: tuple[str, ...] = ()
    try:
        before = read_lock(spec_path)
    except UsageError:
        before, noted = None, ("the lock before was no lock",)
    inputs = resolve(spec_path, store, progress)
    path = write_lock(spec_path, inputs.lock)
    return _locked(False, path, inputs, changes(before, inputs.lock) if before else noted)


def check(spec_path: Path, store: Store, progress: Progress) -> Locked:
    """The lock beside `spec_path` as it is; UsageError, naming each difference, if it doesn't fit.

    Nothing is written, and what the lock pins is not looked up anew: a tag that moved since is no
    difference.
    """
    before = require_lock(spec_path, "--check")
    inputs = resolve(spec_path, store, progress, before)
    require_fit(before, inputs.lock, spec_path)
    return _locked(True, spec_path.with_name(LOCK), inputs, ())


def _locked(checked: bool, path: Path, inputs: Inputs, changed: tuple[str, ...]) -> Locked:
    found = inputs.lock
    return Locked(
        checked,
        path,
        found.name,
        found.version,
        len(found.models),
        len(found.images),
        len(found.files),
        tuple(found.targets),
        changed,
        inputs.warnings(),
    )
