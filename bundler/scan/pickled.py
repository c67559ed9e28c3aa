"""Files that run code when they are loaded: pickles, by name or by content.

Which pickles are harmless is another scanner's business; until there is one, all are refused. So is
what would have to be unpacked to see whether it holds one, but for zips, which are looked into.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable
from typing import BinaryIO

from bundler.core.findings import Finding
from bundler.scan import compressed, npy, zipped
from bundler.scan.opcodes import begins_as_pickle
from bundler.scan.scanner import ScanSubject

EXTENSIONS = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib"})


class PickleScanner:
    """Looks at every file."""

    id = "pickle"
    version = "2"
    covers_weights = False

    def reads(self, subject: ScanSubject) -> bool:  # noqa: ARG002 - of the Protocol
        """All of them: a pickle may have any name."""
        return True

    def scan(self, subject: ScanSubject) -> Iterable[Finding]:
        """One finding at most."""
        problem = _by_name(subject.name) or _by_content(subject.open, subject.size)
        if problem is None:
            with subject.open() as stream:
                problem = zipped.problem(stream, subject.size, _in_zip)
        if problem is not None:
            hint = "convert the weights to safetensors, and leave this file out with `include`"
            yield Finding(self.id, "error", subject.name, problem, hint)


def _by_name(name: str) -> str | None:
    extension = posixpath.splitext(name)[1].lower()
    return f"{extension} files are pickles, as a rule" if extension in EXTENSIONS else None


def _by_content(opened: Callable[[], BinaryIO], size: int) -> str | None:
    """`opened` twice, so that nobody has to go back in what is unpacked on the way."""
    with opened() as stream:
        head = stream.read(compressed.HEAD)
    if head.startswith(npy.MAGIC):
        return npy.problem(head)
    packed = compressed.kind(head)
    if packed is not None:
        return f"{packed} content, which can't be looked into: unpack it"
    with opened() as stream:
        return "its content is a pickle" if begins_as_pickle(stream, size) else None


def _in_zip(name: str, opened: Callable[[], BinaryIO], size: int) -> str | None:
    with opened() as stream:
        if stream.read(4) in zipped.MAGICS:
            return "a zip within the zip, which can't be looked into: unpack it"
    return _by_name(name) or _by_content(opened, size)
