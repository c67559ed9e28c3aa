"""Both halves of the gate over the inputs: the core rules, and the scanners."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bundler.archive.assembly import stand_ins
from bundler.archive.store import Store
from bundler.core import gate
from bundler.core.errors import IntegrityError
from bundler.core.findings import Finding, apply_waivers
from bundler.core.objects import parameters
from bundler.core.reports.report import Findings, Report
from bundler.inputs.inputs import Inputs, Objects
from bundler.inputs.scanning import ImageScan, OpenFile, scan_files, scan_image, scan_objects
from bundler.scan.models import ScanResult
from bundler.scan.packages import findings as packages_findings


@dataclass(frozen=True)
class Judged:
    """What the gate found, waivers applied, by where.

    That is "parameters", "targets/T" for the core rules, "checkov/T", "models/M" and "images/I".
    `scans` is what the scanners found in each model, `packages` what is installed in each image;
    `scanned` how many things each scanner read, by where; `checks` are the ids of all that checkov
    knows.
    """

    findings: Findings
    scans: Mapping[str, ScanResult]
    packages: Mapping[str, ImageScan]
    scanned: Mapping[str, Mapping[str, int]]
    checks: frozenset[str]

    def report(self, inputs: Inputs) -> Report:
        """What of it travels."""
        objects = {target: len(objects) for target, objects in inputs.objects.items()}
        return Report(inputs.policy.allow_hosts, self.findings, objects, self.scanned)

    def listed(self) -> tuple[Finding, ...]:
        """Every finding once."""
        return tuple(dict.fromkeys(found for each in self.findings.values() for found in each))


def judge(inputs: Inputs, today: str, store: Store) -> Judged:
    """What the rules and scanners say of `inputs`, with the waivers that hold on `today`.

    PolicyError when a scanner could not look, or saw nothing; ToolError without checkov.
    """
    policy = gate.still_valid(inputs.policy, today)
    models = stand_ins(inputs.lock)
    targets = {target: inputs.rewritten(target, models)[0] for target in inputs.objects}
    found: dict[str, tuple[Finding, ...]] = {
        "parameters": parameters.check(inputs.spec.parameters, targets)
    }
    scanned: dict[str, Mapping[str, int]] = {}
    checks: frozenset[str] = frozenset()
    if not any(each.blocks for each in apply_waivers(found["parameters"], policy)):
        # Only now: a parameter that may not be where it is can't be substituted.
        carried = inputs.carried(models)
        for target, objects in targets.items():
            declared = inputs.spec.parameters
            rules = gate.check_variants(target, objects, declared, policy, carried)
            found[f"targets/{target}"] = rules
        result = scan_objects(inputs, _with_defaults(inputs, targets), store)
        found |= {f"checkov/{target}": each for target, each in result.findings.items()}
        scanned |= {f"checkov/{target}": {"objects": n} for target, n in result.scanned.items()}
        checks = result.checks
    scans = {model.name: scan_files(model) for model in inputs.models}
    for model in inputs.models:
        found[f"models/{model.name}"] = (*model.findings, *scans[model.name].findings)
        scanned[f"models/{model.name}"] = scans[model.name].scanned
    packages = {
        image.name: scan_image(image, inputs.images[image.name], store)
        for image in inputs.lock.images
    }
    for name, each in packages.items():
        found[f"images/{name}"] = _of_image(name, each)
        scanned[f"images/{name}"] = {"packages": sum(len(one.packages) for one in each.values())}
    findings = {
        where: gate.mark_expired(apply_waivers(each, policy), inputs.policy, policy)
        for where, each in found.items()
    }
    return Judged(findings, scans, packages, scanned, checks)


def require_open(judged: Judged) -> None:
    """PolicyError, naming each finding that blocks, if one does."""
    gate.require_open([(where, found) for where, each in judged.findings.items() for found in each])


def require_same_scan(inputs: Inputs, judged: Judged, packed: OpenFile) -> None:
    """What was scanned is what is `packed`: the same findings in the bytes that were written."""
    for model in inputs.models:
        if scan_files(model, packed) != judged.scans[model.name]:
            raise IntegrityError(
                f"models/{model.name}: changed between the scan and the packing",
                "build again when nothing writes to the source any more",
            )


def warnings(inputs: Inputs, judged: Judged) -> tuple[Finding, ...]:
    """What was found and is neither waived nor blocks, and `notes`."""
    found = [each for each in judged.listed() if not each.waiver and not each.blocks]
    return (*found, *notes(inputs, judged))


def notes(inputs: Inputs, judged: Judged) -> tuple[Finding, ...]:
    """What there is to say and has no place in a report: waivers and skips that do nothing."""
    found = gate.unused(inputs.policy, judged.listed())
    # checkov was not asked when a parameter may not be where it is.
    return (*gate.unused_skips(inputs.policy, judged.checks), *found) if judged.checks else found


def _with_defaults(inputs: Inputs, targets: Mapping[str, Objects]) -> dict[str, Objects]:
    """The targets as they are packed: the scanners see no other value of a parameter."""
    declared = inputs.spec.parameters
    values = parameters.values(declared, {})
    return {
        target: parameters.substitute(objects, declared, values)
        for target, objects in targets.items()
    }


def _of_image(name: str, scan: ImageScan) -> tuple[Finding, ...]:
    found = (each for one in scan.values() for each in packages_findings(f"images/{name}", one))
    return tuple(dict.fromkeys(found))
