"""`airbundle init`: a project that builds as soon as a model lies in its weights/.

The project's files come out of the package (`bundler.scaffold`), byte for byte. Its image is made
here: an OCI layout with a README and no program, so that the first build needs no registry;
bundle.yaml says how to replace it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from bundler import scaffold
from bundler.archive import format as fmt
from bundler.archive.packed import pack
from bundler.core import strictjson
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import UsageError

IMAGE = "image"
_SHOWN = 5
_PLACEHOLDER = b"""\
This image is a placeholder that `airbundle init` made: it holds this file and no program.
A pod that uses it can't start. bundle.yaml says how to put a real image in its place.
"""
# What Python leaves beside checks that somebody ran.
_COMPILED = "__pycache__"
# What git can't hold under its own name inside of another project.
_NAMES = {"gitignore": ".gitignore"}


@dataclass(frozen=True)
class Scaffolded:
    """The folder that was filled, and the files in it, relative, sorted."""

    folder: Path
    files: tuple[str, ...]


def init(folder: Path) -> Scaffolded:
    """Fills `folder`, which need not exist, with a new project.

    Files that are there already stay when nothing would be written in their place. UsageError,
    and nothing is written, when something else stands where a file or folder should go.
    """
    project = project_files()
    try:
        conflicts = sorted(_conflicts(folder, project))
    except OSError as error:
        raise UsageError(f"{folder}: can't be read: {error.strerror}") from error
    if conflicts:
        raise UsageError(
            f"{folder}: expected none of the project's files, found {_some(conflicts)}",
            "choose another folder, or move these away",
        )
    _write(folder, project)
    return Scaffolded(folder, tuple(sorted(project)))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def project_files() -> dict[str, bytes]:
    """What a new project holds: path relative to its folder, bytes."""
    found = dict(_below(files(scaffold) / "project", ""))
    for name in scaffold.FOLDERS:
        found |= _below(scaffold.root() / name, f"{name}/")
    found |= {f"{IMAGE}/{name}": data for name, data in placeholder_image().items()}
    return found


def _below(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for item in folder.iterdir():
        if item.name == _COMPILED:
            continue
        if item.is_dir():
            yield from _below(item, f"{prefix}{item.name}/")
        else:
            yield f"{prefix}{_NAMES.get(item.name, item.name)}", item.read_bytes()


def placeholder_image() -> dict[str, bytes]:
    """An OCI image layout with one image for linux/amd64, whose only file says that it is none."""
    layer = pack({"README": _PLACEHOLDER})
    config = strictjson.canonical(
        {
            "architecture": "amd64",
            "config": {},
            "os": "linux",
            "rootfs": {"diff_ids": [str(Digest.of(layer))], "type": "layers"},
        }
    )
    manifest = strictjson.canonical(
        {
            "config": Descriptor.of(fmt.OCI_CONFIG, config).to_json(),
            "layers": [Descriptor.of(fmt.OCI_LAYER, layer).to_json()],
            "mediaType": fmt.OCI_MANIFEST,
            "schemaVersion": 2,
        }
    )
    entry = Descriptor.of(fmt.OCI_MANIFEST, manifest).to_json()
    index = {"manifests": [entry], "mediaType": fmt.OCI_INDEX, "schemaVersion": 2}
    blobs = {f"blobs/sha256/{Digest.of(data).hex}": data for data in (layer, config, manifest)}
    return blobs | {
        "index.json": strictjson.canonical(index),
        "oci-layout": strictjson.canonical({"imageLayoutVersion": "1.0.0"}),
    }


def _conflicts(folder: Path, project: Mapping[str, bytes]) -> Iterator[str]:
    if folder.exists() and not folder.is_dir():
        yield folder.name
    parents = {str(parent) for name in project for parent in Path(name).parents} - {"."}
    for name in parents:
        place = folder / name
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            yield name
    yield from (
        name for name in project if (folder / name).exists() or (folder / name).is_symlink()
    )


def _write(folder: Path, project: Mapping[str, bytes]) -> None:
    made: list[Path] = []
    try:
        for name, data in sorted(project.items()):
            path = folder / name
            for parent in reversed([p for p in path.parents if not p.exists()]):
                parent.mkdir()
                made.append(parent)
            with path.open("xb") as file:
                made.append(path)
                file.write(data)
    except OSError as error:
        _remove(made)
        raise UsageError(f"{folder}: can't be written: {error.strerror}") from error
    except KeyboardInterrupt:
        _remove(made)
        raise


def _remove(made: list[Path]) -> None:
    for path in reversed(made):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
