"""Where a document names what turned out to be wrong only when it was looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bundler.core.errors import BundlerError, DocumentError, PolicyError
from bundler.core.yamltext import Path, load_all, spell


@dataclass(frozen=True)
class Places:
    """The places of one document, which was parsed before: its bytes, and what it is called."""

    text: bytes
    where: str

    @contextmanager
    def at(self, path: Path, name: str = "", stated: Path | None = None) -> Iterator[None]:
        """Puts file, line and field, with the `name` of its item, before what fails within.

        A PolicyError is about what is `stated` somewhere else, if that is given. The error stays of
        its kind. A DocumentError has a file and line of its own, and keeps it.
        """
        try:
            yield
        except DocumentError:
            raise
        except BundlerError as error:
            if stated is not None and isinstance(error, PolicyError):
                path = stated
            field = f"{spell(path)} ({name})" if name else spell(path)
            message = f"{self.mark(path)}: {field}: {error.message}"
            raise type(error)(message, error.hint) from error

    def mark(self, path: Path) -> str:
        """``file:line:column`` of the value at `path`."""
        nodes = load_all(self.text.decode(), self.where)
        return next(node for node in nodes if node.content is not None).mark(path)
