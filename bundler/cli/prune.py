"""`airbundle prune --registry HOST[/PREFIX]`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bundler.cli import options, output, progress
from bundler.cli.lines import count, line
from bundler.prune import Pruned, prune

if TYPE_CHECKING:
    from bundler.cluster.access import Access


@click.command(short_help="Take from a registry what no release needs.")
@options.site_registry_option
@options.registry_ca_option
@options.access_options
@click.option(
    "--yes/--dry-run",
    "yes",
    help="Remove it; without --yes, it is shown and nothing is changed.",
)
@output.json_option
def command(
    registry: str, registry_ca: Path | None, access: Access, yes: bool, as_json: bool
) -> None:
    """Take from a registry what no release of the cluster needs, nor could go back to.

    Other clusters that pull from the same prefix are not asked: then don't. Not while something
    is pushed there.
    """
    with progress.shown() as watched:
        done = prune(registry, access, watched, registry_ca=registry_ca, yes=yes)
    output.emit(done, lambda: "\n".join(_text(done)), as_json)


def _text(done: Pruned) -> Iterator[str]:
    for mark, remark, bundles in (
        ("-", "", done.removed),
        ("!", "  (kept: a pod uses it, and no release has it)", done.in_use),
        ("=", "", done.kept),
    ):
        yield from (f"{mark} {each.name} {each.version}  {each.index}{remark}" for each in bundles)
    said = f"{count(len(done.removed), 'bundle')}, {count(done.manifests, 'manifest')}"
    if done.dry_run:
        yield line("dry run", f"{said} to remove: --yes removes them")
    else:
        yield line("removed", f"{said}; the registry's garbage collection frees the room")
