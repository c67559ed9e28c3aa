"""Installing airbundle with nothing but what the tests' own environment has: no index is asked.

pip takes what is on PYTHONPATH for installed. So a folder with all of our packages but airbundle's
own stands there, and pip has airbundle alone to install, from a wheel or a checkout.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.parts.components import ROOT

_OWN = ("airbundle", "_airbundle", "__editable__", "_editable_impl_airbundle")


def environment(folder: Path) -> dict[str, str]:
    """Variables for a shell in which `pip install` needs no index; `folder` is filled."""
    folder.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith(_OWN):
            (folder / path.name).symlink_to(path)
    return {
        "PYTHONPATH": str(folder),
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads it backwards: there is no isolation
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def wheel(folder: Path) -> Path:
    """A wheel of this tree in `folder`."""
    argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(argv, cwd=ROOT, check=True, capture_output=True)
    [made] = folder.glob("*.whl")
    return made
