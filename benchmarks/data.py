"""What is measured: a project with a large model and an image, of random bytes, made once.

The bytes are random so that nothing on the way can pack them, and all written: a sparse file
would be read for nothing.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.making import tar_of
from tests.project import (
    IMAGE,
    METADATA,
    PACKAGE,
    Project,
    make_project,
    safetensors_header,
    write_layout,
)

MIB = 1024**2
_PIECE = 4 * MIB


@dataclass(frozen=True)
class Sizes:
    """How large it is, in bytes: each of the model's shards, each of the image's layers, and each
    of the other images, which have one layer and which no manifest names.
    """

    shards: tuple[int, ...]
    layers: tuple[int, ...]
    others: tuple[int, ...] = ()


FULL = Sizes(
    shards=(512 * MIB,) * 4, layers=(200 * MIB, 80 * MIB, 20 * MIB), others=(10 * MIB,) * 9
)


@dataclass(frozen=True)
class Data:
    """A project folder that `make_data` wrote."""

    folder: Path

    @property
    def spec(self) -> Path:
        """Its bundle.yaml."""
        return self.folder / "bundle.yaml"

    @property
    def image(self) -> Path:
        """The OCI layout of its image."""
        return self.folder / "image"

    @property
    def weights(self) -> list[Path]:
        """The shards of its model."""
        return sorted((self.folder / "weights").glob("*.safetensors"))

    @property
    def blobs(self) -> list[Path]:
        """The blobs of all its images."""
        return sorted(self.folder.glob("image*/blobs/sha256/*"))


def make_data(folder: Path, sizes: Sizes) -> Data:
    """The project in `folder`; one of the same sizes that is there already stays."""
    made = folder / "made.json"
    wanted = json.dumps(asdict(sizes))
    if not (made.is_file() and made.read_text() == wanted):
        shutil.rmtree(folder, ignore_errors=True)
        project = make_project(folder)
        project.please_checkov()
        _write_weights(project, sizes.shards)
        shutil.rmtree(folder / "image")
        # A layer at a time is in memory, with its copies.
        write_layout(folder / "image", *(_layer(size) for size in sizes.layers))
        _write_others(project, sizes.others)
        made.write_text(wanted)
    return Data(folder)


def _write_weights(project: Project, shards: tuple[int, ...]) -> None:
    """Safetensors files of one tensor each, and the index that says which is where."""
    (project.folder / "weights" / "model.safetensors").unlink()
    names = [f"model-{n:05}-of-{len(shards):05}.safetensors" for n in range(1, len(shards) + 1)]
    for name, size in zip(names, shards, strict=True):
        with (project.folder / "weights" / name).open("wb") as file:
            file.write(safetensors_header(size))
            file.writelines(_random(size))
    index = {"weight_map": {f"weight.{n}": name for n, name in enumerate(names)}}
    project.write("weights/model.safetensors.index.json", json.dumps(index))


def _write_others(project: Project, sizes: tuple[int, ...]) -> None:
    entry = f'    - {{name: "{IMAGE}", source: "oci:image"}}\n'
    entries = [entry]
    for number, size in enumerate(sizes, 1):
        write_layout(project.folder / f"image-{number}", _layer(size))
        name = f"{IMAGE.partition(':1')[0]}-{number}:1.0"
        entries.append(f'    - {{name: "{name}", source: "oci:image-{number}"}}\n')
    project.edit("bundle.yaml", entry, "".join(entries))


def _layer(size: int) -> bytes:
    """A tar with a package, of which a bill of materials can speak, and with random bytes."""
    return tar_of({"data": os.urandom(size), PACKAGE: METADATA})


def _random(size: int) -> Iterator[bytes]:
    for done in range(0, size, _PIECE):
        yield os.urandom(min(_PIECE, size - done))
