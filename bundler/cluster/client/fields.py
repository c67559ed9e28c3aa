"""The maps of a kubeconfig, read field by field."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Fields:
    """A map of a kubeconfig: `what` for messages, `folder` for what is relative.

    ValueError for what has another type; the message has no value.
    """

    content: Mapping[str, Any]
    what: str
    folder: Path

    def text(self, name: str) -> str | None:
        """The text, or None where there is none or an empty one."""
        value = self.content.get(name)
        if value is not None and not isinstance(value, str):
            raise ValueError(f"{self.what}: `{name}` is no text")
        return value or None

    def flag(self, name: str) -> bool:
        """True only where it says so."""
        value = self.content.get(name)
        if value is not None and not isinstance(value, bool):
            raise ValueError(f"{self.what}: `{name}` is neither true nor false")
        return bool(value)

    def maps(self, name: str) -> list[Fields]:
        """The maps of a list."""
        value = self.content.get(name) or []
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise ValueError(f"{self.what}: `{name}` is no list of maps")
        return [Fields(each, f"{self.what}: {name}", self.folder) for each in value]

    def map(self, name: str) -> Fields | None:
        """The map, or None where there is none or an empty one."""
        value = self.content.get(name)
        if value is not None and not isinstance(value, dict):
            raise ValueError(f"{self.what}: `{name}` is no map")
        return Fields(value, f"{self.what}: {name}", self.folder) if value else None

    def texts(self, name: str) -> tuple[str, ...]:
        """The texts of a list."""
        value = self.content.get(name) or []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise ValueError(f"{self.what}: `{name}` is no list of texts")
        return tuple(value)

    def path(self, name: str) -> Path | None:
        """The path, relative to the file that names it."""
        value = self.text(name)
        return None if value is None else self.folder / value

    def data(self, name: str) -> bytes | None:
        """``NAME-data`` in Base64, which counts more, or the content of the file `NAME`."""
        if encoded := self.text(f"{name}-data"):
            try:
                return base64.b64decode(encoded, validate=True)
            except ValueError as error:
                raise ValueError(f"{self.what}: `{name}-data` is no Base64") from error
        path = self.path(name)
        return None if path is None else path.read_bytes()
