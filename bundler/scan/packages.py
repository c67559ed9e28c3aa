"""What is installed in an image, out of its layers: Debian's packages and Python's.

Layers are read once, in order and streamed; nothing is unpacked to disk. What a package system
wrote down is believed: files that none of them knows are not found.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO

from bundler.core import strictjson
from bundler.core.bom.packages import ImagePackages, Package, Unread
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import PolicyError
from bundler.core.findings import Finding
from bundler.scan import installed
from bundler.scan.layerbytes import Allowance, LayerBytes, UnreadableError
from bundler.scan.rootfs import Link, Names, Note, RootFs
from bundler.scan.tarstream import FOLDER, HARD_LINK, REGULAR, SYMLINK, TarMember, TarStream

ID = "packages"
VERSION = "2"
# dpkg's status of 20,000 packages has 20 MB; the longest description on PyPI, a few.
MAX_FILE = 32 * 1024**2
MAX_UNREAD = 100
# What it costs to take a file apart line by line, as so many times its bytes unpacked.
_PARSING = 10
# As many as Linux puts one upon the other (OVL_MAX_STACK).
MAX_LAYERS = 500
_FOLDER_NAME = re.compile(r"\.(dist|egg)-info$|(^|/)lib/dpkg/status\.d$", re.IGNORECASE)
_DPKG = "var/lib/dpkg"
_RELEASES = ("etc/os-release", "usr/lib/os-release")
# A whole system below a folder counts, too: dpkg's files are looked for at any depth.
_WANTED = re.compile(
    r"(?:.*/)?(?:"
    r"(?P<python>[^/]+\.(?i:dist)-(?i:info)/METADATA|[^/]+\.(?i:egg-info)(?:/PKG-INFO)?"
    r"|EGG-INFO/PKG-INFO)"
    r"|(?P<dpkg>lib/dpkg/status(?:\.d/[^/]+(?<!\.md5sums))?)"
    r"|(?P<other>lib/apk/db/installed|var/lib/pacman/local/ALPM_DB_VERSION"
    r"|(?:var/lib|lib/sysimage)/rpm/(?:Packages(?:\.db)?|rpmdb\.sqlite))"
    r")|(?P<distro>etc/os-release|usr/lib/os-release)",
    re.DOTALL,
)


@dataclass(frozen=True)
class LayerSubject:
    """A layer as its manifest names it; reading what `open` gives fails if the digest differs."""

    descriptor: Descriptor
    open: Callable[[], BinaryIO]


def versions() -> dict[str, str]:
    """This scanner's id and version, for the lock."""
    return {ID: VERSION}


def layers_of(manifest: bytes, open_blob: Callable[[Digest], BinaryIO]) -> tuple[LayerSubject, ...]:
    """The layers of an image's manifest, which has been checked, lowest first."""
    value = strictjson.parse(manifest, "manifest")
    found = [
        Descriptor(item["mediaType"], Digest.parse(item["digest"]), item["size"])
        for item in value["layers"]
    ]
    return tuple(LayerSubject(layer, partial(open_blob, layer.digest)) for layer in found)


def key(layers: Iterable[LayerSubject]) -> Digest:
    """What a scan's result depends on: this scanner's version, and the layers by digest."""
    parts = [ID, VERSION, *(str(layer.descriptor.digest) for layer in layers)]
    return Digest.of("\n".join(parts).encode())


def scan_layers(name: str, layers: Sequence[LayerSubject]) -> ImagePackages:
    """What is installed in the image `name`, whose layers these are, lowest first.

    A layer or file that can't be read is in `unread`: see `findings`. PolicyError when the system
    can't read a layer's bytes; IntegrityError when they have another digest.
    """
    scan = _Scan()
    for number, layer in enumerate(layers):
        if number == MAX_LAYERS:
            scan.refuse(f"layer {number}", f"is not read, nor any after it: more than {MAX_LAYERS}")
            break
        try:
            scan.read(number, layer)
        except OSError as error:
            raise PolicyError(
                f"{name}: layer {number}: scanner {ID} could not read it: {error}"
            ) from error
    return scan.result()


def findings(name: str, found: ImagePackages) -> tuple[Finding, ...]:
    """What stands in the way of a whole list, as errors; a warning when the list is empty."""
    if found.unread or found.packages:
        return tuple(
            Finding(
                ID,
                "error",
                name,
                f"{place.path}: {place.problem}",
                "use an image whose packages can be read, or waive it: its list is not whole",
            )
            for place in found.unread
        )
    problem = "expected Debian or Python packages, found none: what is inside is not known"
    return (Finding(ID, "warning", name, problem),)


