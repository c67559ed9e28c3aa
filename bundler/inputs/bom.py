"""The bill of materials of the inputs, out of what the scanners read."""

from __future__ import annotations

from bundler.core.bom.cyclonedx import bill_of_materials
from bundler.inputs.inputs import Inputs
from bundler.inputs.judge import Judged
from bundler.inputs.scanning import facts


def bom(inputs: Inputs, judged: Judged) -> bytes:
    """CycloneDX of models, images and files; see `bundler.core.bom.cyclonedx`."""
    models = {model.name: facts(model) for model in inputs.models}
    packages = {
        digest: found for scan in judged.packages.values() for digest, found in scan.items()
    }
    return bill_of_materials(inputs.lock, models, packages)
