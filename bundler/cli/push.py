"""`airbundle push FILE --registry HOST[/PREFIX]`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bundler.cli import options, output, progress
from bundler.cli.opened import opened
from bundler.push import Pushed, push

if TYPE_CHECKING:
    from bundler.sign.trust import Trust


@click.command(short_help="Copy images and models into a registry or a layout.")
@options.file_argument
@options.registry_option
@options.trust_options
@output.json_option
def command(file: Path, registry: str, trust: Trust | None, as_json: bool) -> None:
    """Copy images and models into a registry or a layout; what is there is not sent again."""
    with opened(file, trust) as bundle, progress.shown() as watched:
        pushed = push(bundle, registry, watched)
    output.emit(pushed, lambda: _text(pushed), as_json)


def _text(pushed: Pushed) -> str:
    sent = pushed.sent
    return (
        f"{pushed.status}\n"
        f"pushed       {pushed.name} {pushed.version}, index {pushed.index}\n"
        f"to           {pushed.destination}\n"
        f"sent         {sent.summary()}\n"
        f"bundle       bundles/{pushed.name}:{pushed.version}@{pushed.artifact}"
    )
