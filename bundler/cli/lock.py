"""`airbundle lock [SPEC]`."""

from __future__ import annotations

from pathlib import Path

import click

from bundler import lock
from bundler.cli import options, output, progress


@click.command(short_help="Resolve every input and write bundle.lock.")
@options.spec_argument
@click.option("--check", is_flag=True, help="Write nothing; fail when the lock does not fit.")
@output.json_option
def command(spec: Path, check: bool, as_json: bool) -> None:
    """Resolve every input of SPEC (bundle.yaml) and write bundle.lock beside it.

    The lock names every input by digest. Review it, keep it under version control, and let CI run
    `airbundle build --locked`.
    """
    with progress.shown() as watched:
        locked = (lock.check if check else lock.lock)(spec, options.store(), watched)
    output.emit(locked, lambda: _text(locked), as_json)


def _text(locked: lock.Locked) -> str:
    lines = [
        f"{'fits' if locked.checked else 'locked':<10}{locked.name} {locked.version}",
        f"in        {locked.path}",
        f"models    {locked.models}",
        f"images    {locked.images}",
        f"files     {locked.files}",
        f"targets   {', '.join(locked.targets)}",
    ]
    lines += [f"change    {change}" for change in locked.changes]
    return "\n".join([*lines, *(f"warning   {output.finding(each)}" for each in locked.warnings)])
