"""Would an unpickler begin to work on these bytes? A walk over opcodes that runs none of them.

The opcodes, their arguments and what they do to the stack are those of `pickletools`; the walk ends
where an unpickler would give up.
"""

from __future__ import annotations

import pickletools
import re
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import BinaryIO

# The one now is 5; in a text the magic's second byte would be something else.
_MAX_PROTOCOL = 0x20
# Behind so many opcodes that make sense, nobody believes in a text by chance.
MAX_OPCODES = 100_000
MAX_LINE = 64 * 1024

_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
_CALLS = frozenset({"REDUCE", "BUILD", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX"})
_EXTENSIONS = frozenset({"EXT1", "EXT2", "EXT4"})
_IMPORTED = frozenset({"GLOBAL", "STACK_GLOBAL", "INST"})
# What takes what lies on top of the stack as its argument.
_GIVEN = frozenset({"REDUCE", "BUILD", "NEWOBJ", "NEWOBJ_EX"})
_IMPORTS = _EXTENSIONS | {"GLOBAL", "STACK_GLOBAL", "PERSID", "BINPERSID"}
_LENGTH_BYTES = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
# How an argument that is a line of text has to begin, or an unpickler stops there. No more than
# that: it takes hexadecimal digits, underscores, and in C anything behind a NUL.
_NUMBER = re.compile(rb"\s*[-+]?[0-9]")
_FLOAT = re.compile(rb"\s*[-+]?(?:[0-9.]|inf|nan)", re.IGNORECASE)
_QUOTE = re.compile(rb"\s*['\"]")
_NAME = re.compile(rb"[^\n]+\n")
_PLAIN_NAME = re.compile(rb"\S+\n")
_LINES = {
    "INT": _NUMBER, "LONG": _NUMBER, "GET": _NUMBER, "PUT": _NUMBER,
    "FLOAT": _FLOAT, "STRING": _QUOTE, "GLOBAL": _NAME, "INST": _NAME,
}  # fmt: skip


def begins_as_pickle(stream: BinaryIO, size: int) -> bool:
    """Whether an unpickler would come as far as calling something, or to an end.

    With the magic of protocol 2 and later, an import or any end will do. Without it, as text may
    look like opcodes, it takes a call, or an import and any end, or an end that is also the file's;
    behind another end, another pickle may begin. `stream` is at its beginning, and `size` bytes
    long. What imports a module and then breaks off is taken for text.
    """
    walk = _Walk(stream, size)
    for _ in range(MAX_OPCODES):
        name = walk.step()
        if name is None:
            return False
        if walk.called or (walk.known and name in _IMPORTS):
            return True
        if name == "STOP":
            if walk.known or walk.imported or stream.tell() == size:
                return True
            walk.stack.clear()
    return True


class _Item(Enum):
    """What of an unpickler's values is of interest."""

    MARK = auto()
    IMPORT = auto()
    OTHER = auto()


@dataclass
class _Walk:
    """An unpickler's stack, and what it has met: the magic, an import (or what a number or an
    application's own name stands for), a call."""

    stream: BinaryIO
    size: int
    stack: list[_Item] = field(default_factory=list)
    known: bool = False
    imported: bool = False
    fetched: bool = False
    called: bool = False
    _plain: bool = True

    def step(self) -> str | None:
        """The name of the next opcode once its argument and its effect made sense, else None."""
        opcode = _OPCODES.get(self.stream.read(1))
        if opcode is None or not self._skip_argument(opcode):
            return None
        # Of words, one a line, c.. and R.. or b.. make a call that is given an import itself.
        of_import = self.stack[-1:] == [_Item.IMPORT]
        if not self._apply(opcode):
            return None
        self.imported |= opcode.name in _IMPORTED
        # Constants can't be called.
        self.fetched |= self.imported or opcode.name in _IMPORTS
        if opcode.name in _CALLS and not (of_import and opcode.name in _GIVEN):
            self.called |= self.fetched and (opcode.name != "INST" or self._plain)
        return opcode.name

    def _skip_argument(self, opcode: pickletools.OpcodeInfo) -> bool:
        if opcode.arg is None:
            return True
        if opcode.arg.n == pickletools.UP_TO_NEWLINE:
            self._plain = True
            lines = 2 if opcode.name in ("GLOBAL", "INST") else 1
            return all(self._line(opcode.name) for _ in range(lines))
        if opcode.name == "PROTO":
            version = self._number(1)
            self.known |= version is not None and version < _MAX_PROTOCOL
            return version is not None
        width = _LENGTH_BYTES.get(opcode.arg.n)
        if opcode.name in _EXTENSIONS:
            # An unpickler gives up at code 0, which the length of a safetensors header may spell.
            return bool(self._number(opcode.arg.n))
        length = opcode.arg.n if width is None else self._number(width)
        if length is None or length > self.size - self.stream.tell():
            return False
        self.stream.seek(length, 1)
        return True

    def _number(self, width: int) -> int | None:
        prefix = self.stream.read(width)
        return int.from_bytes(prefix, "little") if len(prefix) == width else None

    def _line(self, name: str) -> bool:
        line = piece = self.stream.readline(MAX_LINE)
        while piece and not piece.endswith(b"\n"):
            piece = self.stream.readline(MAX_LINE)
        self._plain = self._plain and _PLAIN_NAME.match(line) is not None
        shape = _LINES.get(name)
        return bool(piece) and (shape is None or bool(shape.match(line)))

    def _apply(self, opcode: pickletools.OpcodeInfo) -> bool:
        before = opcode.stack_before
        count = len(before)
        marked = pickletools.markobject in before
        if marked or (opcode.name == "POP" and self.stack[-1:] == [_Item.MARK]):
            if _Item.MARK not in self.stack:
                return False
            while self.stack.pop() is not _Item.MARK:
                pass
            count = before.index(pickletools.markobject) if marked else 0
        if count > len(self.stack) or (count and _Item.MARK in self.stack[-count:]):
            return False
        del self.stack[len(self.stack) - count :]
        other = _Item.IMPORT if opcode.name in _IMPORTED else _Item.OTHER
        self.stack += [
            _Item.MARK if item is pickletools.markobject else other for item in opcode.stack_after
        ]
        return True
