"""The scan of a model: every scanner over every file, and the counts that prove it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bundler.core.errors import PolicyError
from bundler.core.findings import Finding
from bundler.scan.pickled import PickleScanner
from bundler.scan.safetensors_header import SafetensorsScanner
from bundler.scan.scanner import Scanner, ScanSubject

SCANNERS: tuple[Scanner, ...] = (SafetensorsScanner(), PickleScanner())

NOTHING_SCANNED = "model-scan"


@dataclass(frozen=True)
class ScanResult:
    """What the scanners found, and how many files each of them read, by scanner id."""

    findings: tuple[Finding, ...]
    scanned: Mapping[str, int]


def versions(scanners: Iterable[Scanner] = SCANNERS) -> dict[str, str]:
    """Scanner ids and versions, for the lock."""
    return {scanner.id: scanner.version for scanner in scanners}


def scan_model(
    name: str, files: Iterable[ScanSubject], scanners: tuple[Scanner, ...] = SCANNERS
) -> ScanResult:
    """All findings about the model `name` (say ``models/zero-shot``), file by file.

    A model of which no scanner read any weights is a finding of its own. PolicyError when there
    is no scanner at all, or one can't read a file.
    """
    if not scanners:
        raise PolicyError(f"{name}: there is no scanner to look at it")
    counts = {scanner.id: 0 for scanner in scanners}
    findings: list[Finding] = []
    for file in files:
        for scanner in scanners:
            if scanner.reads(file):
                findings += _scan(scanner, file)
                counts[scanner.id] += 1
    if not any(counts[scanner.id] for scanner in scanners if scanner.covers_weights):
        findings.append(_nothing_scanned(name))
    return ScanResult(tuple(findings), counts)


def _scan(scanner: Scanner, file: ScanSubject) -> list[Finding]:
    try:
        return list(scanner.scan(file))
    except OSError as error:
        raise PolicyError(
            f"{file.name}: scanner {scanner.id} could not read it: {error}"
        ) from error


def _nothing_scanned(name: str) -> Finding:
    return Finding(
        NOTHING_SCANNED,
        "error",
        name,
        "nothing was scanned: expected weights in a form that a scanner reads, found none",
        "convert the weights to safetensors",
    )
