"""The first thing that runs of an installer file: is this a place for it, and where to unpack.

It stands in the file as `__main__.py`, before shiv's own beginning, and is read by whatever
Python somebody has: nothing here is newer than Python 3.6.
"""

import atexit
import json
import os
import shutil
import sys
import tempfile
import zipfile
from typing import List, Tuple  # noqa: UP035

_USAGE = 2
_GLIBC = (2, 28)  # of the wheels, see wheels.py


def main() -> None:
    """Starts what is inside, or says why it can't and leaves with 2."""
    with zipfile.ZipFile(sys.argv[0]) as archive:
        place = json.loads(archive.read("place.json").decode())
    # One without the global lock is 3.14t, and needs other binaries.
    python = "{}.{}".format(*sys.version_info) + sys.abiflags
    if python not in place["pythons"] or sys.implementation.name != "cpython":
        expected = "CPython " + ", ".join(place["pythons"])
        _refuse(expected, f"{sys.implementation.name} {python}", "name another: python3.11 FILE")
    if os.uname().machine != place["machine"]:
        hint = "there is a file for each platform: carry the other"
        _refuse(place["machine"], os.uname().machine, hint)
    if _glibc() < _GLIBC:
        _refuse("glibc 2.28 or later", "an older one, or none", "Debian 10, RHEL 8 and later do")
    if "PYTHONPATH" in os.environ and not sys.flags.isolated:
        # Somebody's other packages would come before those that were checked.
        os.execv(sys.executable, [sys.executable, "-I", *sys.argv])
    # Who sets it means it.
    os.environ.setdefault("SHIV_ROOT", _root())
    from _bootstrap import bootstrap  # type: ignore[import-not-found]

    bootstrap()


def _glibc() -> Tuple[int, ...]:  # noqa: UP006
    try:
        version = os.confstr("CS_GNU_LIBC_VERSION")
    except ValueError:  # musl has no such name
        return ()
    return tuple(int(part) for part in (version or "").replace("glibc ", "").split(".") if part)


def _root() -> str:
    """The user's cache, for this run and the next; else a folder that is gone after this one."""
    for folder in _caches():
        try:
            os.makedirs(folder, 0o700, exist_ok=True)
            if _usable(folder):
                return folder
        except OSError:
            continue
    try:
        folder = tempfile.mkdtemp(prefix="airbundle-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    except OSError:
        folder = ""
    if not folder or not _usable(folder):
        _refuse(
            "a home or a temporary folder where programs may lie",
            "none that can be written, or they are mounted noexec",
            "set TMPDIR to one that can",
        )
    return folder


def _caches() -> List[str]:  # noqa: UP006
    named = os.environ.get("XDG_CACHE_HOME", ""), os.path.join(os.path.expanduser("~"), ".cache")
    return [os.path.join(each, "airbundle", "installer") for each in named if os.path.isabs(each)]


def _usable(folder: str) -> bool:
    """Ours alone (with sudo, a home may be another user's), to be written, and to be run from."""
    status, mount = os.stat(folder), os.statvfs(folder)
    ours = status.st_uid == os.geteuid() and not status.st_mode & 0o022
    return ours and os.access(folder, os.W_OK | os.X_OK) and not mount.f_flag & os.ST_NOEXEC


def _refuse(expected: str, found: str, hint: str) -> None:
    name = os.path.basename(sys.argv[0])
    sys.stderr.write(f"error: {name}: expected {expected}, found {found}\nhint: {hint}\n")
    sys.exit(_USAGE)


if __name__ == "__main__":
    main()
