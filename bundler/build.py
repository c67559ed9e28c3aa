"""`airbundle build`: lock if there is none, fetch, check, pack, sign.

What was locked is rendered, fetched, judged by the core rules and the scanners, written in one
pass, looked at once more by the scanners where it came to lie, and only then given its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from bundler.archive import format as fmt
from bundler.archive.assembly import Draft, stand_ins
from bundler.archive.packed import pack
from bundler.archive.store import Store
from bundler.archive.writer import Origins, Packed, write_bundle
from bundler.core.config import BundleConfig
from bundler.core.digest import Digest
from bundler.core.errors import BundlerError, IntegrityError, UsageError
from bundler.core.findings import Finding
from bundler.core.objects import manifests, parameters
from bundler.core.progress import Progress
from bundler.core.release import Release
from bundler.inputs.bom import bom
from bundler.inputs.inputs import Inputs
from bundler.inputs.judge import Judged, judge, require_open, require_same_scan, warnings
from bundler.inputs.lockfile import read_lock, require_fit, require_lock, write_lock
from bundler.inputs.resolve import fetch, resolve
from bundler.inputs.room import require_room_for
from bundler.sign.keys import PrivateKey
from bundler.signing import add_signature

Open = Callable[[], BinaryIO]


@dataclass(frozen=True)
class Built:
    """The bundle that was written: its identity is the digest of its index; sizes in bytes."""

    path: Path
    name: str
    version: str
    index: Digest
    size: int
    signer: str | None
    lock_written: bool
    waived: tuple[Finding, ...]
    warnings: tuple[Finding, ...]


def build(
    spec_path: Path,
    output: Path,
    key: PrivateKey | None,
    today: str,
    store: Store,
    progress: Progress,
    *,
    locked: bool = False,
) -> Built:
    """The bundle of `spec_path` at `output`, signed by `key` (None: unsigned), whole or not at all.

    `today` (YYYY-MM-DD) ends waivers; `store` keeps what is downloaded, and what was found in
    bytes that don't change. UsageError when `output` has no folder, when `locked` and there is no
    lock, or when the lock does not fit; PolicyError when the gate is shut; and whatever an input
    is refused for.
    """
    if not output.parent.is_dir():  # better said now than after an hour of hashing
        raise UsageError(f"{output}: expected a folder to write to, found none", "make it first")
    before = require_lock(spec_path, "--locked") if locked else read_lock(spec_path)
    inputs = resolve(spec_path, store, progress, before, packs=True)
    if before is not None:
        require_fit(before, inputs.lock, spec_path)
    require_room_for(inputs, output, store)
    fetch(inputs, store, progress)
    with _naming_damage(inputs, store):
        judged = judge(inputs, today, store)
        require_open(judged)
        if before is None:  # only now: what the gate refuses will be mended, and then not fit
            write_lock(spec_path, inputs.lock)
        written = write_bundle(
            output,
            _draft(inputs, judged, bom(inputs, judged)),
            _origins(inputs),
            partial(_seal, inputs, key),
            partial(_rescan, inputs, judged),
            progress,
        )
    return Built(
        output,
        inputs.lock.name,
        inputs.lock.version,
        Digest.of(written.index),
        written.size,
        key.public.fingerprint if key else None,
        before is None,
        tuple(found for found in judged.listed() if found.waiver),
        warnings(inputs, judged),
    )


@contextmanager
def _naming_damage(inputs: Inputs, store: Store) -> Iterator[None]:
    """What was wrong with bytes is the store's fault, if they are not as they were fetched."""
    try:
        yield
    except BundlerError as error:
        blobs = [(file.digest, file.size) for model in inputs.models for file in model.files]
        blobs += [
            (layer.digest, layer.size) for image in inputs.images.values() for layer in image.layers
        ]
        if not (gone := store.drop_damaged(blobs)):
            raise
        names = ", ".join(map(str, gone))
        raise IntegrityError(
            f"{error.message}: {names} was damaged, and is removed",
            "run the command again: it is fetched anew; and look after that disk",
        ) from error


def _rescan(inputs: Inputs, judged: Judged, packed: Packed) -> None:
    require_same_scan(inputs, judged, packed.open)


def _draft(inputs: Inputs, judged: Judged, materials: bytes) -> Draft:
    declared = inputs.spec.parameters
    defaults = parameters.values(declared, {})

    def targets(models: Mapping[str, Digest]) -> dict[str, bytes]:
        rewritten = {target: inputs.rewritten(target, models)[0] for target in inputs.objects}
        return {
            target: manifests.dump(parameters.substitute(objects, declared, defaults))
            for target, objects in rewritten.items()
        }

    models = stand_ins(inputs.lock)
    places = tuple(
        place for target in inputs.objects for place in inputs.rewritten(target, models)[1]
    )
    config = BundleConfig(
        inputs.lock.name,
        inputs.lock.version,
        tuple(inputs.objects),
        declared,
        places,
        inputs.lock.tools,
    )
    metadata = {
        digest: data for image in inputs.images.values() for digest, data in image.metadata.items()
    }
    sources, report = pack(inputs.sources), judged.report(inputs).dump()
    return Draft(inputs.lock, config, sources, targets, report, materials, metadata)


def _origins(inputs: Inputs) -> Origins:
    files: dict[Digest, Open] = {
        file.digest: file.open for model in inputs.models for file in model.files
    }
    blobs: dict[Digest, Open] = {
        file.digest: file.open for group in inputs.files.values() for file in group
    }
    for image in inputs.images.values():
        blobs |= {layer.digest: partial(image.open, layer.digest) for layer in image.layers}
    return Origins(files, blobs)


def _seal(inputs: Inputs, key: PrivateKey | None, index: bytes) -> bytes:
    """The slot: an envelope signed by `key`, or only spaces."""
    if key is None:
        return b" " * fmt.SLOT_SIZE
    release = Release(inputs.lock.name, inputs.lock.version, Digest.of(index), len(index))
    return add_signature(None, release, key).slot()
