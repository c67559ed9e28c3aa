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
    tops = dict.fromkeys(
        f"{first}/" if rest else first
        for first, slash, rest in (name.partition("/") for name in made.files)
    )
    return "\n".join(
        [
            *(f"{made.folder / top}{'/' if top.endswith('/') else ''}" for top in tops),
            "",
            f"{made.folder / init.IMAGE} is a placeholder without a program; bundle.yaml says how",
            "to replace it. Next: put a model into weights/, then",
            f"  cd {made.folder} && airbundle build --unsigned -o bundle.tar",
        ]
    )
