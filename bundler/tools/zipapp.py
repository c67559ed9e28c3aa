"""A folder of packages as one file that Python runs, made by shiv (https://shiv.readthedocs.io).

Beside what shiv does, the file begins with `zipapp_main`, which looks at where it is before
anything is unpacked; and none of its bytes come from the machine that it is made on: nothing in
it is compressed, since zlib's output is not the same everywhere, and no file has a time or rights
of its own.
"""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from bundler.tools import process
from bundler.tools.process import Runner
from bundler.tools.wheels import module, require

_SHEBANG = b"#!/usr/bin/env python3\n"
_MAIN = "__main__.py"
_PLACE = "place.json"
_RIGHTS = 0o100644 << 16


def pack(
    site: Path,
    entry_point: str,
    machine: str,
    pythons: Sequence[str],
    run: Runner = process.run,
) -> bytes:
    """The file that unpacks `site` where it is started and calls `entry_point` (``module:name``).

    It refuses to start on another `machine` (``x86_64``) than this, and in another version of
    CPython than one of `pythons` (``3.11``). ToolError when there is no shiv, or it fails.
    """
    require("shiv")
    with tempfile.TemporaryDirectory(prefix="airbundle-") as temporary:
        made = Path(temporary) / "made.pyz"
        options = "--reproducible", "--uncompressed", "--entry-point", entry_point
        run((*module("shiv"), "--site-packages", str(site), *options, "--output-file", str(made)))
        return _rewritten(made, json.dumps({"machine": machine, "pythons": list(pythons)}))


def _rewritten(made: Path, place: str) -> bytes:
    file = io.BytesIO()
    file.write(_SHEBANG)
    with zipfile.ZipFile(made) as old, zipfile.ZipFile(file, "w") as new:
        for name in sorted(old.namelist()):
            new.writestr(_entry(name), _main() if name == _MAIN else old.read(name))
        new.writestr(_entry(_PLACE), place)
    return file.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = _RIGHTS
    return entry


def _main() -> bytes:
    return (files("bundler.tools") / "zipapp_main.py").read_bytes()
