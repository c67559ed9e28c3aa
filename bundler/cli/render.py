"""`airbundle render FILE --target T`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bundler.cli import options, output
from bundler.cli.opened import opened
from bundler.render import render

if TYPE_CHECKING:
    from bundler.inputs.siteoverlay import SiteOverlay
    from bundler.sign.trust import Trust


@click.command(short_help="Print the manifests as they will be applied.")
@options.file_argument
@options.target_option
@options.set_option
@click.option(
    "--registry",
    metavar="[PROFILE:]HOST[/PREFIX]",
    help="Name images by this registry; without it they keep the placeholder host.",
)
@options.overlay_options
@options.trust_options
@output.json_option
def command(
    file: Path,
    target: str,
    settings: dict[str, str],
    registry: str | None,
    overlay: SiteOverlay | None,
    trust: Trust | None,
    as_json: bool,
) -> None:
    """Print the manifests as they will be applied: YAML, or a list of objects with --json.

    Parameters set with --set pass the same core rules as the build, and so does what --overlay
    makes of the target. Only FILE and the overlay are read.
    """
    with opened(file, trust) as bundle:
        rendered = render(bundle, target, settings, registry, overlay)
    output.emit(rendered.objects, rendered.yaml, as_json)
