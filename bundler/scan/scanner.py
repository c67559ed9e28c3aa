"""What a scanner is, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from bundler.core.findings import Finding


@dataclass(frozen=True)
class ScanSubject:
    """A file: its name as findings show it, its size in bytes, and how it is opened (seekable)."""

    name: str
    size: int
    open: Callable[[], BinaryIO]


class Scanner(Protocol):
    """Looks at files one at a time; `id` is the rule of its findings.

    `id` and `version` stand in the lock: whoever changes what is found raises the version.
    `covers_weights` says that a file which it reads without a finding holds weights and no more.
    """

    @property
    def id(self) -> str:
        """Lower case, unique among scanners."""

    @property
    def version(self) -> str:
        """Compared for equality alone."""

    @property
    def covers_weights(self) -> bool:
        """Whether reading a file means that its weights were checked."""

    def reads(self, subject: ScanSubject) -> bool:
        """Whether this file is the scanner's business."""

    def scan(self, subject: ScanSubject) -> Iterable[Finding]:
        """What is wrong with a file that it reads."""
