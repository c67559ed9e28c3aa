"""What is said of a disk that is too small."""

from __future__ import annotations

_MIB = 1024**2


def shortage(place: str, size: int, free: int) -> str:
    """That `place` needs `size` bytes, and its disk has `free`: in MiB, which always differ."""
    needed, left = -(-size * 10 // _MIB), free * 10 // _MIB
    return f"{place}: needs {needed / 10:,.1f} MiB, its disk has {left / 10:,.1f} MiB free"
