"""The parts that are fetched into build/cache: by name, whether one is there, and how it is got."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.parts import (
    awstools,
    citools,
    corewheels,
    cyclonedx,
    demoimage,
    minilm,
    publictrees,
    sarif,
)
from tests.parts.wheel import FetchError


@dataclass(frozen=True)
class Fetched:
    """`present` says whether `fetch`, which may raise FetchError, has nothing left to do."""

    present: Callable[[], bool]
    fetch: Callable[[], Path]

    def available(self) -> bool:
        """Whether it is there, now or after trying to get it."""
        try:
            return bool(self.fetch())
        except FetchError:
            return False


FETCHED = {
    "minilm": Fetched(minilm.present, minilm.fetch),
    "awstools": Fetched(awstools.present, awstools.fetch),
    "citools": Fetched(citools.present, citools.fetch),
    "sarif": Fetched(sarif.present, sarif.fetch),
    "cyclonedx": Fetched(cyclonedx.present, cyclonedx.fetch),
    "core-wheels": Fetched(corewheels.present, corewheels.fetch),
    "demoimage": Fetched(demoimage.present, demoimage.fetch),
    "trees": Fetched(publictrees.present, publictrees.fetch),
}
