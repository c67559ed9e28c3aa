"""Headers of safetensors files: a list of tensors that covers the file and says nothing else.

https://github.com/safetensors/safetensors#format: a little-endian u64 with the header's length, the
header as JSON, then the buffer, which tensors cover without gap or overlap.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable
from typing import Any, BinaryIO, NamedTuple, NoReturn

from bundler.core.findings import Finding
from bundler.core.jsonmembers import Span, object_members, string
from bundler.scan.scanner import ScanSubject

# The format allows 100 MB. Published models stay far below: 18,000 tensors in one file make 2 MB,
# and the 91,991 of the largest model that is known to us, were they in one file, about 11 MB.
MAX_HEADER = 16_000_000
# What a header of that size could hold beyond that is there to fill our memory.
MAX_TENSORS = 150_000
MAX_METADATA = 100_000
_MAX_TENSOR_TEXT = 4096
_METADATA = "__metadata__"
_MAX_INTEGER = 2**53 - 1
_FIELDS = {"dtype", "shape", "data_offsets"}

# Bits an element, as in the library's `Dtype::bitsize`.
DTYPE_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F16": 16, "BF16": 16, "F32": 32, "F64": 64, "C64": 64,
}  # fmt: skip


class SafetensorsScanner:
    """Reads `*.safetensors`, and nothing of them but the header."""

    id = "safetensors"
    version = "2"
    covers_weights = True

    def reads(self, subject: ScanSubject) -> bool:
        """By its name."""
        return subject.name.lower().endswith(".safetensors")

    def scan(self, subject: ScanSubject) -> Iterable[Finding]:
        """One finding at most: the first thing that is wrong."""
        try:
            with subject.open() as stream:
                check_header(stream, subject.size)
        except _Malformed as error:
            hint = "fetch the file again, or save it anew with the safetensors library"
            yield Finding(self.id, "error", subject.name, str(error), hint)


class _Malformed(Exception):  # noqa: N818 - never leaves this module
    pass


class _Tensor(NamedTuple):
    begin: int
    end: int
    dtype: str
    elements: int


def count_elements(subject: ScanSubject) -> dict[str, int] | None:
    """How many numbers of each dtype a file holds; None when its header is malformed."""
    counts: dict[str, int] = {}
    try:
        with subject.open() as stream:
            for tensor in check_header(stream, subject.size):
                counts[tensor.dtype] = counts.get(tensor.dtype, 0) + tensor.elements
    except _Malformed:
        return None
    return counts


def check_header(stream: BinaryIO, size: int) -> Iterable[_Tensor]:
    """The tensors; raises `_Malformed` unless they make up a file of exactly `size` bytes."""
    prefix = stream.read(8)
    if len(prefix) != 8:
        _refuse(f"expected at least 8 bytes, found {len(prefix)}")
    (length,) = struct.unpack("<Q", prefix)
    if not 2 <= length <= min(MAX_HEADER, size - 8):
        _refuse(f"expected a header of 2 to {min(MAX_HEADER, size - 8)} bytes, found {length}")
    header = stream.read(length)
    if len(header) != length:
        _refuse(f"ends within its header, after {len(header)} of {length} bytes")
    if not header.startswith(b"{"):
        _refuse("expected a header that begins with '{'")
    try:
        tensors = _tensors(header)
    except UnicodeDecodeError as error:
        _refuse(f"its header is not UTF-8: {error.reason}")
    except (ValueError, RecursionError) as error:
        _refuse(f"its header is not JSON: {str(error)[:100]}")
    _check_cover(tensors, size - 8 - length)
    return tensors.values()


def _tensors(header: bytes) -> dict[str, _Tensor]:
    """The tensors by name, made small at once; ValueError for what is no JSON."""
    tensors: dict[str, _Tensor] = {}
    stated = False
    for name, span in object_members(header):
        if name in tensors or (stated and name == _METADATA):
            _refuse(f"{name!r:.100} stands twice in its header")
        if name == _METADATA:
            stated = True
            _check_metadata(header, span)
        elif len(tensors) == MAX_TENSORS:
            _refuse(f"expected at most {MAX_TENSORS} tensors in its header")
        else:
            tensors[name] = _tensor(name, header, span)
    return tensors


def _check_metadata(header: bytes, span: Span) -> None:
    """Strings to strings, and no name twice."""
    seen: set[str] = set()
    if header[span.begin : span.begin + 1] != b"{":
        _refuse(f"expected {_METADATA} from strings to strings")
    for name, value in object_members(header, span):
        if header[value.begin : value.begin + 1] != b'"':
            _refuse(f"expected {_METADATA} from strings to strings")
        string(header, value)
        if name in seen:
            _refuse(f"{name!r:.100} stands twice in its header")
        if len(seen) == MAX_METADATA:
            _refuse(f"expected at most {MAX_METADATA} members in {_METADATA}")
        seen.add(name)


def _tensor(name: str, header: bytes, span: Span) -> _Tensor:
    value = None
    if span.end - span.begin <= _MAX_TENSOR_TEXT:
        value = json.loads(
            header[span.begin : span.end].decode("utf-8"),
            object_pairs_hook=_unique,
            parse_int=_integer,
            parse_float=_no_number,
            parse_constant=_no_number,
        )
    if not isinstance(value, dict) or value.keys() != _FIELDS:
        _refuse(f"tensor {name!r:.80}: expected exactly dtype, shape and data_offsets")
    return _extent(value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for name, member in pairs:
        if name in value:
            _refuse(f"{name!r:.100} stands twice in its header")
        value[name] = member
    return value


def _extent(value: dict[str, Any]) -> _Tensor:
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    bits = DTYPE_BITS.get(dtype) if isinstance(dtype, str) else None
    if bits is None:
        _refuse(f"expected a known dtype, found {dtype!r:.40}")
    if not _are_sizes(shape):
        _refuse(f"expected a shape of integers from 0, found {shape!r:.80}")
    if not _are_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        _refuse(f"expected data_offsets as [begin, end], found {offsets!r:.80}")
    elements = 1
    for extent in shape:
        elements *= extent
        if elements * bits > _MAX_INTEGER:
            _refuse(f"a tensor of shape {shape!r:.80} is larger than any file")
    bits *= elements
    if bits % 8 or bits // 8 != offsets[1] - offsets[0]:
        _refuse(f"{dtype} of shape {shape!r:.80} has {bits} bits, its data_offsets are {offsets!r}")
    return _Tensor(offsets[0], offsets[1], dtype, elements)


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _check_cover(tensors: dict[str, _Tensor], length: int) -> None:
    position = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1]):
        if tensor.begin != position:
            kind = "a gap" if tensor.begin > position else "an overlap"
            _refuse(f"tensor {name!r:.80}: {kind}: begins at {tensor.begin}, expected {position}")
        position = tensor.end
    if position != length:
        _refuse(f"tensors end at byte {position} of the buffer, the file at {length}")


def _integer(text: str) -> int:
    if not re.fullmatch(r"0|-?[1-9][0-9]{0,15}", text):
        _refuse(f"expected integers up to 2^53-1 in its header, found {text[:20]}")
    return int(text)


def _no_number(text: str) -> NoReturn:
    _refuse(f"expected integers in its header, found {text[:20]}")


def _refuse(problem: str) -> NoReturn:
    raise _Malformed(problem)
