"""A model out of a registry into a folder: every digest checked, names given last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bundler.archive import format as fmt
from bundler.archive.layers import Layer
from bundler.archive.newfolder import NewFolder, is_filled, new_folder
from bundler.archive.together import together
from bundler.archive.unpacked import (
    FOLDER,
    digest_of,
    layers_in,
    other_files,
    require_grouping,
    unpack,
)
from bundler.archive.walk import Node, parse_node
from bundler.core import strictjson
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError, UsageError
from bundler.core.lock import LockedFile, check_files, dump_files, parse_files
from bundler.core.progress import SILENT, Progress
from bundler.tools.registry import RegistrySource

# Enough to keep a line busy while one connection is being made, and small in memory.
THREADS = 4


def load_image(
    source: RegistrySource, repository: str, digest: Digest, into: Path, progress: Progress
) -> bool:
    """Bring the model of the image `digest` into the folder `into`; whether it was not there yet.

    What is there is checked, byte by byte. IntegrityError for bytes that are not the promised
    ones: then nothing has the final name. UsageError when there is no room, before writing.
    """
    layers = _layers(source, repository, digest)
    if is_filled(into):
        _require_same(into, layers, progress)
        return False
    with new_folder(into) as folder:
        whole = _whole(folder, layers)
        folder.keep(FOLDER + file.path for files in whole.values() for file in files)
        missing = [layer for layer in layers if layer.digest not in whole]
        size = sum(layer.size for layer in missing)
        folder.require_room(size)
        progress.phase("loading", size)

        def load(layer: Descriptor, progress: Progress) -> tuple[Digest, tuple[LockedFile, ...]]:
            files = unpack(layer, source.blob(repository, layer, 0), folder, progress)
            folder.note(layer.digest.hex, dump_files(files))
            return layer.digest, files

        largest_first = sorted(missing, key=lambda each: -each.size)
        whole |= dict(together(load, largest_first, progress, THREADS))
        files = sorted((f for each in whole.values() for f in each), key=lambda f: f.path.encode())
        check_files(files, repository)
        require_grouping([whole[layer.digest] for layer in layers])
    return True


def _layers(source: RegistrySource, repository: str, digest: Digest) -> tuple[Descriptor, ...]:
    """The layers of the image; of one for several platforms, which all have the same."""
    node = _node(source, repository, digest)
    if node.manifests:
        node = _node(source, repository, node.manifests[0].descriptor.digest)
    layers = tuple(reference.descriptor for reference in node.layers)
    if not layers or any(layer.media_type != fmt.OCI_LAYER for layer in layers):
        raise IntegrityError(
            f"{repository}@{digest}: expected the image of a model, found another",
            "name what `airbundle push` calls a model",
        )
    if len({layer.digest for layer in layers}) != len(layers):
        raise IntegrityError(f"{repository}@{digest}: names a layer twice")
    return layers


def _node(source: RegistrySource, repository: str, digest: Digest) -> Node:
    _, data = source.manifest(repository, str(digest))
    where = f"{repository}@{digest}"
    value = strictjson.parse(data, where)
    stated = value.get("mediaType") if isinstance(value, dict) else None
    known = stated if stated in fmt.INDEX_TYPES | fmt.MANIFEST_TYPES else fmt.OCI_MANIFEST
    return parse_node(data, known, where)


def _whole(folder: NewFolder, layers: Sequence[Descriptor]) -> dict[Digest, tuple[LockedFile, ...]]:
    """The layers that a process which is gone has finished, by their digest now."""
    notes = folder.notes()
    found = {}
    for layer in layers:
        note = notes.get(layer.digest.hex)
        files = _noted(note, folder, layer) if note is not None else None
        if files is not None:
            found[layer.digest] = files
    return found


def _noted(note: bytes, folder: NewFolder, layer: Descriptor) -> tuple[LockedFile, ...] | None:
    try:
        files = parse_files(note, "a note")
        same = digest_of(Layer(FOLDER, files), folder.tree, SILENT) == layer.digest
    except (IntegrityError, UsageError):
        return None
    return files if same else None


def _require_same(into: Path, layers: Sequence[Descriptor], progress: Progress) -> None:
    found = layers_in(into)
    progress.phase("verifying", sum(layer.size for layer in layers))
    digests = together(lambda layer, shared: digest_of(layer, into, shared), found, progress)
    if digests != [layer.digest for layer in layers]:
        raise other_files(into)
