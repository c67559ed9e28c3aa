"""Files that run code when they are loaded: pickles, by name or by content.

Which pickles are harmless is another scanner's business; until there is one, all are refused.
"""

from __future__ import annotations

import posixpath
import re
import struct
import zipfile
from collections.abc import Iterable
from typing import BinaryIO

from bundler.core.bounded import BoundedReads
from bundler.core.errors import PolicyError
from bundler.core.findings import Finding
from bundler.scan.opcodes import begins_as_pickle
from bundler.scan.scanner import ScanSubject

EXTENSIONS = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib"})

_ZIP = b"PK\x03\x04"
_NUMPY = b"\x93NUMPY"
# A NumPy array of objects is a header and a pickle: numpy/lib/format.py.
_OBJECTS = re.compile(rb"['\"][|<>=]?O[0-9]*['\"]")
_MAX_DIRECTORY = 16 * 1024**2
# What zipfile lets escape from hostile directories.
_FOREIGN = (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError, EOFError, OSError)


class PickleScanner:
    """Looks at every file."""

    id = "pickle"
    version = "1"
    covers_weights = False

    def reads(self, subject: ScanSubject) -> bool:  # noqa: ARG002 - of the Protocol
        """All of them: a pickle may have any name."""
        return True

    def scan(self, subject: ScanSubject) -> Iterable[Finding]:
        """One finding at most."""
        problem = _by_name(subject.name)
        if problem is None:
            with subject.open() as stream:
                problem = _by_content(stream, subject.size)
        if problem is not None:
            hint = "convert the weights to safetensors, and leave this file out with `include`"
            yield Finding(self.id, "error", subject.name, problem, hint)


def _by_name(name: str) -> str | None:
    extension = posixpath.splitext(name)[1].lower()
    return f"{extension} files are pickles, as a rule" if extension in EXTENSIONS else None


def _by_content(stream: BinaryIO, size: int) -> str | None:
    magic = stream.read(len(_NUMPY))
    stream.seek(0)
    if begins_as_pickle(stream, size):
        return "its content is a pickle"
    stream.seek(0)
    if magic == _NUMPY and _OBJECTS.search(stream.read(64 * 1024)):
        return "a NumPy array of objects, which is a pickle"
    stream.seek(0)
    return _in_zip(stream, is_zip=magic.startswith(_ZIP))


def _in_zip(stream: BinaryIO, is_zip: bool) -> str | None:
    """What a zip's directory lists; loaders find one at the end of any file, so all are tried."""
    refusal = PolicyError("its directory is too large to look at")
    bounded = BoundedReads(stream, _MAX_DIRECTORY, refusal)
    try:
        if not is_zip and not zipfile.is_zipfile(bounded):
            return None
        with zipfile.ZipFile(bounded) as archive:
            names = archive.namelist()
    except _FOREIGN as error:
        return f"a zip that can't be read: {error}" if is_zip else None
    except PolicyError as error:
        return f"a zip that can't be read: {error.message}"
    bad = next((name for name in names if _by_name(name)), None)
    return f"a zip that holds {bad!r:.200}" if bad else None
