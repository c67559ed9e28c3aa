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
from bundler.scan.tarstream import MAX_PATH

# What all that is kept may take, in bytes, by rough count: 300,000 links.
MAX_KEPT = 96 * 1024**2
# For all layers: folders on the way to names, what links name, what whiteouts look at.
MAX_STEPS = 100_000_000
_VISIT = 5  # such a look, in steps
_ENTRY = 300
_PACKAGE = 450
_NO_ROOM = "has more links and packages than are kept"
_MAX_LINKS = 255
_MAX_DEPTH = 256

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """What was read out of a file of the layer with this number; or why it could not be."""

    layer: int
    packages: tuple[Package, ...] = ()
    distro: tuple[str, str] | None = None
    problem: str = ""
    weight: int = 0
    """Roughly how many bytes it takes: counted once, another name for it weighs the same."""

    def __post_init__(self) -> None:
        if not self.weight:
            weight = _ENTRY + _chars(self.problem) + sum(map(weight_of, self.packages))
            object.__setattr__(self, "weight", weight)


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link, as the layer with this number has it."""

    layer: int
    target: str

    @property
    def weight(self) -> int:
        """Roughly how many bytes it takes."""
        return _ENTRY + _chars(self.target)


Leaf = Note | Link
Folder = dict[str, "Leaf | Folder"]


class RootFs:
    """A tree of notes and links; folders are there when something is in them."""

    def __init__(self) -> None:
        self._root: Folder = {}
        self._weight = 0
        self._full = False
        self._steps = 0
        self._last: tuple[str, Names] | None = None

    def resolve(self, path: str) -> Names:
        """Where `path` is: links on the way are followed, one in the last place is not."""
        folder, _, name = path.rstrip("/").rpartition("/")
        if name in ("", ".", ".."):
            return self._resolve(path)
        # Members of one folder stand together.
        if self._last is None or self._last[0] != folder:
            self._last = folder, self._resolve(folder)
        names = (*self._last[1], name)
        self._take(len(names))
        return names

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
        """Keeps `leaf`, in the place of whatever was there.

        UnreadableError when there is no room; from then on there is none for anything.
        """
        if self._full:
            raise UnreadableError(_NO_ROOM)
        self._last = None
        folder, depth = self._root, 0
        while depth < len(names) - 1 and isinstance(below := folder.get(names[depth]), dict):
            folder, depth = below, depth + 1
        name, *inside = names[depth:]
        new: Leaf | Folder = leaf
        for each in reversed(inside):
            new = {each: new}
        gone = _weight(name, folder[name]) if name in folder else 0
        weight = self._weight + _weight(name, new) - gone
        if weight > MAX_KEPT:
            self._full = True
            raise UnreadableError(_NO_ROOM)
        folder[name] = new
        self._weight = weight

    def remove(self, names: Names, before: int | None = None) -> None:
        """Drops what is at a name and below; with `before`, only what earlier layers put there."""
        folder = self.at(names[:-1])
        if not names or not isinstance(folder, dict) or names[-1] not in folder:
            return
        self._last = None
        found = folder.pop(names[-1])
        if before is None:
            self._weight -= _weight(names[-1], found)
        elif kept := self._kept(names[-1], found, before):
            folder[names[-1]] = kept

    def empty(self, names: Names, before: int) -> None:
        """Drops what earlier layers put below a folder."""
        if names:
            self.remove(names, before)
        else:
            self._last = None
            rest = ((name, self._kept(name, each, before)) for name, each in self._root.items())
            self._root = {name: kept for name, kept in rest if kept}

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

    def leads_to_note(self, path: str) -> bool:
        """Whether `path` leads to a note, or to a folder with one in it."""
        found = self.at(self.follow(path))
        if isinstance(found, dict):
            self._take(len(found))
            return any(isinstance(each, Note) for each in found.values())
        return isinstance(found, Note)

    def rest(self) -> None:
        """After which as many steps may be taken again."""
        self._steps = 0

    def _take(self, steps: int) -> None:
        self._steps += steps
        if self._steps > MAX_STEPS:
            self._full = True  # nothing is to follow what was left unfinished
            raise UnreadableError("makes the way to its names longer than anyone goes")

    def _kept(self, name: str, found: Leaf | Folder, before: int) -> Leaf | Folder | None:
        """What stays of it when earlier layers' things go; None when nothing does."""
        self._take(_VISIT)
        if isinstance(found, dict):
            rest = ((below, self._kept(below, each, before)) for below, each in found.items())
            if kept := {below: each for below, each in rest if each}:
                return kept
        elif found.layer >= before:
            return found
        self._weight -= _weight(name, {} if isinstance(found, dict) else found)
        return None

    def _resolve(self, path: str) -> Names:
        todo = path.split("/")[::-1]
        self._take(len(todo))
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
                target = found.target.split("/")
                self._take(len(target))
                todo += target[::-1]
                if found.target.startswith("/"):
                    done, folders = [], [self._root]
                continue
            done.append(name)
            folders.append(found)
            if len(done) > _MAX_DEPTH:
                raise UnreadableError(f"has a name of more than {_MAX_DEPTH} folders")
        if sum(map(len, done)) + len(done) > MAX_PATH:
            raise UnreadableError(f"has a name of more than {MAX_PATH} characters")
        return tuple(done)


def weight_of(package: Package) -> int:
    """Roughly how many bytes it takes."""
    texts = (package.name, package.version, package.arch, package.source, package.license)
    return _PACKAGE + sum(map(_chars, texts))


def _chars(text: str) -> int:
    """One wide character makes all of them wide."""
    return len(text) if text.isascii() else 4 * len(text)


def _weight(name: str, found: Leaf | Folder) -> int:
    if isinstance(found, dict):
        return _ENTRY + _chars(name) + sum(_weight(*each) for each in found.items())
    return found.weight + _chars(name)
