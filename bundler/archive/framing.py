"""Every byte of a bundle that is not content, computed from names, sizes and places.

Nothing here parses tar: a writer writes these bytes and a reader compares them
(docs/format.md, "Framing").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

BLOCK = 512
ALIGNMENT = 4096
# The size field of ustar has 11 octal digits; from here on PAX carries the size.
OCTAL_LIMIT = 8**11
END = bytes(2 * BLOCK)

_SHORTEST_COMMENT = len("12 comment=\n")


@dataclass(frozen=True)
class Member:
    """A member of a tar: its name, and its content's size in bytes."""

    name: str
    size: int


@dataclass(frozen=True)
class Placed:
    """A member at its place: `framing` stands at `start`, the content at `offset`, then NULs."""

    member: Member
    start: int
    framing: bytes
    offset: int

    @property
    def end(self) -> int:
        """Where the next member's framing begins."""
        return self.offset + padded(self.member.size)

    @property
    def filler(self) -> bytes:
        """The NULs between the content and the next multiple of 512."""
        return bytes(padded(self.member.size) - self.member.size)


def padded(size: int) -> int:
    """`size` rounded up to a multiple of 512."""
    return -(-size // BLOCK) * BLOCK


def header(name: bytes, size: int, typeflag: bytes = b"0") -> bytes:
    """The 512 bytes of a ustar header with all fields but name, size and type fixed."""
    fields = (
        name.ljust(100, b"\0")
        + b"0000644\0" + b"0000000\0" + b"0000000\0"
        + b"%011o\0" % (size if size < OCTAL_LIMIT else 0)
        + b"00000000000\0"
        + b" " * 8
        + typeflag
        + bytes(100)
        + b"ustar\x0000"
        + bytes(64)
        + b"0000000\0" * 2
    ).ljust(BLOCK, b"\0")  # fmt: skip
    return fields[:148] + b"%06o\0 " % sum(fields) + fields[156:]


def place(member: Member, start: int) -> Placed:
    """`member` behind whatever ended at `start`, its content at a multiple of 4096."""
    records = _records(member)
    name = _header_name(member.name)
    own = header(name, member.size)
    if not records and (start + BLOCK) % ALIGNMENT == 0:
        return Placed(member, start, own, start + BLOCK)
    body = _filled(records, start)
    pax = header(b"././@PaxHeader", len(body), b"x")
    framing = pax + body.ljust(padded(len(body)), b"\0") + own
    return Placed(member, start, framing, start + len(framing))


def place_plain(member: Member, start: int) -> Placed:
    """`member` without alignment, as the first three members of a bundle stand."""
    return Placed(member, start, header(member.name.encode(), member.size), start + BLOCK)


def place_all(members: Iterable[Member], start: int) -> Iterator[Placed]:
    """Each of `members` in turn, from `start` on."""
    for member in members:
        placed = place(member, start)
        start = placed.end
        yield placed


def _records(member: Member) -> bytes:
    records = b""
    if member.size >= OCTAL_LIMIT:
        records += _record("size", str(member.size))
    if len(member.name.encode()) > 100 or not member.name.isascii():
        records += _record("path", member.name)
    return records


def _record(key: str, value: str) -> bytes:
    """A PAX record, whose length counts its own digits."""
    rest = f" {key}={value}\n".encode()
    length = len(rest) + 1
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def _filled(records: bytes, start: int) -> bytes:
    """`records` and the shortest comment that brings the content to a multiple of 4096."""
    least = len(records) + _SHORTEST_COMMENT
    room = -(start + 2 * BLOCK) % ALIGNMENT
    while room < least:
        room += ALIGNMENT
    length = max(least, room - BLOCK + 1) - len(records)
    dots = length - len(" comment=\n") - len(str(length))
    return records + f"{length} comment={'.' * dots}\n".encode()


def _header_name(name: str) -> bytes:
    return bytes(byte if byte < 0x80 else ord("_") for byte in name.encode())[:100]
