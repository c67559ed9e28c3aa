"""What has to be unpacked before anybody can say what it is: found by content, not by name."""

from __future__ import annotations

import io
import re
import tarfile
import zlib

from bundler.scan.opcodes import begins_as_pickle

# So many first bytes of a file `kind` wants to see.
HEAD = 16 * 1024
_TAR_BLOCK = 512
# Text never comes to as many bytes as this: what it spells is soon no deflate stream any more.
_ENOUGH = 1024
_MAGICS = {
    "gzip": re.compile(rb"\x1f\x8b\x08"),
    "bzip2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"),
    "xz": re.compile(rb"\xfd7zXZ\x00"),
    # The header's 13 bytes, then a range coder, whose first byte is 0.
    "lzma": re.compile(rb"\x5d\x00.{11}\x00", re.DOTALL),
    "lz4": re.compile(rb"\x04\x22\x4d\x18|\x02\x21\x4c\x18|[\x50-\x5f]\x2a\x4d\x18"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd"),
    "7z": re.compile(rb"7z\xbc\xaf\x27\x1c"),
}


def kind(head: bytes) -> str | None:
    """The name of the packing of the file that begins with `head`; None when there is none."""
    found = next((name for name, magic in _MAGICS.items() if magic.match(head)), None)
    if found is None and _is_tar(head):
        return "tar"
    return "zlib" if found is None and _is_zlib(head) else found


def _is_tar(head: bytes) -> bool:
    """By the checksum, which `tarfile` goes by; a magic is in the newer formats only."""
    try:
        tarfile.TarInfo.frombuf(head[:_TAR_BLOCK], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return head[257:262] == b"ustar"
    return True


def _is_zlib(head: bytes) -> bool:
    """Whether something comes out. Two bytes make the magic, and ``x^`` is one, so text has it.

    Byte by byte, since what came before damage has already been read by whoever loads it.
    """
    if len(head) < 2 or head[0] & 0x8F != 0x08 or int.from_bytes(head[:2], "big") % 31:
        return False
    stream, out = zlib.decompressobj(), bytearray()
    for value in head:
        try:
            out += stream.decompress(bytes([value]), _ENOUGH)
        except zlib.error:
            break
        if stream.eof or len(out) >= _ENOUGH:
            return True
    return begins_as_pickle(io.BytesIO(out), len(out))
