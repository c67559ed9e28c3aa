"""Room on the disk for what a build writes, asked before it fetches anything."""

from __future__ import annotations

from pathlib import Path

from bundler.archive.store import Store
from bundler.archive.writer import require_room
from bundler.inputs.inputs import Inputs


def require_room_for(inputs: Inputs, output: Path, store: Store) -> None:
    """UsageError unless the disk of `output` has room for all files and layers of `inputs`.

    On one disk, together with what `store` has yet to fetch. The writer, which knows the size of
    the bundle to the byte, asks again.
    """
    sizes = {file.digest: file.size for model in inputs.models for file in model.files}
    sizes |= {file.digest: file.size for group in inputs.files.values() for file in group}
    sizes |= {
        layer.digest: layer.size for image in inputs.images.values() for layer in image.layers
    }
    size = sum(sizes.values())
    if store.shares_disk(output.parent):
        missing = {each.digest: each.size for each in inputs.remotes}
        size += sum(length - store.held(digest) for digest, length in missing.items())
    require_room(output, size)
