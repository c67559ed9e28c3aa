"""`airbundle installer`: airbundle itself as one file, for a machine that has only Python.

The file is a function of airbundle's own files, the core's lock, the platform and the version of
shiv: whoever makes it again, anywhere, has the same bytes. Its signature is plain, over all of
its bytes, so that openssl checks it where there is no airbundle yet.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from bundler import __version__, scaffold
from bundler.archive.newfile import new_file
from bundler.core.errors import UsageError
from bundler.sign.keys import Algorithm, PrivateKey
from bundler.tools import wheels, zipapp

# platform: how Linux calls the machine, and wheels, too
MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
_ENTRY_POINT = "bundler.cli.main:main"
_COMPILED = "__pycache__"


@dataclass(frozen=True)
class Installer:
    """The file that was written, what it runs on, and what vouches for it.

    `digest` is the file's ``sha256:…``. `signature` and `signer` (the key's fingerprint) are None
    when nobody signed; `check` is then None, too, else the command that checks the signature.
    """

    path: Path
    platform: str
    pythons: tuple[str, ...]
    size: int
    digest: str
    signature: Path | None = None
    signer: str | None = None
    check: str | None = None


def default_name(platform: str) -> Path:
    """What the file for `platform` is called unless told: airbundle-0.1.0-linux-amd64.pyz."""
    return Path(f"airbundle-{__version__}-{platform.replace('/', '-')}.pyz")


def signature_path(file: Path) -> Path:
    """Where the signature of `file` goes: ``FILE.sig``."""
    return file.with_name(f"{file.name}.sig")


def make_installer(
    file: Path, platform: str, key: PrivateKey | None = None, wheel_folder: Path | None = None
) -> Installer:
    """Writes `file`, and with a `key` its signature beside it.

    The wheels come out of `wheel_folder`, or else from the index that pip is set up for.
    UsageError for an unknown platform, or when one of the files is there already; ToolError when
    the wheels can't be had, or pip or shiv are missing.
    """
    machine = _machine(platform)
    for path in (file, signature_path(file)):
        if path.exists() or path.is_symlink():
            raise UsageError(f"{path}: exists already", "choose another name, or move it away")
    with tempfile.TemporaryDirectory(prefix="airbundle-") as temporary:
        fetched, site = Path(temporary) / "wheels", Path(temporary) / "site"
        wheels.fetch(wheels.core_lock(), machine, fetched, wheel_folder)
        wheels.unpack(fetched, site)
        copy_own(site / "bundler")
        data = zipapp.pack(site, _ENTRY_POINT, machine, wheels.PYTHONS)
    _write(file, data)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    made = Installer(file, platform, wheels.PYTHONS, len(data), digest)
    return made if key is None else _signed(made, data, key)


def copy_own(package: Path) -> None:
    """airbundle as its wheel has it, whether it runs from one or from a checkout."""
    _copy(files("bundler"), package)
    for name in scaffold.FOLDERS:
        _copy(scaffold.root() / name, package / "scaffold" / name)
    lock = package / "requirements" / "core.txt"
    lock.parent.mkdir(exist_ok=True)
    lock.write_text(wheels.core_lock(), encoding="utf-8")


def _copy(source: Traversable, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for entry in source.iterdir():
        if entry.is_dir() and entry.name != _COMPILED:
            _copy(entry, folder / entry.name)
        elif entry.is_file():
            (folder / entry.name).write_bytes(entry.read_bytes())


def _machine(platform: str) -> str:
    if platform not in MACHINES:
        raise UsageError(f"platform: expected {' or '.join(MACHINES)}, found {platform!r}")
    return MACHINES[platform]


def _signed(made: Installer, data: bytes, key: PrivateKey) -> Installer:
    beside = signature_path(made.path)
    _write(beside, key.sign(data))
    return replace(
        made,
        signature=beside,
        signer=key.public.fingerprint,
        check=openssl(made.path, key.public.algorithm),
    )


def openssl(file: Path, algorithm: Algorithm, public: str = "PUB") -> str:
    """What a person types to check the signature of `file` with a key of this kind."""
    if algorithm is Algorithm.ED25519:
        given = f"-pubin -inkey {public} -rawin -in {file.name}"
        return f"openssl pkeyutl -verify {given} -sigfile {signature_path(file).name}"
    digest = "sha384" if algorithm is Algorithm.P384 else "sha256"
    signature = signature_path(file).name
    return f"openssl dgst -{digest} -verify {public} -signature {signature} {file.name}"


def _write(path: Path, data: bytes) -> None:
    with new_file(path) as written:
        written.write_at(data, 0)
