"""The file system that layers add up to, of which only what matters is kept: notes and links.

Names are resolved as engines do it: links are followed on the way to a name, and lead nowhere but
within the image. (https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md, and
containerd's `archive/tar.go`.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bundler.core.bom.packages import Package
from bundler.scan.layerbytes import UnreadableError

# What all that is kept may take, in bytes, by rough count: 300,000 links.
MAX_KEPT = 96 * 1024**2
_ENTRY = 300
_MAX_LINKS = 255
_MAX_PATH = 4096
_MAX_DEPTH = 256

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """What was read out of a file of the layer with this number; or why it could not be."""

    layer: int
    packages: tuple[Package, ...] = ()
    distro: tuple[str, str] | None = None
    problem: str = ""

    @property
    def weight(self) -> int:
        """Roughly how many bytes it takes."""
        return _ENTRY + sum(_ENTRY + len(package.license) for package in self.packages)


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link, as the layer with this number has it."""

    layer: int
    target: str

    @property
    def weight(self) -> int:
        """Roughly how many bytes it takes."""
        return _ENTRY + len(self.target)


Leaf = Note | Link
Folder = dict[str, "Leaf | Folder"]


class RootFs:
    """A tree of notes and links; folders are there when something is in them."""

    def __init__(self) -> None:
        self._root: Folder = {}
        self._weight = 0
        self._last: tuple[str, Names] | None = None

    def resolve(self, path: str) -> Names:
        """Where `path` is: links on the way are followed, one in the last place is not."""
        folder, _, name = path.rstrip("/").rpartition("/")
        if name in ("", ".", ".."):
            return self._resolve(path)
        # Members of one folder stand together.
        if self._last is None or self._last[0] != folder:
            self._last = folder, self._resolve(folder)
        return (*self._last[1], name)

    def follow(self, path: str) -> Names:
        """Where `path` leads, a link in the last place followed, too."""
        return self._resolve(path)

    def at(self, names: Names) -> Leaf | Folder | None:
        """What is kept at a resolved name."""
        found: Leaf | Folder | None = self._root
        for name in names:
            if not isinstance(found, dict):
                return None
            found = found.get(name)
        return found

    def put(self, names: Names, leaf: Leaf) -> None:
        """Keeps `leaf`, in the place of whatever was there. UnreadableError beyond the bounds."""
        self._last = None
        folder = self._root
        for name in names[:-1]:
            below = folder.get(name)
            if not isinstance(below, dict):
                below = folder[name] = {}
                self._weight += _ENTRY + len(name)
            folder = below
        folder[names[-1]] = leaf
        self._weight += leaf.weight + len(names[-1])
        if self._weight > MAX_KEPT:  # of which some is gone, perhaps
            self._weight = _weight(self._root)
        if self._weight > MAX_KEPT:
            raise UnreadableError("has more links and packages than are kept")

    def remove(self, names: Names, before: int | None = None) -> None:
        """Drops what is at a name and below; with `before`, only what earlier layers put there."""
        folder = self.at(names[:-1])
        if not names or not isinstance(folder, dict) or names[-1] not in folder:
            return
        self._last = None
        kept = _kept(folder[names[-1]], before)
        if kept is None:
            del folder[names[-1]]
        else:
            folder[names[-1]] = kept

    def empty(self, names: Names, before: int) -> None:
        """Drops what earlier layers put below a folder."""
        if names:
            self.remove(names, before)
        else:
            self._last = None
            kept = _kept(self._root, before)
            self._root = kept if isinstance(kept, dict) else {}

    def leaves(self) -> Iterator[tuple[Names, Leaf]]:
        """Everything that is kept."""
        stack: list[tuple[Names, Folder]] = [((), self._root)]
        while stack:
            names, folder = stack.pop()
            for name, found in folder.items():
                if isinstance(found, dict):
                    stack.append(((*names, name), found))
                else:
                    yield (*names, name), found

    def _resolve(self, path: str) -> Names:
        if len(path) > _MAX_PATH:
            raise UnreadableError(f"has a name of more than {_MAX_PATH} characters")
        todo = path.split("/")[::-1]
        done: list[str] = []
        folders: list[Leaf | Folder | None] = [self._root]
        links = 0
        while todo:
            name = todo.pop()
            if name in ("", "."):
                continue
            if name == "..":
                if done:
                    done.pop()
                    folders.pop()
                continue
            here = folders[-1]
            found = here.get(name) if isinstance(here, dict) else None
            if isinstance(found, Link):
                links += 1
                if links > _MAX_LINKS:
                    raise UnreadableError(f"has links that lead in a circle: {path[:200]!r}")
                todo += found.target.split("/")[::-1]
                if found.target.startswith("/"):
                    done, folders = [], [self._root]
                continue
            done.append(name)
            folders.append(found)
            if len(done) > _MAX_DEPTH:
                raise UnreadableError(f"has a name of more than {_MAX_DEPTH} folders")
        return tuple(done)


def _weight(found: Leaf | Folder) -> int:
    if isinstance(found, dict):
        return _ENTRY + sum(len(name) + _weight(child) for name, child in found.items())
    return found.weight


def _kept(found: Leaf | Folder, before: int | None) -> Leaf | Folder | None:
    """What stays of it when earlier layers' things go; None when nothing does."""
    if before is None:
        return None
    if not isinstance(found, dict):
        return None if found.layer < before else found
    kept: Folder = {}
    for name, child in found.items():
        rest = _kept(child, before)
        if rest is not None:
            kept[name] = rest
    return kept or None
