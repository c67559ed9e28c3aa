"""SARIF's own validator with the schema of SARIF 2.1.0: `sarif-multitool`, out of an npm package
that carries it ready to run (x86-64).

Fetched once by npm into build/cache; `sarif.txt` pins the package by its sha512, in npm's spelling.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path

from tests.parts.components import BUILD, find_program
from tests.parts.wheel import FetchError

_PIN = Path(__file__).with_suffix(".txt")
_CACHE = BUILD / "cache"
_FOLDER = _CACHE / f"sarif-{hashlib.sha256(_PIN.read_bytes()).hexdigest()[:12]}"
_PROGRAM = "Sarif.Multitool"
_SCHEMA = "sarif-2.1.0.json"


def present() -> bool:
    """Whether `fetch` has nothing left to do."""
    return _FOLDER.is_dir()


def fetch() -> Path:
    """The folder with the program and the schema; FetchError when npm can't have the package."""
    if not present():
        _CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_CACHE) as scratch:
            archive = _download(Path(scratch))
            # The folder gets its name last, so that what has the name is whole.
            _unpack(archive, Path(scratch) / "sarif").rename(_FOLDER)
    return _FOLDER


def program() -> Path:
    """The validator."""
    return fetch() / _PROGRAM


def schema() -> Path:
    """The JSON Schema of SARIF 2.1.0."""
    return fetch() / _SCHEMA


def _download(folder: Path) -> Path:
    package, integrity = _PIN.read_text().split()
    npm = find_program("npm")
    if npm is None:
        raise FetchError("needs npm on PATH")
    argv = [str(npm), "pack", "--silent", "--pack-destination", str(folder), package]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"npm ended with {done.returncode}"]
        raise FetchError(lines[-1])
    [archive] = folder.glob("*.tgz")
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != integrity:
        raise FetchError(f"{package}: expected {integrity}, found sha512-{digest}")
    return archive


def _unpack(archive: Path, folder: Path) -> Path:
    folder.mkdir()
    with tarfile.open(archive) as tar:
        for name in (_PROGRAM, _SCHEMA):
            file = tar.extractfile(f"package/{name}")
            assert file is not None
            (folder / name).write_bytes(file.read())
    (folder / _PROGRAM).chmod(0o755)
    return folder
