"""The files of a small tar that is in memory, framed as we frame one and in no other way."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bundler.archive.framing import BLOCK, END, Member, padded, place, place_all
from bundler.core.errors import IntegrityError

_PATH = re.compile(rb"[0-9]+ path=([^\n]*)\n")


def pack(files: Mapping[str, bytes]) -> bytes:
    """One tar of `files` by name, sorted by the bytes of the name; `unpack` is its inverse."""
    names = sorted(files, key=str.encode)
    placed = place_all((Member(name, len(files[name])) for name in names), 0)
    parts = (part for p in placed for part in (p.framing, files[p.member.name], p.filler))
    return b"".join(parts) + END


def unpack(data: bytes, what: str) -> dict[str, bytes]:
    """The files in `data` by name, as `what` in errors; docs/format.md, "Framing".

    Links, sparse files and headers that we don't write are no such framing: IntegrityError.
    """
    files: dict[str, bytes] = {}
    at = 0
    while at < len(data) - len(END):
        member = _member(data, at, what)
        placed = place(member, at)
        framed = data[at : placed.offset] == placed.framing and placed.end <= len(data) - len(END)
        if not framed or member.name in files:
            raise _refusal(at, what)
        files[member.name] = data[placed.offset : placed.offset + member.size]
        at = placed.end
    if data[at:] != END:
        raise _refusal(at, what)
    return files


def _member(data: bytes, at: int, what: str) -> Member:
    """What the header at `at` claims, which is not to be believed yet."""
    path = None
    try:
        if data[at + 156 : at + 157] == b"x":
            begin = at + BLOCK
            length = _size(data, at)
            path = _PATH.match(data, begin, begin + length)
            at = begin + padded(length)
        name = path[1] if path else data[at : at + 100].rstrip(b"\0")
        return Member(name.decode(), _size(data, at))
    except ValueError as error:
        raise _refusal(at, what) from error


def _size(data: bytes, at: int) -> int:
    text = data[at + 124 : at + 135]
    if not text.isdigit():
        raise ValueError("the size is no number")
    return int(text, 8)


def _refusal(at: int, what: str) -> IntegrityError:
    return IntegrityError(f"{what}: at byte {at}: expected a file in the framing of the format")
