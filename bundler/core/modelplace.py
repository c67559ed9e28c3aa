"""Where a model lies in a bucket: ``s3://BUCKET/PREFIX/models/NAME/HEX``.

HEX is the sha256 of the list of its files (`core.lock.dump_files`), which lies there as
``files.json``; each file is below ``files/``. Whoever has the name needs to trust nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bundler.core.digest import Digest
from bundler.core.errors import UsageError

SCHEME = "s3://"
_FORM = re.compile(
    r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<prefix>[A-Za-z0-9._/-]{1,200})"
    r"/models/(?P<model>[a-z0-9-]{1,63})/(?P<hex>[0-9a-f]{64})"
)


@dataclass(frozen=True)
class ModelPlace:
    """The place of one model; `digest` is that of the list of its files."""

    bucket: str
    prefix: str
    model: str
    digest: Digest

    @classmethod
    def parse(cls, text: str) -> ModelPlace:
        """The place that `str` gives; UsageError when `text` is none."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise UsageError(
                f"{text[:300]!r}: expected s3://BUCKET/PREFIX/models/NAME/<64 hex digits>"
            )
        return cls(found["bucket"], found["prefix"], found["model"], Digest(found["hex"]))

    @property
    def listing(self) -> str:
        """The key of the list of files."""
        return f"{self._folder}/files.json"

    def key(self, path: str) -> str:
        """The key of the model's file at `path`."""
        return f"{self._folder}/files/{path}"

    @property
    def _folder(self) -> str:
        return f"{self.prefix}/models/{self.model}/{self.digest.hex}"

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self._folder}"
