"""Layers of images, made from lines: what a test says is in them, as a tar."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable, Iterable, Mapping

import zstandard

from bundler.archive import format as fmt
from bundler.core.digest import Descriptor
from bundler.scan.packages import LayerSubject

STATUS = "var/lib/dpkg/status"
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "gzip in two members": lambda data: gzip.compress(data[:700]) + gzip.compress(data[700:]),
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
    "zstd in two frames": lambda data: (
        zstandard.ZstdCompressor().compress(data[:700])
        + zstandard.ZstdCompressor().compress(data[700:])
    ),
}


def subject(data: bytes) -> LayerSubject:
    """The layer with these bytes."""
    return LayerSubject(Descriptor.of(fmt.OCI_LAYER, data), lambda: io.BytesIO(data))


def paragraph(name: str, version: str = "1.0", status: str = "install ok installed") -> bytes:
    """A package in dpkg's status."""
    return (
        f"Package: {name}\nStatus: {status}\nArchitecture: amd64\nVersion: {version}\n"
        "Description: short\n long: with a colon\n .\n\n"
    ).encode()


def metadata(name: str, version: str = "1.0", more: str = "") -> bytes:
    """A METADATA file."""
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}\nText: here\n".encode()


def info(name: str) -> str:
    """Where a Python package's METADATA is."""
    return f"usr/lib/python3/dist-packages/{name}-1.0.dist-info/METADATA"


def member(
    name: str, content: bytes = b"", type: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    """One member of any kind."""
    header = tarfile.TarInfo(name)
    header.type, header.linkname, header.size = type, link, len(content)
    return header, content


def symlink(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.SYMTYPE, link=target)


def hard_link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.LNKTYPE, link=target)


def folder(name: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.DIRTYPE)


def tar(
    members: Mapping[str, bytes] | Iterable[tuple[tarfile.TarInfo, bytes]],
    form: int = tarfile.PAX_FORMAT,
) -> bytes:
    """The tar of files by name, or of members in their order."""
    if isinstance(members, Mapping):
        members = [member(name, content) for name, content in members.items()]
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for header, content in members:
            archive.addfile(header, io.BytesIO(content))
    return stream.getvalue()
