"""`airbundle lock [SPEC]`."""

from __future__ import annotations

from pathlib import Path

import click

from bundler import lock
from bundler.cli import output, progress
from bundler.cli.options import spec_argument


@click.command(short_help="Resolve every input and write bundle.lock.")
@spec_argument
@output.json_option
def command(spec: Path, as_json: bool) -> None:
    """Resolve every input of SPEC (bundle.yaml) and write bundle.lock beside it.

    The lock names every input by digest. Review it, keep it under version control, and let CI run
    `airbundle build --locked`.
    """
    with progress.shown() as watched:
        locked = lock.lock(spec, watched)
    output.emit(locked, lambda: _text(locked), as_json)


def _text(locked: lock.Locked) -> str:
    lines = [
        f"locked    {locked.name} {locked.version}",
        f"in        {locked.path}",
        f"models    {locked.models}",
        f"images    {locked.images}",
        f"files     {locked.files}",
        f"targets   {', '.join(locked.targets)}",
    ]
    lines += [f"change    {change}" for change in locked.changes]
    return "\n".join([*lines, *(f"warning   {output.finding(each)}" for each in locked.warnings)])