class _Scan:
    """The image, layer upon layer."""

    def __init__(self) -> None:
        self._files = RootFs()
        self._allowance = Allowance()
        self._unread: set[Unread] = set()
        self._more = 0

    def read(self, number: int, layer: LayerSubject) -> None:
        with layer.open() as stream:
            unpacked = LayerBytes(stream, layer.descriptor.size, self._allowance)
            try:
                members = TarStream(unpacked)
                for member in members:
                    self._take(number, member, members)
            except UnreadableError as error:
                self.refuse(f"layer {number} ({layer.descriptor.digest})", str(error))
            unpacked.drain()

    def _take(self, layer: int, member: TarMember, members: TarStream) -> None:
        path = posixpath.normpath("/" + member.name.lstrip("/"))
        name = posixpath.basename(path)
        if name.startswith(".wh."):
            self._whiteout(layer, posixpath.dirname(path), name.removeprefix(".wh."))
            return
        names = self._files.resolve(path)
        if not names:
            return
        if member.type == FOLDER:
            if isinstance(self._files.at(names), Note | Link):
                self._files.remove(names)
            return
        if member.type == SYMLINK:
            self._files.put(names, Link(layer, member.link))
            return
        kind = _kind(path[1:]) or _kind("/".join(names))
        if member.type == HARD_LINK:
            self._hard_link(layer, names, member.link, kind)
        elif kind and member.type == REGULAR:
            self._files.put(names, _note(layer, kind, member, members, self._allowance))
        else:
            self._files.remove(names)

    def _whiteout(self, layer: int, folder: str, name: str) -> None:
        """https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts."""
        if name == ".wh..opq":
            self._files.empty(self._files.follow(folder), layer)
        elif name in ("", ".", ".."):
            raise UnreadableError(f"has a whiteout of nothing: .wh.{name}")
        elif not name.startswith(".wh."):  # what aufs writes down for itself
            self._files.remove((*self._files.follow(folder), name), before=layer)

    def _hard_link(self, layer: int, names: Names, link: str, kind: str | None) -> None:
        """The same file by another name: what was read of it, is known."""
        found = self._files.at(self._files.resolve(posixpath.normpath("/" + link)))
        if isinstance(found, Note | Link):
            self._files.put(names, replace(found, layer=layer))
        elif kind:
            self._files.put(
                names, Note(layer, problem=f"is a hard link to {link}, which is not read")
            )
        else:
            self._files.remove(names)

    def result(self) -> ImagePackages:
        self._files.rest()
        packages: set[Package] = set()
        for names, leaf in self._files.leaves():
            if isinstance(leaf, Link):
                self._check_link(names)
                continue
            packages.update(leaf.packages)
            if leaf.problem:
                self.refuse("/".join(names), leaf.problem)
        # Behind a link it has another name, and is found by it only if that ends alike.
        if not self._ends_alike(_DPKG) and not self._followed(_DPKG):
            self.refuse(_DPKG, "is behind a link that leads to where nothing was read")
        unread = sorted(self._unread)
        if self._more:
            unread.append(Unread("and so on", f"there are {self._more} more such places"))
        return ImagePackages(self._distro(), tuple(sorted(packages)), tuple(unread))

    def _check_link(self, names: Names) -> None:
        """A link to a package's metadata, or their folder, has to lead to some that were read."""
        path = "/".join(names)
        kind = _kind(path)
        if kind == "distro" or not (kind or _FOLDER_NAME.search(path)):
            return
        try:
            read = self._files.leads_to_note(path)
        except UnreadableError:  # in a circle
            read = False
        if not read:
            self.refuse(path, "is a link that leads to where nothing was read")

    def _ends_alike(self, path: str) -> bool:
        try:
            return self._files.follow(path)[-2:] == tuple(path.split("/")[-2:])
        except UnreadableError:  # in a circle
            return False

    def _followed(self, path: str) -> object:
        try:
            return self._files.at(self._files.follow(path))
        except UnreadableError:  # in a circle
            return None

    def refuse(self, path: str, problem: str) -> None:
        """Says that what is at `path` was not read; of very many, how many there are."""
        if len(self._unread) < MAX_UNREAD:
            self._unread.add(Unread(_shown(path), _shown(problem)))
        else:
            self._more += 1

    def _distro(self) -> tuple[str, str] | None:
        for path in _RELEASES:
            found = self._followed(path)
            if isinstance(found, Note) and found.distro and found.distro[0]:
                return found.distro
        return None


def _kind(path: str) -> str | None:
    match = _WANTED.fullmatch(path)
    return match.lastgroup if match else None


def _note(
    layer: int, kind: str, member: TarMember, members: TarStream, allowance: Allowance
) -> Note:
    if kind == "other":
        return Note(layer, problem="is of a package system that is not read")
    if member.size > MAX_FILE:
        return Note(layer, problem=f"has {member.size} bytes, more than {MAX_FILE}")
    allowance.take(_PARSING * member.size)
    data = members.content()
    try:
        if kind == "distro":
            return Note(layer, distro=installed.distro(data))
        if kind == "dpkg":
            return Note(layer, installed.dpkg_packages(data))
        return Note(layer, (installed.python_package(data),))
    except UnreadableError as error:
        return Note(layer, problem=str(error))


def _shown(text: str) -> str:
    """Without what can't be printed, or is no text."""
    plain = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in plain)[:500]
