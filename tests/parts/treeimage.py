"""OCI image layouts of whole trees of files, a layer for each.

What is not needed to run a program stays out; so does what differs from one making to the next:
owners have no names, nothing is newer than what a package says of itself.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.parts.imagefiles import Member

_CONFIG = "application/vnd.oci.image.config.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

# Below these nothing is taken; the folders themselves are.
EMPTY = (
    "dev", "proc", "run", "sys", "tmp", "var/cache", "var/lib/apt", "var/log", "var/tmp",
    "usr/include", "usr/share/X11", "usr/share/info", "usr/share/lintian", "usr/share/locale",
    "usr/share/man", "usr/share/python-wheels", "usr/share/zoneinfo", "usr/lib/libtorch-test",
    "usr/lib/python3.13/test", "usr/lib/python3.13/ensurepip",
)  # fmt: skip
LEFT_OUT = (
    "etc/apt/sources.list", "etc/hostname", "etc/machine-id", "etc/resolv.conf",
    "var/lib/dpkg/lock", "var/lib/dpkg/lock-frontend", "var/lib/dpkg/status-old",
)  # fmt: skip
_DOCUMENTS = "usr/share/doc/"
_LIBRARY = ".a"


@dataclass(frozen=True)
class Layer:
    """A layer on disk: compressed, with the digest of what it is when it is not."""

    path: Path
    diff_id: str

    @property
    def descriptor(self) -> dict[str, Any]:
        """As a manifest names it; the file's name is its digest."""
        size = self.path.stat().st_size
        return {"mediaType": _LAYER, "digest": f"sha256:{self.path.name}", "size": size}


def layer_of_tree(tree: Path, folder: Path, since: float) -> Layer:
    """A layer of all that is needed from `tree`, in `folder`; times after `since` are 0."""
    return _write(folder, lambda archive: _add_tree(archive, tree, since))


def layer_of_members(members: Iterable[Member], folder: Path) -> Layer:
    """A layer of a few files."""

    def add(archive: tarfile.TarFile) -> None:
        for member in sorted(members, key=lambda each: each.name):
            data = member.content()
            archive.addfile(member.header(len(data)), io.BytesIO(data))

    return _write(folder, add)


def write_layout(folder: Path, layers: Sequence[Layer], config: Mapping[str, Any]) -> str:
    """An image of `layers`, lowest first, whose files it shares; its manifest's digest."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for layer in layers:
        _share(layer.path, blobs / layer.path.name)
    platform = {"os": "linux", "architecture": _ARCHITECTURES[os.uname().machine]}
    diffs = {"type": "layers", "diff_ids": [each.diff_id for each in layers]}
    content = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _put(blobs, _CONFIG, {**platform, "config": config, "rootfs": diffs}),
        "layers": [each.descriptor for each in layers],
    }
    manifest = _put(blobs, _MANIFEST, content)
    named = {**manifest, "annotations": {"org.opencontainers.image.ref.name": "latest"}}
    index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [named]}
    (folder / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    (folder / "index.json").write_bytes(_json(index))
    return str(manifest["digest"])


def _write(folder: Path, add: Callable[[tarfile.TarFile], None]) -> Layer:
    scratch = folder / "layer"
    plain = hashlib.sha256()
    with (
        scratch.open("wb") as file,
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=_Hashed(packed, plain), mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        add(tar)
    with scratch.open("rb") as written:
        name = hashlib.file_digest(written, "sha256").hexdigest()
    return Layer(scratch.rename(folder / name), f"sha256:{plain.hexdigest()}")


class _Hashed(io.RawIOBase):
    """Hashes what is written on its way."""

    def __init__(self, target: gzip.GzipFile, state: Any) -> None:
        self._target = target
        self._state = state

    def write(self, data: Any) -> int:
        self._state.update(data)
        return self._target.write(data)


def _add_tree(archive: tarfile.TarFile, tree: Path, since: float) -> None:
    for path in _walk(tree):
        name = path.relative_to(tree).as_posix()
        status = path.lstat()
        if stat.S_ISCHR(status.st_mode):
            # What the overlay took away from the tree below it.
            archive.addfile(tarfile.TarInfo(f"{Path(name).parent}/.wh.{path.name}"))
            continue
        info = archive.gettarinfo(path, name)
        info.uname = info.gname = ""
        # Nobody becomes root in a container by running a program.
        info.mode &= 0o1777
        info.mtime = 0 if status.st_mtime > since else int(status.st_mtime)
        if info.isreg():
            with path.open("rb") as file:
                archive.addfile(info, file)
        else:
            archive.addfile(info)


def _walk(tree: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(tree):
        place = Path(folder).relative_to(tree).as_posix()
        if place in EMPTY:
            folders.clear()
            continue
        folders.sort()
        names = [*folders, *files]
        yield from (Path(folder, name) for name in sorted(names) if _wanted(place, name))


def _wanted(place: str, name: str) -> bool:
    path = f"{place}/{name}".removeprefix("./")
    if path in LEFT_OUT or path.endswith(_LIBRARY):
        return False
    # Licences stay.
    return not path.startswith(_DOCUMENTS) or name == "copyright" or path.count("/") == 3


def _share(blob: Path, place: Path) -> None:
    try:
        place.hardlink_to(blob)
    except OSError:  # on another file system
        shutil.copyfile(blob, place)


def _put(blobs: Path, media_type: str, value: object) -> dict[str, Any]:
    data = _json(value)
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
