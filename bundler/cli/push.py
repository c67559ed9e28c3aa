"""`airbundle push FILE --registry HOST[/PREFIX]`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bundler.cli import options, output, progress
from bundler.cli.lines import line, sent_line, status_line
from bundler.cli.opened import opened
from bundler.push import Pushed, push

if TYPE_CHECKING:
    from bundler.sign.trust import Trust


@click.command(short_help="Copy images and models into a registry or a layout.")
@options.file_argument
@options.registry_option
@options.registry_ca_option
@options.trust_options
@output.json_option
def command(
    file: Path, registry: str, registry_ca: Path | None, trust: Trust | None, as_json: bool
) -> None:
    """Copy images and models into a registry or a layout; what is there is not sent again."""
    with opened(file, trust) as bundle, progress.shown() as watched:
        pushed = push(bundle, registry, watched, registry_ca)
    output.emit(pushed, lambda: "\n".join(_text(pushed)), as_json)


def _text(pushed: Pushed) -> Iterator[str]:
    yield status_line(pushed.status, pushed.signers)
    yield line("pushed", f"{pushed.name} {pushed.version}, index {pushed.index}")
    yield line("to", pushed.destination)
    yield sent_line("sent", pushed.sent)
    yield from (line(each.kind, each.reference) for each in pushed.references)
    yield line("bundle", f"{pushed.bundle}@{pushed.artifact}")
