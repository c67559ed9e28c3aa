"""`airbundle load REFERENCE --into DIR`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click

from bundler.cli import output, progress
from bundler.cli.lines import line
from bundler.load import Loaded, load

_AUTHORITY = "SSL_CERT_FILE"


@click.command(short_help="Bring a model's files into a folder, checked.")
@click.argument("reference", metavar="REFERENCE")
@click.option(
    "--into",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder to make; it has its name when all is there.",
)
@output.json_option
def command(reference: str, into: Path, as_json: bool) -> None:
    """Bring a model's files into a folder, every digest checked.

    REFERENCE is HOST/REPOSITORY@sha256:… of a model's image, or the s3:// address that the
    manifests have. Run again, it checks what is there.
    """
    # In a pod, the ConfigMap that has the site's CA may be absent, and then so is the file.
    if not os.path.exists(os.environ.get(_AUTHORITY, "")):
        os.environ.pop(_AUTHORITY, None)
    with progress.shown() as watched:
        loaded = load(reference, into, watched)
    output.emit(loaded, lambda: "\n".join(_text(loaded)), as_json)


def _text(loaded: Loaded) -> Iterator[str]:
    yield line("loaded" if loaded.fresh else "verified", loaded.reference)
    yield line("into", str(loaded.folder))
    yield line("files", f"{loaded.files}, {loaded.size:,} bytes")
