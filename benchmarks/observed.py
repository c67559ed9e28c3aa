"""`python -m benchmarks.observed REPORT DEED ARGUMENT…`: a deed that says what it used.

    airbundle ARGUMENT…          the command, as its program runs it
    pull SOURCE STORE            an image into a store, as `build` does it before it packs
    phases FILE ARGUMENT…        the command again, and FILE gets the seconds of `install`'s phases

At its end REPORT gets {memory, written}, in bytes: the most memory that this process, and no
child of it, ever held (VmHWM of proc_pid_status(5)), and what it and its children wrote to a
disk (write_bytes of proc_pid_io(5)).
"""

from __future__ import annotations

import atexit
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PROC = Path("/proc/self")
# phase: the function that bundler/install.py calls for it; the last calls the two before it
PHASES = {
    "preflight": "preflight",
    "plan": "prepare",
    "push": "push_bundle",
    "wait": "wait_ready",
    "smoke": "smoke",
    "apply": "transact",
}


# The imports of these deeds are part of what is measured.
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


def phases(file: str, *arguments: str) -> None:
    """Runs `airbundle ARGUMENTS`, an install, and notes how long each phase of it took."""
    from bundler import install

    spent = dict.fromkeys(PHASES, 0.0)
    for phase, name in PHASES.items():
        setattr(install, name, _timed(getattr(install, name), spent, phase))
    atexit.register(_write_phases, Path(file), spent)
    airbundle(*arguments)


def _timed(function: Callable[..., Any], spent: dict[str, float], phase: str) -> Callable[..., Any]:
    def timed(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            spent[phase] += time.perf_counter() - began

    return timed


def _write_phases(file: Path, spent: dict[str, float]) -> None:
    within = spent["wait"] + spent["smoke"]
    file.write_text(json.dumps(spent | {"apply": max(0.0, spent["apply"] - within)}))


def main(report: Path, deed: str, arguments: list[str]) -> None:
    """Does it, and reports at the end of the process."""
    atexit.register(_note, report)
    if deed == "pull":
        pull(*arguments)
    elif deed == "phases":
        phases(*arguments)
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
