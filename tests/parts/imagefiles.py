"""What goes into the images of images.py: the machine's own programs, at paths that tell nothing
about where they came from. Only the standard library.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.parts.components import find_program

LIBRARIES = "/usr/local/lib"
PYTHON = "/usr/local/bin/python3"

_APPLETS = ("cat", "echo", "env", "id", "ls", "mkdir", "rm", "sh", "sha256sum", "wget")
# Not needed to run a program; the test suite alone is larger than all the rest.
_LEFT_OUT = {
    "__pycache__", "dist-packages", "ensurepip", "idlelib", "lib2to3", "pydoc_data",
    "site-packages", "test", "tests", "tkinter", "turtledemo",
}  # fmt: skip
_LEFT_OUT_MODULES = ("_test", "_tkinter", "_xxtest", "xxlimited")
_SUFFIXES = ("", ".py", ".so", ".txt", ".json")


class ImageError(Exception):
    """The machine lacks what the image is made of."""


@dataclass(frozen=True)
class Member:
    """One member of a layer: a link if `link`, a folder if the name ends in "/", else a file."""

    name: str
    source: Path | None = None
    data: bytes = b""
    link: str = ""
    mode: int = 0o644

    def content(self) -> bytes:
        """A file's bytes."""
        return self.source.read_bytes() if self.source else self.data

    def header(self, size: int) -> tarfile.TarInfo:
        """Owner root, time 0."""
        info = tarfile.TarInfo(self.name.rstrip("/"))
        info.mode = self.mode
        if self.link:
            info.type, info.linkname = tarfile.SYMTYPE, self.link
        elif self.name.endswith("/"):
            info.type = tarfile.DIRTYPE
        else:
            info.size = size
        return info


def busybox() -> tuple[Member, ...]:
    """Debian's static busybox with links for a few of its programs."""
    program = shutil.which("busybox", path="/bin:/usr/bin")
    if program is None or _linked(Path(program)):
        raise ImageError("no static busybox here (Debian: busybox-static)")
    links = [Member(f"bin/{name}", link="busybox", mode=0o777) for name in _APPLETS]
    return (Member("bin/busybox", Path(program), mode=0o755), *links)


def accounts() -> tuple[Member, ...]:
    """A user without rights, and a place to write."""
    return (
        Member("etc/group", data=b"root:x:0:\nnonroot:x:65532:\n"),
        Member(
            "etc/passwd",
            data=b"root:x:0:0::/:/sbin/nologin\nnonroot:x:65532:65532::/tmp:/sbin/nologin\n",
        ),
        Member("tmp/", mode=0o1777),
    )


def pause() -> tuple[Member, ...]:
    """Our own program that waits, out of build/tools."""
    program = find_program("pause")
    if program is None:
        raise ImageError("no pause here (tests/parts/install pause)")
    return (Member("pause", program, mode=0o755),)


def web_page() -> tuple[Member, ...]:
    """Something for busybox's web server to answer."""
    return (Member("srv/index.html", data=b"<title>airbundle</title>\n<p>It runs.</p>\n"),)


def python() -> tuple[Member, ...]:
    """The running interpreter and its standard library, moved to /usr/local."""
    version = f"python3.{sys.version_info.minor}"
    folder = f"{LIBRARIES.removeprefix('/')}/{version}"
    stdlib = Path(sysconfig.get_path("stdlib"))
    return (
        Member(f"usr/local/bin/{version}", _interpreter(), mode=0o755),
        Member(PYTHON.removeprefix("/"), link=version, mode=0o777),
        *(Member(f"{folder}/{path.relative_to(stdlib)}", path) for path in _stdlib_files(stdlib)),
    )


@functools.cache
def python_libraries() -> tuple[Member, ...]:
    """Every shared library that the interpreter or a module of its standard library links to."""
    stdlib = Path(sysconfig.get_path("stdlib"))
    modules = [path for path in _stdlib_files(stdlib) if path.suffix == ".so"]
    found: dict[str, Path] = {}
    for program in (_interpreter(), *modules):
        found.update(_linked(program))
    return tuple(Member(name, path, mode=0o755) for name, path in sorted(found.items()))


def _interpreter() -> Path:
    return Path(sys.executable).resolve()


def _stdlib_files(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(
            name for name in folders if name not in _LEFT_OUT and not name.startswith("config-")
        )
        for name in sorted(files):
            if Path(name).suffix in _SUFFIXES and not name.startswith(_LEFT_OUT_MODULES):
                yield Path(folder, name)


def _linked(program: Path) -> dict[str, Path]:
    """Place in the image → library here, for all that `ldd` finds; none for a static program.

    The loader stands at the absolute path that is written into every program; all other libraries
    go to one folder, which LD_LIBRARY_PATH names, wherever they were.
    """
    listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        return {}
    return dict(_places(listed.stdout.splitlines()))


def _places(lines: Iterable[str]) -> Iterator[tuple[str, Path]]:
    for line in lines:
        if found := re.fullmatch(r"\s*(\S+) => (/\S+) \(0x\w+\)", line):
            yield f"{LIBRARIES.removeprefix('/')}/{found[1]}", Path(found[2])
        elif found := re.fullmatch(r"\s*/(\S+) \(0x\w+\)", line):
            yield found[1], Path("/", found[1])
