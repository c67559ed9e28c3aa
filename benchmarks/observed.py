"""`python -m benchmarks.observed REPORT DEED ARGUMENT…`: a deed that says what it used.

    airbundle ARGUMENT…          the command, as its program runs it
    pull SOURCE STORE            an image into a store, as `build` does it before it packs

At its end REPORT gets {memory, written}, in bytes: the most memory that this process, and no
child of it, ever held (VmHWM of proc_pid_status(5)), and what it and its children wrote to a
disk (write_bytes of proc_pid_io(5)).
"""

from __future__ import annotations

import atexit
import json
import re
import sys
from pathlib import Path

_PROC = Path("/proc/self")


# The imports of both deeds are part of what is measured.
def airbundle(*arguments: str) -> None:
    """Runs `airbundle ARGUMENTS`; exits as it does."""
    from bundler.cli.main import main

    sys.argv = ["airbundle", *arguments]
    main()


def pull(source: str, store: str) -> None:
    """Every layer of the image at `source` into the store in that folder."""
    from bundler.archive.store import Store
    from bundler.core.progress import SILENT
    from bundler.sources.images import resolve_image
    from bundler.sources.remote import Reach, fetch_all

    reach = Reach(Path(), Store(Path(store)))
    image = resolve_image(source, reach, ("linux/amd64",), SILENT)
    fetch_all(image.remotes, reach.store, SILENT)


def main(report: Path, deed: str, arguments: list[str]) -> None:
    """Does it, and reports at the end of the process."""
    atexit.register(_note, report)
    if deed == "pull":
        pull(*arguments)
    else:
        airbundle(*arguments)


def _note(report: Path) -> None:
    memory = _number(r"VmHWM:\s+(\d+) kB", "status") * 1024
    written = _number(r"^write_bytes: (\d+)", "io")
    report.write_text(json.dumps({"memory": memory, "written": written}))


def _number(pattern: str, name: str) -> int:
    found = re.search(pattern, (_PROC / name).read_text(), re.MULTILINE)
    if found is None:
        raise LookupError(f"{_PROC / name}: says no {pattern}")
    return int(found[1])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
