"""Where the members of a tar lie; nothing is unpacked.

`tarfile` finds the headers; what it would repair, follow or believe is refused.
"""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bundler.core.bounded import BoundedReads
from bundler.core.errors import SourceError
from bundler.sources.blobs import Extent
from bundler.sources.steady import open_steady

MAX_MEMBERS = 100_000
# A header, a long name or a PAX header; Linux has no longer path than 4096 bytes.
_MAX_HEADER = 64 * 1024
_MAX_NAMES = 16 * 1024**2
_MAX_LINKS = 8
# What tarfile lets escape from hostile headers, besides its own errors.
_FOREIGN = (tarfile.TarError, ArithmeticError, LookupError, RecursionError, ValueError)


@dataclass(frozen=True)
class Members:
    """Regular files of the tar at `location` by name, and links by name."""

    location: Path
    files: dict[str, Extent]
    links: dict[str, str]

    def find(self, name: str) -> Extent:
        """The file `name`; a link is followed to another member only. SourceError if none."""
        target = name
        for _ in range(_MAX_LINKS):
            if target not in self.links:
                break
            target = self._follow(target)
        if target not in self.files:
            raise SourceError(f"{self.location}: has no file {name!r}")
        return self.files[target]

    def _follow(self, name: str) -> str:
        link = self.links[name]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), link))
        if posixpath.isabs(link) or target.split("/")[0] == "..":
            raise SourceError(f"{self.location}: {name!r} is a link out of the archive: {link!r}")
        return target


def read_members(location: Path) -> Members:
    """The members of the uncompressed tar at `location`; SourceError for what is refused.

    Refused are names that are absolute, have `..` or an odd spelling, stand twice; hard links,
    devices, pipes, sparse files; members that reach beyond the end; more than 100,000 of them.
    """
    found = Members(location, {}, {})
    names: set[str] = set()
    room = _MAX_NAMES
    with open_steady(location) as stream:
        refusal = SourceError(f"{location}: has a header of more than {_MAX_HEADER} bytes")
        bounded = BoundedReads(stream, _MAX_HEADER, refusal)
        for member in _headers(location, bounded):
            if member.name in names or len(names) == MAX_MEMBERS:
                problem = "stands twice" if member.name in names else "is one member too many"
                raise SourceError(f"{location}: {member.name!r} {problem}")
            names.add(member.name)
            room -= len(member.name) + len(member.linkname)
            if room < 0:
                raise SourceError(f"{location}: its names take more than {_MAX_NAMES} bytes")
            _check_name(location, member.name)
            if member.issym():
                found.links[member.name] = member.linkname
            elif not member.isdir():
                _check_file(location, member, stream.stamp.size)
                found.files[member.name] = Extent(
                    location, stream.stamp, member.offset_data, member.size
                )
    return found


def _headers(location: Path, stream: BoundedReads) -> Iterator[tarfile.TarInfo]:
    try:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            while (member := archive.next()) is not None:
                if archive.pax_headers:
                    raise SourceError(f"{location}: has a global header, expected none")
                # tarfile keeps them all, with their extended headers.
                archive.members = []  # type: ignore[attr-defined]
                yield member
    except _FOREIGN as error:
        raise SourceError(
            f"{location}: is no readable tar: {error}", "if it is compressed, decompress it first"
        ) from error


def _check_name(location: Path, name: str) -> None:
    if posixpath.isabs(name) or name != posixpath.normpath(name) or ".." in name.split("/"):
        raise SourceError(f"{location}: {name!r} is no plain name within the archive")


def _check_file(location: Path, member: tarfile.TarInfo, end: int) -> None:
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
        kind = "hard link" if member.islnk() else "sparse file" if member.issparse() else "device"
        kind = kind if kind != "device" or member.isdev() else f"member of type {member.type!r}"
        raise SourceError(f"{location}: {member.name!r} is a {kind}, expected a regular file")
    if member.size < 0 or member.offset_data + member.size > end:
        raise SourceError(f"{location}: {member.name!r} reaches beyond the end of the archive")
