"""`airbundle doctor [FILE --target T]`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bundler.cli import options, output
from bundler.cli.opened import opened
from bundler.core.errors import ClusterError, UsageError
from bundler.doctor import Diagnosis, Prospect, doctor, examine_bundle

if TYPE_CHECKING:
    from bundler.cluster.access import Access
    from bundler.core.preflight.checked import Checked
    from bundler.sign.trust import Trust


@click.command(short_help="Look whether an install would go through.")
@click.argument(
    "file",
    metavar="[FILE]",
    required=False,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option("--target", metavar="TARGET", help="With FILE: the overlay to examine for.")
@click.option(
    "--registry",
    metavar="[PROFILE:]HOST[/PREFIX]",
    help="With FILE: the registry to look at.",
)
@options.registry_ca_option
@options.registry_credentials_option
@options.set_option
@options.overlay_options
@options.access_options
@options.optional_trust
@output.json_option
def command(
    file: Path | None,
    target: str | None,
    access: Access,
    trust: Callable[[], Trust | None],
    as_json: bool,
    **rest: Any,
) -> None:
    """Look whether an install would go through, and change nothing.

    Without FILE: what this machine has, and the basics of the cluster.
    """
    if file is None:
        if target is not None or any(rest.values()):
            raise UsageError(
                "--target, --registry, --registry-ca, --registry-credentials, --set and --overlay: "
                "go with a FILE alone"
            )
        diagnosis = doctor(access)
    elif target is None:
        raise UsageError("--target: is missing", "name the overlay that will be installed")
    else:
        with opened(file, trust()) as bundle:
            diagnosis = examine_bundle(bundle, Prospect(target, **rest), access)
    output.emit(diagnosis, lambda: "\n".join(_text(diagnosis)), as_json)
    if diagnosis.failed:
        click.get_current_context().exit(ClusterError.exit_code)


def _text(diagnosis: Diagnosis) -> Iterator[str]:
    width = max(len(each.name) for each in diagnosis.checks)
    for each in diagnosis.checks:
        yield from check_lines(each, width)
    counts = Counter(each.outcome for each in diagnosis.checks)
    summary = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    yield f"{'failed' if diagnosis.failed else 'passed'}: {summary}"


def check_lines(checked: Checked, width: int) -> Iterator[str]:
    """A check in aligned columns, its remedy below; of one that is well there is none."""
    yield f"{checked.outcome:<8} {checked.name:<{width}}  {checked.message}"
    for remedy in (checked.remedy or "").splitlines() if checked.outcome != "ok" else ():
        yield f"{'':<8} {'':<{width}}  -> {remedy}"
