"""The first thing that runs of an installer file: is this a place for it, and where to unpack.

It stands in the file as `__main__.py`, before shiv's own beginning, and is read by whatever
Python somebody has: nothing here is newer than Python 3.6.
"""

import atexit
import json
import os
import shutil
import stat
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
            # Looked at before anything is made in it, and without links from here on.
            real = os.path.realpath(folder)
            if not (_kept_from_others(folder) and _kept_from_others(real)):
                continue
            _make(real)
            if _kept_from_others(real) and _usable(real):
                return real
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


def _kept_from_others(folder: str) -> bool:
    """Whether only we and root can put another folder in the place of this one, or of one above.

    With sudo, a home may be another user's. What is not there yet is nobody's.
    """
    while True:
        try:
            found = os.lstat(folder)
        except FileNotFoundError:
            pass
        else:
            alone = stat.S_ISLNK(found.st_mode) or not found.st_mode & 0o022
            if not alone and not found.st_mode & stat.S_ISVTX:
                return False
            if found.st_uid not in (0, os.geteuid()):
                return False
        above = os.path.dirname(folder)
        if above == folder:
            return True
        folder = above


def _make(folder: str) -> None:
    before = os.umask(0o077)
    try:
        os.makedirs(folder, exist_ok=True)
    finally:
        os.umask(before)


def _usable(folder: str) -> bool:
    """To be written, and to be run from."""
    noexec = os.statvfs(folder).f_flag & os.ST_NOEXEC
    return os.access(folder, os.W_OK | os.X_OK) and not noexec


def _refuse(expected: str, found: str, hint: str) -> None:
    name = os.path.basename(sys.argv[0])
    sys.stderr.write(f"error: {name}: expected {expected}, found {found}\nhint: {hint}\n")
    sys.exit(_USAGE)


if __name__ == "__main__":
    main()
