"""`airbundle rollback NAME [--to VERSION]`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from bundler.cli import options, output, progress
from bundler.cli.install import finding_lines, preflight_lines
from bundler.cli.lines import line, status_line
from bundler.cli.plan import plan_lines, release_lines
from bundler.cluster.sitefiles import SiteFiles
from bundler.cluster.transaction.transact import Manner
from bundler.rollback import RolledBack, rollback

if TYPE_CHECKING:
    from bundler.sign.trust import Trust


@click.command(short_help="Bring back what a release was before.")
@click.argument("name", metavar="NAME")
@click.option("--to", "version", metavar="VERSION", help="Which; the one before by default.")
@options.registry_ca_option
@options.registry_credentials_option
@options.access_options
@options.timeout_option
@options.keep_failed_option
@options.take_ownership_option
@options.ignored_checks_option
@options.dry_run_option
@options.trust_options
@output.json_option
def command(name: str, trust: Trust | None, as_json: bool, **rest: Any) -> None:
    """Bring back what a release was before, out of the registry, and verify it again."""
    manner = Manner(rest.pop("timeout"), rest.pop("keep_failed"))
    files = SiteFiles(rest.pop("registry_ca"), rest.pop("registry_credentials"))
    with progress.shown() as watched:
        done = rollback(name, trust=trust, progress=watched, files=files, manner=manner, **rest)
    output.emit(done, lambda: "\n".join(_text(done)), as_json)


def _text(done: RolledBack) -> Iterator[str]:
    yield status_line(done.status, done.signers)
    yield from finding_lines(done.waived, done.warnings)
    yield from preflight_lines(done.preflight)
    yield from release_lines(done.release)
    yield from plan_lines(done.plan, done=not done.dry_run)
    what = f"{done.name} {done.version}, target {done.target}"
    yield (
        line("dry run", f"{what}: nothing was changed")
        if done.dry_run
        else line("rolled back", f"to {what}")
    )
