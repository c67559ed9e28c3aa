"""A model's files as tar layers, and any folder of files as one tar (docs/format.md, "Models").

A layer is a function of its list of files alone, so that a reader can compute its size and
every byte of its framing from the lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from bundler.archive.framing import END, Member, Placed, place_all
from bundler.core.digest import Digest
from bundler.core.lock import LockedFile

LARGE = 16 * 1024**2
# A node mounts no more than a few hundred layers, Docker no more than 127.
MOST_LARGE_LAYERS = 96


@dataclass(frozen=True)
class Layer:
    """An uncompressed tar of `files`, each named below `folder` (empty, or ending in a slash)."""

    folder: str
    files: tuple[LockedFile, ...]
    small: bool = False

    @property
    def placed(self) -> Iterator[Placed]:
        """Each file at its place, counted from the layer's first byte; made anew, none is kept."""
        return place_all((Member(self.folder + f.path, f.size) for f in self.files), 0)

    @cached_property
    def size(self) -> int:
        """The layer's size in bytes, the end of the tar included."""
        end = 0
        for placed in self.placed:
            end = placed.end
        return end + len(END)

    @property
    def key(self) -> Digest:
        """A stand-in for the layer's digest, before its bytes were read: equal for equal layers."""
        named = [f"{self.folder}{f.path}\0{f.size}\0{f.digest}" for f in self.files]
        return Digest.of("\n".join(["airbundle layer", *named]).encode())

    def framing(self) -> Iterable[tuple[int, bytes]]:
        """Every run of bytes of the layer that is no file's content, with its offset."""
        for placed in self.placed:
            yield placed.start, placed.framing
            if placed.filler:
                yield placed.offset + placed.member.size, placed.filler
        yield self.size - len(END), END


def model_layers(files: Sequence[LockedFile]) -> tuple[Layer, ...]:
    """The layers of a model: one of all small files, then the large ones, at most 96."""
    ordered = sorted(files, key=lambda file: file.path.encode())
    small = tuple(file for file in ordered if file.size < LARGE)
    large = [file for file in ordered if file.size >= LARGE]
    groups: dict[int, list[LockedFile]] = {}
    for position, file in enumerate(large):
        crowded = len(large) > MOST_LARGE_LAYERS
        number = MOST_LARGE_LAYERS * position // len(large) if crowded else position
        groups.setdefault(number, []).append(file)
    first = [Layer("models/", small, small=True)] if small else []
    return (*first, *(Layer("models/", tuple(group)) for group in groups.values()))
