"""`airbundle install FILE --target T --registry HOST[/PREFIX]`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bundler.cli import options, output, progress
from bundler.cli.opened import opened
from bundler.cluster.release import DEFAULT_NAMESPACE
from bundler.core.errors import UsageError
from bundler.core.findings import Finding
from bundler.core.plan import Plan
from bundler.install import Exported, Installed, Site, export_bundle, install

if TYPE_CHECKING:
    from bundler.sign.trust import Trust

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_MARKS = {
    "created": "+",
    "unchecked": "+",
    "changed": "~",
    "removed": "-",
    "kept": "!",
    "unchanged": "=",
}
_REMARKS = {
    "unchecked": "  (not checked by the server: it comes with its namespace or kind)",
    "kept": "  (no longer part of it, left in place: what others keep there would go too)",
}


@click.command(short_help="Plan, push, apply and record a bundle.")
@options.file_argument
@options.target_option
@options.registry_option
@options.set_option
@click.option("--kubeconfig", type=_FILE, metavar="FILE", help="Whose cluster, and as whom.")
@click.option("--context", metavar="NAME", help="The context of the kubeconfig.")
@click.option("--dry-run", is_flag=True, help="Show the plan, and change nothing anywhere.")
@click.option(
    "--export",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="For GitOps: push, and write the objects to DIR; no API server is called.",
)
@click.option(
    "--registry-name",
    metavar="HOST[/PREFIX]",
    help="With --export and oci:DIR: where images will be pulled from.",
)
@click.option(
    "--release-namespace",
    default=DEFAULT_NAMESPACE,
    show_default=True,
    metavar="NAME",
    help="Where the record of the release is kept.",
)
@options.trust_options
@output.json_option
def command(
    file: Path, trust: Trust | None, folder: Path | None, as_json: bool, **rest: Any
) -> None:
    """Plan, push, apply and record a bundle; the plan is made before anything is changed."""
    registry_name, dry_run = rest.pop("registry_name"), rest.pop("dry_run")
    if registry_name is not None and folder is None:
        raise UsageError("--registry-name: goes with --export alone")
    site = Site(**rest)
    result: Installed | Exported
    with opened(file, trust) as bundle, progress.shown() as watched:
        if folder is None:
            result = install(bundle, site, watched, dry_run=dry_run)
        else:
            result = export_bundle(bundle, site, folder, registry_name, watched, dry_run=dry_run)
    output.emit(result, lambda: "\n".join(_text(result)), as_json)


def _text(result: Installed | Exported) -> Iterator[str]:
    yield result.status
    for finding in result.waived:
        yield f"waived       {finding.rule}: {finding.subject}: {_waiver(finding)}"
    for finding in result.warnings:
        yield f"warning      {finding.rule}: {finding.subject}: {finding.message}"
    if isinstance(result, Installed):
        yield from _plan(result.plan)
        done = "installed"
    else:
        yield from (f"+ {result.folder / name}" for name in result.files)
        done = "exported"
    yield f"push         {result.push.summary()}"
    done = f"would be {done}" if result.dry_run else done
    yield f"{done}    {result.name} {result.version}, target {result.target}"


def _plan(plan: Plan) -> Iterator[str]:
    for name, mark in _MARKS.items():
        for each in getattr(plan, name):
            yield f"{mark} {each}{_REMARKS.get(name, '')}"
    counts = ", ".join(f"{len(getattr(plan, name))} {name}" for name in _MARKS)
    yield f"plan         {counts}"


def _waiver(finding: Finding) -> str:
    waiver = finding.waiver
    return "" if waiver is None else f"{waiver.reason} ({waiver.owner}, until {waiver.until})"
