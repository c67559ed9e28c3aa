"""`airbundle inspect FILE`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bundler import inspect
from bundler.cli import options, output
from bundler.cli.opened import opened
from bundler.cli.progress import size_text
from bundler.core.objects.loaderpods import BUCKET_KEYS

if TYPE_CHECKING:
    from bundler.sign.trust import Trust


@click.command(short_help="Show what is inside a bundle.")
@options.file_argument
@options.trust_options
@output.json_option
def command(file: Path, trust: Trust | None, as_json: bool) -> None:
    """Show what is inside FILE: models, images, files, objects, sizes and licences.

    Only metadata is read; `airbundle verify` reads every byte.
    """
    with opened(file, trust) as bundle:
        inspected = inspect.inspect(bundle)
    output.emit(inspected, lambda: output.lines(_lines(inspected)), as_json)


def _lines(inspected: inspect.Inspected) -> Iterator[str]:
    yield f"{inspected.name} {inspected.version}: {inspected.status}"
    yield f"  index {inspected.index}, {size_text(inspected.size)}"
    yield from (f"  signed by {signer}" for signer in inspected.signers)
    yield "models"
    for model in inspected.models:
        yield f"  {model.name}  {size_text(model.size)}  {model.license}  {model.digest}"
        yield from (f"    {file.path}  {size_text(file.size)}" for file in model.files)
    yield "images"
    for image in inspected.images:
        platforms = ", ".join(image.platforms)
        yield f"  {image.name}  {size_text(image.size)}  {platforms}  {image.digest}"
    if inspected.files:
        yield "files"
    for group in inspected.files:
        yield f"  {group.name} ({group.kind})  {size_text(group.size)}, {len(group.files)} files"
    for target, objects in inspected.targets.items():
        yield f"target {target}"
        yield from (f"  {obj}" for obj in objects)
    if inspected.parameters:
        yield "parameters"
    for parameter in inspected.parameters:
        yield f"  {parameter.name} ({parameter.type}, {_unset(parameter)}): {parameter.description}"
        yield from (f"    {line}" for line in _limits(parameter))
    brought = list(_brought(inspected.site_brings))
    if brought:
        yield "the site brings"
    yield from (f"  {each}" for each in brought)
    if inspected.allowed_hosts:
        yield "allowed hosts"
    yield from (f"  {host}" for host in inspected.allowed_hosts)
    if inspected.waivers:
        yield "waived"
    yield from (f"  {waiver}" for waiver in inspected.waivers)


def _brought(site: inspect.SiteBrings) -> Iterator[str]:
    """What an install needs besides the bundle."""
    yield from (f"--set {name}=VALUE" for name in site.parameters)
    for secret in site.secrets:
        keys = ", ".join(secret.keys)
        yield f"Secret {secret.namespace}/{secret.name} with {keys}: {secret.description}"
    for bucket in site.buckets:
        yield f"{' and '.join(BUCKET_KEYS)} in the environment, to fill {bucket}"
    made = (("--registry-credentials", "Secret", site.pull_secret),)
    for option, kind, wanted in (*made, ("--registry-ca", "ConfigMap", site.ca)):
        if wanted is not None:
            places = ", ".join(f"{space}/{wanted.name}" for space in wanted.namespaces)
            yield f"{option} FILE, for {kind} {places}"


def _unset(parameter: inspect.ParameterInside) -> str:
    """What counts where a site sets none."""
    if parameter.required:
        return "required"
    return "as in each target" if parameter.default is None else f"default {parameter.default!r}"


def _limits(parameter: inspect.ParameterInside) -> Iterator[str]:
    """What a parameter may be, and what it changes."""
    if parameter.values:
        yield f"one of {', '.join(parameter.values)}"
    if parameter.pattern is not None:
        yield f"matches {parameter.pattern}"
    yield from (f"sets {target}" for target in parameter.targets)
