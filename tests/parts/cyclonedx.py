"""The official JSON schemas of CycloneDX 1.7, out of a wheel that carries them.

Fetched once by pip into build/cache; `cyclonedx.txt` pins the wheel. It is not installed: what
checkov asks for is an older version of the same library.
"""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
from pathlib import Path

from tests.parts.components import BUILD
from tests.parts.wheel import FetchError, download

__all__ = ["BOM", "SPDX", "FetchError", "fetch", "present"]

_PIN = Path(__file__).with_suffix(".txt")
_CACHE = BUILD / "cache"
_PREFIX = "cyclonedx/schema/_res/"
_FOLDER = _CACHE / f"cyclonedx-{hashlib.sha256(_PIN.read_bytes()).hexdigest()[:12]}"
BOM = "bom-1.7.SNAPSHOT.schema.json"
SPDX = "spdx.SNAPSHOT.schema.json"
_NAMES = (
    BOM, SPDX, "jsf-0.82.SNAPSHOT.schema.json", "cryptography-defs.SNAPSHOT.schema.json",
)  # fmt: skip


def present() -> bool:
    """Whether `fetch` has nothing left to do."""
    return _FOLDER.is_dir()


def fetch() -> Path:
    """The folder with the schema of documents, `BOM`, and those that it refers to.

    Raises FetchError when pip can't download the wheel or its digest is another.
    """
    if not present():
        _CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_CACHE) as scratch:
            wheel = download(_PIN, Path(scratch))
            folder = Path(scratch) / "schemas"
            folder.mkdir()
            with zipfile.ZipFile(wheel) as archive:
                for name in _NAMES:
                    (folder / name).write_bytes(archive.read(_PREFIX + name))
            # The folder gets its name last, so that what has the name is whole.
            folder.rename(_FOLDER)
    return _FOLDER
