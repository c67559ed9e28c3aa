"""The members of a tar as container engines see them, one after the other.

Engines unpack layers with Go's archive/tar, and Python's tarfile differs from it where that
matters: it ends at a broken header without a word, and takes names from global headers. So this
follows Go's rules (archive/tar/reader.go) and refuses what it has no use for: sparse files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bundler.scan.layerbytes import LayerBytes, UnreadableError

MAX_MEMBERS = 2_000_000
# A long name or a PAX header; Linux has no longer path than 4096 bytes, attributes may be longer.
MAX_EXTENDED = 1024**2
MAX_PATH = 4096
_BLOCK = 512
_END = bytes(_BLOCK)
_OCTAL = re.compile(rb"[0-7]+")
_MAX_SIZE = 2**53
# Types whose size field means nothing: links, devices, folders, pipes.
_WITHOUT_DATA = frozenset(b"123456")
_LONG_NAME, _LONG_LINK, _PAX, _GLOBAL, _SPARSE = b"L", b"K", b"x", b"g", b"S"
REGULAR, HARD_LINK, SYMLINK, FOLDER = b"0", b"1", b"2", b"5"


@dataclass(frozen=True)
class TarMember:
    """A member: its name and link as the tar has them, its type, the size of its data in bytes."""

    name: str
    type: bytes
    link: str
    size: int


class TarStream:
    """Iterates over the members of `layer`; `content` is for the present one, once."""

    def __init__(self, layer: LayerBytes) -> None:
        self._layer = layer
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[TarMember]:
        """UnreadableError where the tar breaks off or is malformed."""
        for _ in range(MAX_MEMBERS):
            member = self._member()
            if member is None:
                return
            yield member
            self._pass(self._left + self._padding)
        raise UnreadableError(f"has more than {MAX_MEMBERS} members")

    def content(self) -> bytes:
        """The present member's data: the caller has looked at its size."""
        data = self._layer.read(self._left)
        if len(data) != self._left:
            raise UnreadableError("ends within a file")
        self._left = 0
        return data

    def _member(self) -> TarMember | None:
        """The next one, with what extended headers say of it; None at the end."""
        records: dict[str, str] = {}
        name = link = ""
        for _ in range(MAX_MEMBERS):
            header = self._header()
            if header is None:
                return None
            kind = header[156:157]
            if kind in (_PAX, _GLOBAL):
                found = _records(self._extended(header))
                # As in Go: the last one counts, and a global header ends what it stands between.
                records, name, link = (found, name, link) if kind == _PAX else ({}, "", "")
            elif kind == _LONG_NAME:
                name = _text(self._extended(header))
            elif kind == _LONG_LINK:
                link = _text(self._extended(header))
            else:
                return self._described(header, records, name, link)
        raise UnreadableError("has headers without end")

    def _described(self, header: bytes, records: dict[str, str], name: str, link: str) -> TarMember:
        kind = header[156:157]
        name = name or records.get("path") or _name(header)
        if kind == _SPARSE or any(key.startswith("GNU.sparse.") for key in records):
            raise UnreadableError(f"{name[:200]!r} is a sparse file, which is not read")
        size = _pax_size(records) if records.get("size") else _number(header[124:136])
        if kind == b"\0":
            kind = FOLDER if name.endswith("/") else REGULAR
        self._left = 0 if kind[0] in _WITHOUT_DATA else size
        self._padding = -self._left % _BLOCK
        link = link or records.get("linkpath") or _text(header[157:257])
        for what, text in (("name", name), ("link", link)):
            if len(text) > MAX_PATH:
                raise UnreadableError(f"has a {what} of more than {MAX_PATH} characters")
        return TarMember(name, kind, link, self._left)

    def _header(self) -> bytes | None:
        """The next header whose sum is right; None at the end, which is two blocks of zeros.

        Go does without them, but then nobody knows whether a layer was cut off.
        """
        block = self._layer.read(_BLOCK)
        if block == _END:
            if self._layer.read(_BLOCK) not in (_END, b""):
                raise UnreadableError("has one block of zeros where two end a tar")
            return None
        if len(block) != _BLOCK:
            raise UnreadableError("ends without two blocks of zeros")
        _check_sum(block)
        return block

    def _extended(self, header: bytes) -> bytes:
        size = _number(header[124:136])
        if size > MAX_EXTENDED:
            raise UnreadableError(f"has an extended header of {size} bytes")
        data = self._layer.read(size)
        if len(data) != size:
            raise UnreadableError("ends within an extended header")
        self._pass(-size % _BLOCK)
        return data

    def _pass(self, size: int) -> None:
        if not self._layer.skip(size):
            raise UnreadableError("ends within a file")


def _check_sum(header: bytes) -> None:
    """The sum of all bytes, its own field as spaces; of signed bytes, too, as old tars have it."""
    expected = _number(header[148:156])
    found = sum(header) - sum(header[148:156]) + 8 * 0x20
    if found != expected:
        signed = found - 256 * sum(byte > 127 for byte in header[:148] + header[156:])
        if signed != expected:
            raise UnreadableError("has a header whose sum is wrong")


def _name(header: bytes) -> str:
    """Name and prefix; where the magic says so, the prefix is shorter or not there."""
    name, prefix = _text(header[:100]), ""
    if header[257:263] == b"ustar\0":
        prefix = _text(header[345:476] if header[508:512] == b"tar\0" else header[345:500])
    elif header[257:265] == b"ustar  \0":
        for time in (header[345:357], header[357:369]):
            _number(time)  # what Go before 1.8 put there instead of two times is not guessed
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    """Up to the first NUL; bytes that are no UTF-8 stay what they are."""
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _number(field: bytes) -> int:
    """Octal, or base 256 when the first bit is set; int() would take more than Go does."""
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if field[0] & 0x40 or value > _MAX_SIZE:
            raise UnreadableError("has a number that is negative or too large")
        return value
    digits = field.strip(b" \0").partition(b"\0")[0]
    if digits and not _OCTAL.fullmatch(digits):
        raise UnreadableError(f"has a number that is none: {digits!r}")
    return int(digits or b"0", 8)


def _pax_size(records: dict[str, str]) -> int:
    text = records["size"]
    if not (text.isascii() and text.isdigit() and len(text) < 17):
        raise UnreadableError(f"has a size that is none: {text[:40]!r}")
    return int(text)


def _records(data: bytes) -> dict[str, str]:
    """``<length> <key>=<value>\\n`` repeated; only what makes a name or a size is kept."""
    records: dict[str, str] = {}
    position = 0
    while position < len(data):
        digits, space, _ = data[position : position + 20].partition(b" ")
        end = position + int(digits) if digits.isdigit() else 0
        key, equals, value = data[position + len(digits) + 1 : end].partition(b"=")
        if not (space and key and equals and value.endswith(b"\n") and end <= len(data)):
            raise UnreadableError("has a PAX header that is none")
        position = end
        if key in (b"path", b"linkpath", b"size") or key.startswith(b"GNU.sparse."):
            records[key.decode()] = _pax_text(value[:-1])
    return records


def _pax_text(value: bytes) -> str:
    if b"\0" in value:
        raise UnreadableError("has a PAX header with a NUL in it")
    return value.decode("utf-8", "surrogateescape")
