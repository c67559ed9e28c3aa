"""`airbundle build`: lock if there is none, check, pack, sign.

What was locked is rendered, judged by the core rules and the scanners, written in one pass, looked
at once more by the scanners where it came to lie, and only then given its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from bundler import lock as locking
from bundler.archive import format as fmt
from bundler.archive.assembly import Draft, stand_ins
from bundler.archive.packed import pack
from bundler.archive.writer import Origins, Packed, write_bundle
from bundler.core import gate, strictjson
from bundler.core.config import BundleConfig
from bundler.core.digest import Digest
from bundler.core.errors import IntegrityError, UsageError
from bundler.core.findings import Finding, apply_waivers
from bundler.core.objects import manifests, parameters
from bundler.core.objects.images import ImagePlace, rewrite
from bundler.core.progress import Progress
from bundler.core.reference import MODEL_PREFIX, PLACEHOLDER_HOST, ImageReference
from bundler.core.release import Release
from bundler.lock import Inputs
from bundler.scan.models import ScanResult, scan_model
from bundler.scan.scanner import ScanSubject
from bundler.sign.keys import PrivateKey
from bundler.signing import add_signature
from bundler.sources.model import ResolvedModel

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


@dataclass(frozen=True)
class _Judged:
    """What the gate found, by where; nothing in it blocks."""

    findings: Mapping[str, tuple[Finding, ...]]
    scans: Mapping[str, ScanResult]

    def report(self, inputs: Inputs) -> bytes:
        """The report that travels: a function of the lock, without time, host or path."""
        return strictjson.canonical(
            {
                "allowHosts": list(inputs.policy.allow_hosts),
                "findings": {
                    where: [found.to_json() for found in each]
                    for where, each in self.findings.items()
                },
                "objects": {target: len(objects) for target, objects in inputs.objects.items()},
                "scanned": {name: dict(scan.scanned) for name, scan in self.scans.items()},
            }
        )

    def listed(self) -> tuple[Finding, ...]:
        """Every finding once."""
        return tuple(dict.fromkeys(found for each in self.findings.values() for found in each))


def build(
    spec_path: Path,
    output: Path,
    key: PrivateKey | None,
    today: str,
    progress: Progress,
    *,
    locked: bool = False,
) -> Built:
    """The bundle of `spec_path` at `output`, signed by `key` (None: unsigned), whole or not at all.

    `today` (YYYY-MM-DD) ends waivers. UsageError when `output` has no folder, when `locked` and
    there is no lock, or when the lock does not fit; PolicyError when the gate is shut; and
    whatever an input is refused for.
    """
    if not output.parent.is_dir():  # better said now than after an hour of hashing
        raise UsageError(f"{output}: expected a folder to write to, found none", "make it first")
    before = locking.read_lock(spec_path)
    if locked and before is None:
        raise UsageError(
            f"{spec_path.with_name(locking.LOCK)}: --locked expects it, found none",
            "run `airbundle lock`, and keep what it writes beside the spec",
        )
    inputs = locking.resolve(spec_path, progress, before)
    if before is not None:
        locking.require_fit(before, inputs.lock, spec_path)
    judged = _judge(inputs, today)
    if before is None:  # only now: what the gate refuses will be mended, and then not fit
        locking.write_lock(spec_path, inputs.lock)
    draft = _draft(inputs, judged)
    written = write_bundle(
        output,
        draft,
        _origins(inputs),
        partial(_seal, inputs, key),
        partial(_rescan, inputs, judged),
        progress,
    )
    listed = judged.listed()
    return Built(
        output,
        inputs.lock.name,
        inputs.lock.version,
        Digest.of(written.index),
        written.size,
        key.public.fingerprint if key else None,
        before is None,
        tuple(found for found in listed if found.waiver),
        _warnings(inputs, listed),
    )


def _warnings(inputs: Inputs, listed: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """What was found and is neither waived nor blocks, and what has no place in a report."""
    found = [each for each in listed if not each.waiver]
    found += [each for each in locking.warnings(inputs) if each not in listed]
    return (*found, *gate.unused(inputs.policy, listed))


def _judge(inputs: Inputs, today: str) -> _Judged:
    """Both halves of the gate; PolicyError when it is shut."""
    policy = gate.still_valid(inputs.policy, today)
    models = stand_ins(inputs.lock)
    rewritten = {target: _rewritten(inputs, target, models)[0] for target in inputs.objects}
    carried = frozenset(_replacements(inputs, models).values()) | frozenset(
        f"{PLACEHOLDER_HOST}/{image.entry}" for image in inputs.lock.images
    )
    findings = {
        "parameters": apply_waivers(parameters.check(inputs.spec.parameters, rewritten), policy)
    }
    gate.require_open(_flat(findings), inputs.policy, policy)
    for target, objects in rewritten.items():
        findings[f"targets/{target}"] = gate.check_variants(
            objects, inputs.spec.parameters, policy, carried
        )
    scans = {model.name: _scan(model, None) for model in inputs.models}
    for model in inputs.models:
        found = (*model.findings, *scans[model.name].findings)
        findings[f"models/{model.name}"] = apply_waivers(found, policy)
    gate.require_open(_flat(findings), inputs.policy, policy)
    return _Judged(findings, scans)


def _flat(findings: Mapping[str, tuple[Finding, ...]]) -> list[tuple[str, Finding]]:
    return [(where, found) for where, each in findings.items() for found in each]


def _scan(model: ResolvedModel, packed: Packed | None) -> ScanResult:
    """The scanners over a model's files: as they are at the source, or as they were packed."""
    subjects = [
        ScanSubject(
            file.path, file.size, partial(packed.open, file.digest) if packed else file.open
        )
        for file in model.files
    ]
    return scan_model(f"models/{model.name}", subjects)


def _rescan(inputs: Inputs, judged: _Judged, packed: Packed) -> None:
    """What was scanned is what is packed: the same findings in the bytes that were written."""
    for model in inputs.models:
        if _scan(model, packed) != judged.scans[model.name]:
            raise IntegrityError(
                f"models/{model.name}: changed between the scan and the packing",
                "build again when nothing writes to the source any more",
            )


def _replacements(inputs: Inputs, models: Mapping[str, Digest]) -> dict[str, str]:
    """For each reference as it is written, the name that stands in the bundle's manifests."""
    found = {text: f"{PLACEHOLDER_HOST}/{image.entry}" for text, image in inputs.references.items()}
    for name, digest in models.items():
        text = f"{MODEL_PREFIX}{name}"
        found[text] = ImageReference.parse(text).placeholder(digest)
    return found


def _rewritten(
    inputs: Inputs, target: str, models: Mapping[str, Digest]
) -> tuple[tuple[manifests.JsonObject, ...], tuple[ImagePlace, ...]]:
    """A target's objects with their images replaced, and the places of these."""
    return rewrite(target, inputs.objects[target], _replacements(inputs, models))


def _draft(inputs: Inputs, judged: _Judged) -> Draft:
    declared = inputs.spec.parameters
    defaults = parameters.values(declared, {})

    def targets(models: Mapping[str, Digest]) -> dict[str, bytes]:
        rewritten = {target: _rewritten(inputs, target, models)[0] for target in inputs.objects}
        return {
            target: manifests.dump(parameters.substitute(objects, declared, defaults))
            for target, objects in rewritten.items()
        }

    models = stand_ins(inputs.lock)
    places = tuple(
        place for target in inputs.objects for place in _rewritten(inputs, target, models)[1]
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
    sources, report = pack(inputs.sources), judged.report(inputs)
    return Draft(inputs.lock, config, sources, targets, report, metadata)


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
