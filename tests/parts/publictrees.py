"""Kustomize trees that other projects publish: KEDA's and Kubeflow Trainer's, out of Go modules.

Fetched once by `go mod download` into build/cache; `trees/go.sum` pins them. Nothing of them is
committed, and only the folders named here are kept.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.parts.components import BUILD
from tests.parts.wheel import FetchError

_MODULE = Path(__file__).with_name("trees")
_CACHE = BUILD / "cache"
_FOLDER = _CACHE / f"trees-{hashlib.sha256((_MODULE / 'go.sum').read_bytes()).hexdigest()[:12]}"
# What a tree is called here: the module that has it, and its folder in there.
_TREES = {
    "keda": ("github.com/kedacore/keda/v2", "config"),
    "trainer": ("github.com/kubeflow/trainer/v2", "manifests"),
}


def present() -> bool:
    """Whether `fetch` has nothing left to do."""
    return _FOLDER.is_dir()


def fetch() -> Path:
    """The folder with the trees `keda` and `trainer`: read it, don't write into it.

    Raises FetchError when go can't download a module or its digest is another.
    """
    if not present():
        _CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_CACHE) as scratch:
            folder = Path(scratch) / "trees"
            for name, (module, tree) in _TREES.items():
                # Not copystat: files of the module cache can't be written to.
                shutil.copytree(_download(module) / tree, folder / name, copy_function=_copy)
            for each in folder.rglob("*"):
                each.chmod(0o755 if each.is_dir() else 0o644)
            # The folder gets its name last, so that what has the name is whole.
            folder.rename(_FOLDER)
    return _FOLDER


def _copy(source: str, target: str) -> None:
    shutil.copyfile(source, target, follow_symlinks=False)


def _download(module: str) -> Path:
    argv = ["go", "mod", "download", "-json", module]
    try:
        done = subprocess.run(argv, cwd=_MODULE, capture_output=True, text=True, check=False)
    except OSError as error:
        raise FetchError(f"go: {error.strerror}") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"go ended with {done.returncode}"]
        raise FetchError(lines[-1])
    return Path(json.loads(done.stdout)["Dir"])
