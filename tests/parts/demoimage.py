"""The images of the demo and of tests with pods: Debian's Python 3.13, and upon it its CPU torch
with transformers, which serves a model.

Made once into build/cache from Debian's packages and, by the hashes of `demoimage.txt`, from
wheels; another recipe is another folder. Needs root.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.parts import debian, treeimage
from tests.parts.components import BUILD, ROOT
from tests.parts.imagefiles import Member
from tests.parts.treeimage import Layer
from tests.parts.wheel import FetchError

_WHEELS = Path(__file__).with_suffix(".txt")
_SERVE = ROOT / "examples" / "demo" / "serve.py"
_LAYERS = "layers.json"
_BASE = ("ca-certificates", "python3")
_TORCH = ("python3-torch",)
_PACKAGES = "usr/local/lib/python3.13/dist-packages"
# Any time will do; Python compares it with what it wrote into its caches.
_TIME = 1_700_000_000
# Writes the caches of all modules that serving needs, and of no other.
_IMPORTS = "import torch, transformers; from transformers import AutoTokenizer, BertModel"
_CONFIG = {"User": "65532:65532", "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp"]}
_USER = "nonroot:x:65532:65532::/tmp:/usr/sbin/nologin\n"
_RECIPE = repr((
    *(debian.RELEASE, _BASE, _TORCH, _PACKAGES, _IMPORTS, _USER),
    *(treeimage.EMPTY, treeimage.LEFT_OUT, _WHEELS.read_text()),
))  # fmt: skip
_NAME = f"demoimage-{hashlib.sha256(_RECIPE.encode()).hexdigest()[:12]}"
_FOLDER = BUILD / "cache" / _NAME


def present() -> bool:
    """Whether `fetch` has nothing left to do."""
    return (_FOLDER / _LAYERS).is_file()


def fetch() -> Path:
    """The folder of the layers, for the functions below; FetchError when they can't be made."""
    if present():
        return _FOLDER
    if os.geteuid() != 0:
        raise FetchError("as root: an image is made of Debian's packages")
    _FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with _FOLDER.with_suffix(".lock").open("w") as lock:
        # Who comes second waits for the minutes that it takes, rather than do it, too.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not present():
            _fill()
    return _FOLDER


def _fill() -> None:
    with tempfile.TemporaryDirectory(dir=_FOLDER.parent) as scratch:
        layers = Path(scratch, "layers")
        layers.mkdir()
        made = [[each.path.name, each.diff_id] for each in _make(Path(scratch), layers)]
        (layers / _LAYERS).write_text(json.dumps(made))
        layers.rename(_FOLDER)


def make_python_layout(folder: Path) -> str:
    """An OCI layout of Debian with Python 3.13 in `folder`; its manifest's digest."""
    return treeimage.write_layout(folder, _layers()[:1], {**_CONFIG, "Cmd": ["python3"]})


def make_demo_layout(folder: Path) -> str:
    """An OCI layout of the demo's server in `folder`; its manifest's digest."""
    program = Member("app/serve.py", data=_SERVE.read_bytes())
    with tempfile.TemporaryDirectory(dir=fetch()) as scratch:
        top = treeimage.layer_of_members([program], Path(scratch))
        command = {"Cmd": ["python3", "/app/serve.py"], "ExposedPorts": {"8080/tcp": {}}}
        return treeimage.write_layout(folder, [*_layers(), top], {**_CONFIG, **command})


def _layers() -> list[Layer]:
    made = json.loads((fetch() / _LAYERS).read_text())
    return [Layer(_FOLDER / name, diff_id) for name, diff_id in made]


def _make(scratch: Path, layers: Path) -> list[Layer]:
    since = time.time()
    python, torch, wheels = (scratch / name for name in ("python", "torch", "wheels"))
    debian.debootstrap(python, _BASE)
    with (python / "etc" / "passwd").open("a") as accounts:
        accounts.write(_USER)
    debian.install([python], torch, _TORCH)
    _install_wheels(wheels / _PACKAGES)
    debian.chroot([python, torch], wheels, ["python3", "-c", _IMPORTS])
    return [treeimage.layer_of_tree(each, layers, since) for each in (python, torch, wheels)]


def _install_wheels(folder: Path) -> None:
    folder.mkdir(parents=True)
    machine = os.uname().machine
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder)]
    argv += ["--python-version=3.13", "--implementation=cp", "--only-binary=:all:", "--no-deps"]
    argv += [f"--platform={each}_{machine}" for each in ("manylinux_2_28", "manylinux2014")]
    argv += ["--no-compile", "--require-hashes", "--disable-pip-version-check"]
    done = subprocess.run(
        [*argv, "--requirement", str(_WHEELS)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise FetchError(done.stderr.strip().splitlines()[-1])
    shutil.rmtree(folder / "bin", ignore_errors=True)
    for path in folder.rglob("*"):
        os.utime(path, (_TIME, _TIME))
