"""`airbundle install FILE --target T --registry HOST[/PREFIX]`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bundler.cli import options, output, progress
from bundler.cli.lines import line, sent_line, status_line
from bundler.cli.opened import opened
from bundler.cli.plan import plan_lines, release_lines
from bundler.cluster.transaction.transact import Manner
from bundler.core.errors import UsageError
from bundler.core.findings import Finding
from bundler.export import Exported, export_bundle
from bundler.install import Installed, Site, install

if TYPE_CHECKING:
    from bundler.core.preflight.checked import Checked
    from bundler.sign.trust import Trust


@click.command(short_help="Plan, push, apply and record a bundle.")
@options.file_argument
@options.target_option
@options.registry_option
@options.registry_ca_option
@options.registry_credentials_option
@options.set_option
@options.overlay_options
@options.access_options
@options.timeout_option
@options.dry_run_option
@click.option(
    "--export",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="For GitOps: push, and write the objects to DIR; no API server is called.",
)
@click.option(
    "--registry-name",
    metavar="[PROFILE:]HOST[/PREFIX]",
    help="With --export and oci:DIR: where images will be pulled from.",
)
@options.keep_failed_option
@options.take_ownership_option
@options.ignored_checks_option
@options.trust_options
@output.json_option
def command(
    file: Path, trust: Trust | None, folder: Path | None, as_json: bool, **rest: Any
) -> None:
    """Plan, push, apply and record a bundle; the plan is made before anything is changed."""
    registry_name, dry_run = rest.pop("registry_name"), rest.pop("dry_run")
    manner = Manner(rest.pop("timeout"), rest.pop("keep_failed"))
    if registry_name is not None and folder is None:
        raise UsageError("--registry-name: goes with --export alone")
    alone = {
        "--take-ownership": "take_ownership",
        "--registry-credentials": "registry_credentials",
        "--ignore-preflight-errors": "ignored_checks",
    }
    for option, name in alone.items():
        if folder is not None and rest[name]:
            raise UsageError(f"{option}: goes with a cluster, and --export calls none")
    site = Site(**rest)
    result: Installed | Exported
    with opened(file, trust) as bundle, progress.shown() as watched:
        if folder is None:
            result = install(bundle, site, watched, dry_run=dry_run, manner=manner)
        else:
            result = export_bundle(bundle, site, folder, registry_name, watched, dry_run=dry_run)
    if isinstance(result, Exported) and result.registry is None:
        output.note(
            f"note: images are named by a placeholder host, so what is in {folder} can't run: "
            "--registry-name HOST[/PREFIX] says where they will be pulled from"
        )
    output.emit(result, lambda: "\n".join(_text(result)), as_json)


def finding_lines(waived: Sequence[Finding], warnings: Sequence[Finding]) -> Iterator[str]:
    """What the core rules found and let pass."""
    for finding in waived:
        yield line("waived", f"{finding.rule}: {finding.subject}: {_waiver(finding)}")
    for finding in warnings:
        yield line("warning", f"{finding.rule}: {finding.subject}: {finding.message}")


def preflight_lines(checked: Sequence[Checked]) -> Iterator[str]:
    """How many checks passed, and those that were not ok."""
    passed = sum(each.outcome == "ok" for each in checked)
    yield line("preflight", f"{passed} of {len(checked)} checks are well")
    for each in checked:
        if each.outcome != "ok":
            yield line(each.outcome, f"{each.name}: {each.message}")


def _text(result: Installed | Exported) -> Iterator[str]:
    yield status_line(result.status, result.signers)
    yield from finding_lines(result.waived, result.warnings)
    if isinstance(result, Installed):
        yield from preflight_lines(result.preflight)
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
