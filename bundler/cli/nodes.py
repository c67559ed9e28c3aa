"""`airbundle nodes --registry HOST[/PREFIX] -o DIR`."""

from __future__ import annotations

from pathlib import Path

import click

from bundler.cli import options, output
from bundler.nodes import NodeSettings, write_node_settings


@click.command(short_help="Write settings for nodes to pull from a registry.")
@options.site_registry_option
@options.registry_ca_option
@click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    metavar="HOST",
    help="A host whose images nodes fetch from the registry, by digest; may be repeated.",
)
@click.option(
    "-o",
    "--output",
    "folder",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where to write; empty or absent.",
)
@output.json_option
def command(
    registry: str, registry_ca: Path | None, mirrors: tuple[str, ...], folder: Path, as_json: bool
) -> None:
    """Write settings for containerd, CRI-O and podman to pull from a registry."""
    written = write_node_settings(registry, registry_ca, mirrors, folder)
    output.emit(written, lambda: _text(written), as_json)


def _text(written: NodeSettings) -> str:
    return output.lines(f"+ {written.folder / name}" for name in written.files)
