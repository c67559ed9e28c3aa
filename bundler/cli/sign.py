"""`airbundle sign FILE --key KEY`."""

from __future__ import annotations

from pathlib import Path

import click

from bundler import signing
from bundler.cli import options, output, progress

_ALREADY = " (signed already, nothing was written)"
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(short_help="Add one more signature to a bundle.")
@click.argument("file", type=_FILE)
@click.option("--key", required=True, type=_FILE, metavar="KEY", help="The private key.")
@click.option("--in-place", is_flag=True, help="Write into FILE, not into FILE.sig.json.")
@output.json_option
def command(file: Path, key: Path, in_place: bool, as_json: bool) -> None:
    """Add one more signature to a bundle, in FILE.sig.json beside FILE.

    With --in-place the signature goes into FILE itself, whose own sha256 then changes; if that
    is interrupted, the next `airbundle sign` on FILE ends it.
    """
    private = options.private_key(key)
    with progress.shown() as watched:
        signed = signing.sign_bundle(file, private, in_place=in_place, progress=watched)
    output.emit(signed, lambda: _text(signed), as_json)


def _text(signed: signing.Signed) -> str:
    release = signed.release
    return (
        f"signed       {release.name} {release.version}, index {release.index}\n"
        f"by           {signed.fingerprint}\n"
        f"in           {signed.place}{'' if signed.written else _ALREADY}\n"
        f"signatures   {signed.signatures}"
    )
