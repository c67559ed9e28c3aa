"""`airbundle audit`: what a spec, or a bundle, will do, and what the gate says of it.

Of a spec, both halves of the gate run. Of a bundle, the core rules run again on what was signed;
what the scanners found is read from the signed report, since they ran where the files were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bundler.archive.bundle import AuthenticatedBundle
from bundler.archive.store import Store
from bundler.core import gate, lock, strictjson
from bundler.core.documents.policy import Policy, Skip
from bundler.core.errors import IntegrityError, UsageError
from bundler.core.findings import Finding, apply_waivers
from bundler.core.lock import LockedImage, LockedModel
from bundler.core.objects import manifests, parameters
from bundler.core.objects.images import Objects
from bundler.core.progress import Progress
from bundler.core.reports.report import Findings, missing_evidence, parse_report
from bundler.core.reports.staticview import StaticView, static_view
from bundler.inputs.bom import bom
from bundler.inputs.judge import judge, notes
from bundler.inputs.lockfile import read_lock, require_fit
from bundler.inputs.resolve import fetch, resolve
from bundler.render import carried, policy_of

SEPARATE = {"json": False}
Value = TypeVar("Value")


@dataclass(frozen=True)
class Audited:
    """The static view of a spec or bundle, and every finding by where it was made.

    `status` is "TRUSTED", "UNTRUSTED" or "UNSIGNED" for a bundle and "SPEC" for a spec; `scanned`
    how many things each scanner read, by what it was given; `skipped` the checks that were not
    asked; `notes` are waivers and skips that do nothing; `bom` is CycloneDX, a document of its own
    and no part of this one's JSON.
    """

    status: str
    name: str
    version: str
    models: tuple[LockedModel, ...]
    images: tuple[LockedImage, ...]
    targets: Mapping[str, StaticView]
    findings: Findings
    scanned: Mapping[str, Mapping[str, int]]
    skipped: tuple[Skip, ...]
    notes: tuple[Finding, ...]
    bom: bytes = field(repr=False, metadata=SEPARATE)

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """What shuts the gate, each once."""
        found = (each for group in self.findings.values() for each in group if each.blocks)
        return tuple(dict.fromkeys(found))


def audit_spec(
    spec_path: Path, today: str, store: Store, progress: Progress, target: str | None = None
) -> Audited:
    """The audit of what `spec_path` would be built into on `today`; nothing is written beside it.

    UsageError when there is a lock that does not fit, and for a target that is none.
    """
    before = read_lock(spec_path)
    inputs = resolve(spec_path, store, progress, before)
    if before is not None:
        require_fit(before, inputs.lock, spec_path)
    chosen = _chosen(target, tuple(inputs.objects))
    fetch(inputs, store, progress)
    judged = judge(inputs, today, store)
    return Audited(
        "SPEC",
        inputs.lock.name,
        inputs.lock.version,
        inputs.lock.models,
        inputs.lock.images,
        {name: static_view(inputs.objects[name]) for name in chosen},
        _of(judged.findings, chosen),
        _of(judged.scanned, chosen),
        inputs.policy.skip,
        notes(inputs, judged),
        bom(inputs, judged),
    )


def audit_bundle(bundle: AuthenticatedBundle, target: str | None = None) -> Audited:
    """The audit of a bundle by nothing but itself; no layer is read.

    UsageError for a target that it has not, IntegrityError for what other tools put in it.
    """
    chosen = _chosen(target, bundle.config.targets)
    report = parse_report(bundle.layer("report.json"), "report.json")
    locked = lock.parse(bundle.layer("lock.json"), "lock.json")
    objects = {name: _objects(bundle, name) for name in bundle.config.targets}
    policy = policy_of(bundle)
    counts = {name: len(each) for name, each in objects.items()}
    names = [model.name for model in locked.models], [image.name for image in locked.images]
    findings = {
        **report.findings,
        **missing_evidence(report, counts, *names),
        **_judge(bundle, objects, policy),
    }
    return Audited(
        bundle.status,
        bundle.release.name,
        bundle.release.version,
        locked.models,
        locked.images,
        {name: static_view(objects[name]) for name in chosen},
        _of(findings, chosen),
        _of(report.scanned, chosen),
        policy.skip,
        gate.unused(policy, [each for group in findings.values() for each in group]),
        _bom(bundle),
    )


def _objects(bundle: AuthenticatedBundle, target: str) -> Objects:
    title = f"targets/{target}.json"
    return manifests.load(bundle.layer(title), title)


def _judge(bundle: AuthenticatedBundle, targets: Mapping[str, Objects], policy: Policy) -> Findings:
    """The core rules' findings about `targets`, as far as they can be made."""
    declared = bundle.config.parameters
    # A waiver's last day counts when a bundle is built; what was accepted then is shown as such.
    found = {"parameters": apply_waivers(parameters.check(declared, targets), policy)}
    if not any(each.blocks for each in found["parameters"]):
        images = carried(bundle)
        found |= {
            f"targets/{name}": gate.check_variants(name, each, declared, policy, images)
            for name, each in targets.items()
        }
    return found


def _bom(bundle: AuthenticatedBundle) -> bytes:
    data = bundle.layer("bom.cdx.json")
    value = strictjson.parse(data, "bom.cdx.json")
    if not isinstance(value, dict) or value.get("bomFormat") != "CycloneDX":
        raise IntegrityError("bom.cdx.json: expected CycloneDX, found something else")
    return data


def _chosen(target: str | None, there: tuple[str, ...]) -> tuple[str, ...]:
    if target is None:
        return there
    if target not in there:
        raise UsageError(f"target {target!r}: there is {', '.join(there)}")
    return (target,)


def _of(found: Mapping[str, Value], targets: tuple[str, ...]) -> dict[str, Value]:
    """What is about all targets, and about `targets`; always in the same order."""
    return {
        where: found[where]
        for where in sorted(found)
        if not where.startswith(("targets/", "checkov/")) or where.partition("/")[2] in targets
    }
