"""`airbundle uninstall NAME`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from bundler.cli import options, output, progress
from bundler.cli.lines import count, line
from bundler.uninstall import Uninstalled, uninstall

if TYPE_CHECKING:
    from bundler.cluster.access import Access


@click.command(short_help="Take a release from the cluster.")
@click.argument("name", metavar="NAME")
@click.option(
    "--delete-data", is_flag=True, help="Take its volumes, too, with all that is on them."
)
@options.access_options
@options.timeout_option
@options.dry_run_option
@output.json_option
def command(
    name: str, access: Access, timeout: float, delete_data: bool, dry_run: bool, as_json: bool
) -> None:
    """Take a release from the cluster; what others own stays, and volumes unless told."""
    with progress.shown() as watched:
        done = uninstall(
            name, access, watched, delete_data=delete_data, dry_run=dry_run, timeout=timeout
        )
    output.emit(done, lambda: "\n".join(_text(done)), as_json)


def _text(done: Uninstalled) -> Iterator[str]:
    yield from (f"- {each}" for each in done.removed)
    yield from (f"! {each.id}  (kept: {each.why})" for each in done.kept)
    said = f"{done.name} {done.version}: {count(len(done.removed), 'object')}"
    kept = f", {len(done.kept)} kept" if done.kept else ""
    yield line("dry run" if done.dry_run else "uninstalled", f"{said} removed{kept}")
