"""Headers of NumPy's array files: which arrays hold numbers, and which pickles.

https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html: a magic, a version, the
header's length, and the header, a Python literal with ``descr``, ``fortran_order`` and ``shape``.
"""

from __future__ import annotations

import ast
import io
import re
import warnings
from typing import Any, BinaryIO

MAGIC = b"\x93NUMPY"
# As numpy.load has it, unless it is told otherwise.
MAX_HEADER = 10_000
_LENGTH_BYTES = {b"\x01\x00": 2, b"\x02\x00": 4, b"\x03\x00": 4}
_KEYS = {"descr", "fortran_order", "shape"}
# Booleans, numbers, raw bytes, strings, times. Of `object` NumPy knows more spellings than one.
_PLAIN = re.compile(r"[<>|=]?(?:[biufc](?:1|2|4|8|16|32)|[SUV][0-9]{1,9}|[mM]8(?:\[\w{1,20}\])?)")


def problem(head: bytes) -> str | None:
    """Why the array whose file begins with `head` is refused; None when it holds plain values."""
    header = _header(io.BytesIO(head))
    if header is None:
        return f"a NumPy array whose header can't be read, or has more than {MAX_HEADER} bytes"
    value = _literal(header)
    if not isinstance(value, dict) or value.keys() != _KEYS:
        return "a NumPy array whose header can't be read"
    if not _is_plain(value["descr"]):
        return f"a NumPy array of objects, or of {value['descr']!r:.80}: it may be a pickle"
    return None


def _header(stream: BinaryIO) -> str | None:
    start = stream.read(len(MAGIC) + 2)
    width = _LENGTH_BYTES.get(start[len(MAGIC) :])
    if width is None:
        return None
    prefix = stream.read(width)
    length = int.from_bytes(prefix, "little")
    if len(prefix) != width or length > MAX_HEADER:
        return None
    header = stream.read(length)
    try:
        return header.decode("utf-8") if len(header) == length else None
    except UnicodeDecodeError:
        return None


def _literal(header: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes and numbers: judged by their value
            return ast.literal_eval(header)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _is_plain(descr: Any) -> bool:
    """A plain type, a pair of one and a shape, or a list of fields that have plain types."""
    if isinstance(descr, str):
        return _PLAIN.fullmatch(descr) is not None
    if isinstance(descr, tuple):
        return len(descr) == 2 and _is_plain(descr[0])
    return isinstance(descr, list) and all(
        isinstance(item, tuple) and len(item) in (2, 3) and _is_plain(item[1]) for item in descr
    )
