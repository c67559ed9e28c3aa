"""Zips among a model's files: one directory that every reader finds, and what its members are.

https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3: local headers and data, the
central directory, for zip64 a record and its locator, the end of the central directory.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, cast

from bundler.core.bounded import BoundedReads
from bundler.core.errors import PolicyError

MAGICS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
MAX_DIRECTORY = 1024**2
# Of all members together, beyond their first bytes: only what looks like a pickle comes so far.
MAX_UNPACKED = 256 * 1024**2

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_RECORD = struct.Struct("<4sQ2H2L4Q")
_ENCRYPTED = 0x1
_TWO_WAYS = "a zip that is read in more than one way: "
_CHUNK = 64 * 1024
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile lets escape from hostile archives.
_FOREIGN = (
    zipfile.BadZipFile, NotImplementedError, RuntimeError, struct.error, ValueError, EOFError,
    OSError, zlib.error,
)  # fmt: skip

# A member's name, how to open it at its beginning, and its size; what is wrong with it, or None.
Check = Callable[[str, Callable[[], BinaryIO], int], str | None]


def problem(stream: BinaryIO, size: int, check: Check) -> str | None:
    """Why the zip in `stream` is refused; None when it is none, or every member passes `check`.

    Loaders find a zip at the end of any file, so all files are tried.
    """
    stream.seek(0)
    is_zip = stream.read(4) in MAGICS
    refusal = PolicyError("its directory is too large to look at")
    bounded = BoundedReads(stream, MAX_DIRECTORY, refusal)
    try:
        if not is_zip and not zipfile.is_zipfile(bounded):
            return None
        with zipfile.ZipFile(bounded) as archive:
            is_zip = is_zip or bool(archive.infolist())
            return _ambiguity(stream, size, len(archive.infolist())) or _members(archive, check)
    except _FOREIGN as error:
        return f"a zip that can't be read: {error}" if is_zip else None
    except PolicyError as error:
        return f"a zip that can't be read: {error.message}"


def _ambiguity(stream: BinaryIO, size: int, count: int) -> str | None:
    """What another reader may see differently.

    The directory has to end where the file's end says it does, and zip64's record has to lie where
    its locator points, which some readers follow and others (CVE-2025-8291) do not.
    """
    place = size - _END.size
    stream.seek(max(place, 0))
    end = _END.unpack(stream.read(_END.size))
    if end[0] != MAGICS[1] or end[-1]:
        return _TWO_WAYS + "something stands behind its end"
    values = end[4], end[5], end[6]
    locator = _at(stream, place - _LOCATOR.size, _LOCATOR)
    if locator[0] == b"PK\x06\x07":
        place -= _LOCATOR.size + _RECORD.size
        record = _at(stream, place, _RECORD)
        if locator[2] != place or record[:2] != (b"PK\x06\x06", _RECORD.size - 12):
            return _TWO_WAYS + "its locator points elsewhere than at the record before it"
        values = record[7], record[8], record[9]
        limits = (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
        stated = zip(end[4:7], values, limits, strict=True)
        if any(short not in (long, limit) for short, long, limit in stated):
            return _TWO_WAYS + "its two ends differ"
    if values[0] != count or values[1] + values[2] != place:
        return _TWO_WAYS + "its directory is not where, or what, its end says"
    return None


def _at(stream: BinaryIO, place: int, form: struct.Struct) -> tuple[Any, ...]:
    stream.seek(max(place, 0))
    data = stream.read(form.size)
    return form.unpack(data) if place >= 0 and len(data) == form.size else (b"",)


def _members(archive: zipfile.ZipFile, check: Check) -> str | None:
    budget = _Budget(MAX_UNPACKED)
    for info in archive.infolist():
        found = _member(archive, info, budget, check)
        if found is not None:
            return f"a zip that holds {info.filename!r:.200}: {found}"
    return None


def _member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: _Budget, check: Check
) -> str | None:
    if info.flag_bits & _ENCRYPTED or info.compress_type not in _METHODS:
        return "packed in a way that can't be looked into"

    def opened() -> BinaryIO:
        return cast("BinaryIO", _Forward(archive.open(info), budget))

    return check(info.filename, opened, info.file_size)


@dataclass
class _Budget:
    """How many bytes may still be unpacked."""

    rest: int

    def spend(self, count: int) -> None:
        self.rest -= count
        if self.rest < 0:
            raise PolicyError(f"more than {MAX_UNPACKED} bytes of it would have to be unpacked")


class _Forward(io.BufferedIOBase):
    """A member as it is unpacked: goes forward only, in small pieces, and not for ever."""

    def __init__(self, member: IO[bytes], budget: _Budget) -> None:
        super().__init__()
        self._member = member
        self._budget = budget

    def read(self, size: int | None = -1) -> bytes:
        return self._member.read(_CHUNK if size is None or size < 0 else min(size, _CHUNK))

    def readline(self, size: int | None = -1) -> bytes:
        line = self._member.readline(_CHUNK if size is None or size < 0 else min(size, _CHUNK))
        self._budget.spend(len(line))
        return line

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        rest = offset if whence == io.SEEK_CUR else offset - self.tell()
        while rest > 0 and (piece := self._member.read(min(rest, _CHUNK))):
            self._budget.spend(len(piece))
            rest -= len(piece)
        return self.tell()

    def tell(self) -> int:
        return self._member.tell()

    def close(self) -> None:
        self._member.close()
        super().close()
