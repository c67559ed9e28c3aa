"""Streams for parsers that believe lengths."""

from __future__ import annotations

import io

import pytest

from bundler.core.bounded import BoundedReads
from bundler.core.errors import SourceError


def test_reads_within_the_bound_and_no_more() -> None:
    stream = BoundedReads(io.BytesIO(b"0123456789"), 4, SourceError("too much"))
    assert stream.read(4) == b"0123"
    with pytest.raises(SourceError, match="too much"):
        stream.read(5)
    with pytest.raises(SourceError, match="too much"):
        stream.read()
    assert (stream.seek(-3, io.SEEK_END), stream.tell(), stream.read()) == (7, 7, b"789")
    assert stream.read(4) == b""
