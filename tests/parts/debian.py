"""Trees of Debian's packages, for images: nothing is pulled. Needs root and debootstrap.

Where packages come from is what apt on this machine is set up to ask; it is written nowhere.
"""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.parts.components import find_program
from tests.parts.wheel import FetchError

RELEASE = "trixie"
# The tree's own commands see it mounted over the trees below; the mounts end with them.
_OVER = """
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$3" "$4"
mount -t proc proc "$4/proc"
shift 3
exec chroot "$@"
"""
_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
    "DEBIAN_FRONTEND": "noninteractive",
}


def debootstrap(folder: Path, packages: Sequence[str]) -> None:
    """A minimal Debian with `packages` in `folder`; FetchError when it can't be had."""
    program = find_program("debootstrap")
    if program is None:
        raise FetchError("needs debootstrap (Debian: debootstrap)")
    include = f"--include={','.join(packages)}"
    _run([str(program), "--variant=minbase", include, RELEASE, str(folder), _mirror()])


def install(over: Sequence[Path], folder: Path, packages: Sequence[str]) -> None:
    """What installing `packages` adds to the trees `over` (the lowest first), in `folder`."""
    chroot(over, folder, ["apt-get", "update", "-q"])
    # What is lost when the machine goes down was not whole anyway.
    fast = ["-o", "Dpkg::Options::=--force-unsafe-io"]
    command = ["apt-get", "install", "-q", "-y", *fast, "--no-install-recommends", *packages]
    chroot(over, folder, command)


def chroot(over: Sequence[Path], folder: Path, command: Sequence[str]) -> None:
    """Runs a command in the trees `over` and `folder` together; what it writes is in `folder`."""
    folder.mkdir(exist_ok=True)
    work, root = folder.with_suffix(".work"), folder.with_suffix(".root")
    for each in (work, root):
        each.mkdir(exist_ok=True)
    lower = ":".join(str(each) for each in reversed(over))
    script = ["unshare", "--mount", "sh", "-euc", _OVER, "sh"]
    _run([*script, lower, str(folder), str(work), str(root), *command])


def _mirror() -> str:
    """The archive that has this machine's own release, in whose words apt names it."""
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(CODENAME)"],
        capture_output=True,
        text=True,
        check=False,
    )
    for line in listed.stdout.splitlines():
        site, _, codename = line.partition(" ")
        if codename == release:
            return site
    raise FetchError("apt on this machine has no Debian archive to ask")


def _run(argv: Sequence[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, env=_ENVIRONMENT, check=False)
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise FetchError(lines[-1] if lines else f"{argv[0]} ended with {done.returncode}")
