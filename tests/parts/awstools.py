"""Amazon's `aws`, and moto, which answers as AWS's APIs do: ECR's is what it is here for.

They get an environment of their own in build/cache, since checkov asks for other versions of
Amazon's libraries; `awstools.txt` pins them by sha256.
"""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.parts.components import BUILD
from tests.parts.service import running
from tests.parts.wheel import FetchError

_LOCK = Path(__file__).with_suffix(".txt")
_CACHE = BUILD / "cache"
_PINS = hashlib.sha256(_LOCK.read_bytes() + sys.version.encode())
# Programs of an environment know its path, so it is made where it stays.
_FOLDER = _CACHE / f"awstools-{_PINS.hexdigest()[:12]}"
# Written last: without it, the folder is what an interrupted run left.
_WHOLE = _FOLDER / ".whole"


def present() -> bool:
    """Whether `fetch` has nothing left to do."""
    return _WHOLE.is_file()


def fetch() -> Path:
    """The folder with `aws` and `moto_server`; FetchError when they can't be had."""
    if not present():
        _CACHE.mkdir(parents=True, exist_ok=True)
        _run([sys.executable, "-m", "venv", "--clear", str(_FOLDER)])
        pip = [str(_FOLDER / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        pip += ["--disable-pip-version-check", "--require-hashes", "--only-binary=:all:"]
        _run([*pip, "--requirement", str(_LOCK)])
        _WHOLE.touch()
    return _FOLDER / "bin"


@contextlib.contextmanager
def running_moto(folder: Path, port: int) -> Iterator[str]:
    """All of AWS on loopback, empty; its log goes to `folder`. The value is its URL."""
    url = f"http://127.0.0.1:{port}"
    argv = [str(fetch() / "moto_server"), "--host", "127.0.0.1", "--port", str(port)]
    with running(argv, folder / "moto.log") as service:
        service.wait_ready(f"{url}/moto-api/")
        yield url


def _run(argv: Sequence[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"{argv[0]} ended with {done.returncode}"]
        raise FetchError(lines[-1])
