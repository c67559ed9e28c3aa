"""`airbundle build [SPEC] -o FILE --key KEY`."""

from __future__ import annotations

from pathlib import Path

import click

from bundler import build
from bundler.cli import options, output, progress
from bundler.core.errors import TrustError


@click.command(short_help="Lock if needed, check, pack and sign.")
@options.spec_argument
@click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="The bundle to write.",
)
@click.option(
    "--key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Sign with this."
)
@click.option("--unsigned", is_flag=True, help="Write a bundle that nobody vouches for.")
@click.option("--locked", is_flag=True, help="Refuse to build without a bundle.lock; for CI.")
@output.json_option
def command(
    spec: Path, file: Path, key: Path | None, unsigned: bool, locked: bool, as_json: bool
) -> None:
    """Build the bundle of SPEC (bundle.yaml): one signed file, or nothing.

    Inputs must be those of bundle.lock; without one it is written first, unless --locked.
    """
    if (key is None) != unsigned:
        raise TrustError(
            "build: expected exactly one of --key KEY and --unsigned",
            "`airbundle keygen` makes a key; an --unsigned bundle can be signed later",
        )
    private = options.private_key(key) if key else None
    with progress.shown() as watched:
        built = build.build(
            spec, file, private, options.today(), options.store(), watched, locked=locked
        )
    output.emit(built, lambda: _text(built), as_json)


def _text(built: build.Built) -> str:
    lines = [
        f"built     {built.name} {built.version}",
        f"file      {built.path} ({progress.size_text(built.size)})",
        f"index     {built.index}",
        f"signed    {built.signer or 'by nobody: UNSIGNED'}",
    ]
    if built.lock_written:
        lines.append("lock      bundle.lock was written: keep it beside the spec")
    lines += [f"waived    {output.finding(found)}" for found in built.waived]
    lines += [f"warning   {output.finding(found)}" for found in built.warnings]
    return "\n".join(lines)
