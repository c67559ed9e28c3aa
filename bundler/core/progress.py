"""How the rooms report progress, without knowing whether anybody watches."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told by the rooms what they do; `advance` may be called from several threads."""

    def phase(self, label: str, total: int | None) -> None:
        """A piece of work begins, and the one before it is over.

        `label` says what is done ("reading blobs"); `total` is how many bytes it will take,
        or None when that is not known.
        """

    def advance(self, count: int) -> None:
        """`count` more bytes of the present phase are done."""


class _Silent:
    def phase(self, label: str, total: int | None) -> None:
        pass

    def advance(self, count: int) -> None:
        pass


SILENT: Progress = _Silent()
