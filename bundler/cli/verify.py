"""`airbundle verify FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bundler import verify
from bundler.cli import options, output, progress
from bundler.cli.opened import opened

if TYPE_CHECKING:
    from bundler.sign.trust import Trust


@click.command(short_help="Check the signers and every byte of a bundle.")
@options.file_argument
@options.trust_options
@output.json_option
def command(file: Path, trust: Trust | None, as_json: bool) -> None:
    """Check who signed FILE and that every byte of it is as promised.

    Exit code 4: not signed as --trust or --key want it. 3: other bytes than were signed.
    """
    with progress.shown() as watched, opened(file, trust) as bundle:
        verified = verify.verify(bundle, watched)
    output.emit(verified, lambda: _text(verified), as_json)


def _text(verified: verify.Verified) -> str:
    lines = [
        f"verified  {verified.name} {verified.version}: {verified.status}",
        f"index     {verified.index}",
        *(f"signer    {signer}" for signer in verified.signers),
        *(f"unknown   {signer} (not counted)" for signer in verified.unknown),
        *(f"revoked   {signer} (not counted)" for signer in verified.revoked),
        f"read      {verified.blobs} blobs, {progress.size_text(verified.size)}",
    ]
    return "\n".join(lines)
