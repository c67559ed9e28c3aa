"""`airbundle install FILE --target T --registry HOST[/PREFIX]`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bundler.cli import options, output, progress
from bundler.cli.lines import line, sent_line, status_line
from bundler.cli.opened import opened
from bundler.cli.plan import plan_lines, release_lines
from bundler.cluster.release import DEFAULT_NAMESPACE
from bundler.core.errors import UsageError
from bundler.core.findings import Finding
from bundler.install import Exported, Installed, Site, export_bundle, install

if TYPE_CHECKING:
    from bundler.sign.trust import Trust

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


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
    if isinstance(result, Exported) and result.registry is None:
        output.note(
            f"note: images are named by a placeholder host, so what is in {folder} can't run: "
            "--registry-name HOST[/PREFIX] says where they will be pulled from"
        )
    output.emit(result, lambda: "\n".join(_text(result)), as_json)


def _text(result: Installed | Exported) -> Iterator[str]:
    yield status_line(result.status, result.signers)
    for finding in result.waived:
        yield line("waived", f"{finding.rule}: {finding.subject}: {_waiver(finding)}")
    for finding in result.warnings:
        yield line("warning", f"{finding.rule}: {finding.subject}: {finding.message}")
    if isinstance(result, Installed):
        yield from release_lines(result.release)
        yield from plan_lines(result.plan, done=not result.dry_run)
        done = "installed"
    else:
        yield from (f"+ {result.folder / name}" for name in result.files)
        done = "exported"
    yield sent_line("push", result.push)
    what = f"{result.name} {result.version}, target {result.target}"
    yield line("dry run", f"{what}: nothing was {done}") if result.dry_run else line(done, what)


def _waiver(finding: Finding) -> str:
    waiver = finding.waiver
    return "" if waiver is None else f"{waiver.reason} ({waiver.owner}, until {waiver.until})"
