"""`airbundle status [NAME]`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bundler.cli import options, output
from bundler.cli.lines import count, line
from bundler.cli.plan import difference_line
from bundler.core.errors import ClusterError
from bundler.status import ReleaseStatus, Status, status

if TYPE_CHECKING:
    from bundler.cluster.access import Access
    from bundler.cluster.watch.standing import Standing

_MARKS = {"current": "=", "in progress": "…", "failed": "x", "terminating": "-", "missing": "!"}


@click.command(short_help="Show releases, their objects, and what drifted.")
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--inventory", is_flag=True, help="List every object, those that are well, too.")
@options.registry_ca_option
@options.access_options
@output.json_option
def command(
    name: str | None,
    access: Access,
    registry_ca: Path | None,
    inventory: bool,
    as_json: bool,
) -> None:
    """Show how a release stands, or all of them; nothing is changed.

    Exit code 0 when all is well; 8 when something is missing, not ready, changed by others, going
    on or cut off, or can't be told.
    """
    found = status(name, access, registry_ca)
    output.emit(found, lambda: output.lines(_text(found, inventory)), as_json)
    if not found.well:
        click.get_current_context().exit(ClusterError.exit_code)


def _text(found: Status, inventory: bool) -> Iterator[str]:
    if not found.releases:
        yield line("releases", f"none in the namespace {found.namespace}")
    for number, release in enumerate(found.releases):
        if number:
            yield ""
        yield from _release(release, inventory)


def _release(release: ReleaseStatus, inventory: bool) -> Iterator[str]:
    state = "" if release.settled else "  (its first install is not done)"
    yield line("release", f"{release.name} {release.version}{state}")
    yield line("target", release.target)
    yield line("registry", release.registry)
    yield line("index", release.index)
    yield line("signed by", ", ".join(release.signers) or "nobody")
    if release.under_way is not None:
        yield line("under way", release.under_way)
    for each in release.objects:
        if inventory or not each.well:
            yield from _object(each)
    if release.undrifted is not None:
        yield line("drift", f"can't be told: {release.undrifted}")
    elif not any(each.drift or each.unknown for each in release.objects):
        yield line("drift", "nothing has drifted")
    yield line("objects", _counts(release))


def _object(each: Standing) -> Iterator[str]:
    found = "" if each.made else "  (was there before)"
    mark = "~" if each.state == "current" and each.drift else _MARKS[each.state]
    yield f"{mark} {each.id}: {each.words}{found}"
    yield from (f"    {reason}" for reason in each.why)
    yield from (difference_line(change) for change in each.drift)
    if each.unknown is not None:
        yield f"    drift can't be told: {each.unknown}"


def _counts(release: ReleaseStatus) -> str:
    objects = release.objects
    ready = sum(each.state == "current" for each in objects)
    missing = sum(each.state == "missing" for each in objects)
    drifted = sum(bool(each.drift) for each in objects)
    said = [f"{ready} of {count(len(objects), 'object')} ready"]
    said += [f"{missing} missing"] if missing else []
    said += [f"{drifted} changed by others"] if drifted else []
    return ", ".join(said)
