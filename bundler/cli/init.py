"""`airbundle init DIR`."""

from __future__ import annotations

from pathlib import Path

import click

from bundler import init
from bundler.cli import output


@click.command(short_help="Scaffold a bundle project that builds.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@output.json_option
def command(folder: Path, as_json: bool) -> None:
    """Scaffold a bundle project in DIR that builds as soon as a model lies in its weights/.

    Nothing is overwritten: when one of its files is there already, nothing is written at all.
    """
    made = init.init(folder)
    output.emit(made, lambda: _text(made), as_json)


def _text(made: init.Scaffolded) -> str:
    tops = sorted({name.partition("/")[0] for name in made.files})
    return f"""\
{made.folder}: {", ".join(tops)}

{made.folder / init.IMAGE} is a placeholder without a program; bundle.yaml says how to replace it.
Next: put a model into {made.folder / "weights"}, then, in {made.folder}:

    airbundle keygen release.key
    airbundle build --key release.key -o bundle.tar"""
