"""`airbundle installer [-o FILE] [--key KEY]`."""

from __future__ import annotations

from pathlib import Path

import click

from bundler import installer
from bundler.cli import options, output, progress
from bundler.cli.lines import line


@click.command(short_help="Make airbundle itself one file, for the far side.")
@click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The file to write; unless told, airbundle-VERSION-PLATFORM.pyz in this folder.",
)
@click.option(
    "--platform",
    type=click.Choice(list(installer.MACHINES)),
    default=next(iter(installer.MACHINES)),
    show_default=True,
    help="The machine that it will run on.",
)
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="KEY",
    help="Sign it with this private key, in FILE.sig: openssl can check that.",
)
@click.option(
    "--wheels",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Take what airbundle needs out of this folder, not from a package index.",
)
@output.json_option
def command(
    file: Path | None, platform: str, key: Path | None, wheels: Path | None, as_json: bool
) -> None:
    """Make airbundle itself one file, which Python 3.11 or later runs on a bare machine.

    What it needs comes in locked versions, by hash, from the index that pip is set up for. Made
    again, it has the same bytes. `python3 FILE` is then `airbundle`.
    """
    private = options.private_key(key) if key else None
    path = file or installer.default_name(platform)
    made = installer.make_installer(path, platform, private, wheels)
    output.emit(made, lambda: _text(made), as_json)


def _text(made: installer.Installer) -> str:
    lines = [
        line("made", f"{made.path} ({progress.size_text(made.size)})"),
        line("for", f"{made.platform}, CPython {', '.join(made.pythons)}"),
        line("digest", made.digest),
        line("signed", made.signer or "by nobody: UNSIGNED"),
    ]
    if made.check:
        lines += [line("in", str(made.signature)), line("check with", made.check)]
    return "\n".join(lines)
