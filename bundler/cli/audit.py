"""`airbundle audit SPEC|FILE`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bundler import audit
from bundler.cli import options, output, progress
from bundler.cli.lines import count
from bundler.cli.opened import opened
from bundler.core.errors import PolicyError, UsageError
from bundler.core.reports.junit import junit
from bundler.core.reports.sarif import sarif
from bundler.core.reports.staticview import StaticView

if TYPE_CHECKING:
    from bundler.core.findings import Finding
    from bundler.sign.trust import Trust

# docs/format.md: the first member of every bundle.
_BUNDLE = b"airbundle.sig.json\0"


@click.command(short_help="Show what will run, and what the gate finds.")
@options.spec_or_file_argument
@options.optional_trust
@click.option("--target", metavar="TARGET", help="This overlay alone.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "sarif", "junit", "cyclonedx"]),
    default="text",
    show_default=True,
    help="For people, programs (as --json does), code scanning, test reports, or as a bill of "
    "materials.",
)
@output.json_option
def command(
    path: Path,
    trust: Callable[[], Trust | None],
    target: str | None,
    form: str,
    as_json: bool,
) -> None:
    """Show what SPEC (bundle.yaml) or a bundle FILE will run, and what the gate finds in it.

    A spec is fetched, rendered and scanned as `airbundle build` would, and nothing is written
    beside it. Of a bundle the manifests are judged anew, and the report of its scanners is read;
    it needs one of --trust, --key and --allow-unsigned. Ends with 5 when a finding shuts the gate.
    """
    if _is_bundle(path):
        with opened(path, trust()) as bundle:
            audited = audit.audit_bundle(bundle, target)
    else:
        with progress.shown() as watched:
            audited = audit.audit_spec(path, options.today(), options.store(), watched, target)
    output.emit(audited, lambda: _FORMS[form](audited, path), as_json or form == "json")
    if audited.blocking:
        click.get_current_context().exit(PolicyError.exit_code)


def _is_bundle(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_BUNDLE)) == _BUNDLE
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}") from error


def _sarif(audited: audit.Audited, path: Path) -> str:
    """With the spec's path from here, which in CI is the top of the repository."""
    spec = Path(os.path.relpath(path)).as_posix() if audited.status == "SPEC" else None
    return sarif(audited.findings, None if spec and spec.startswith("../") else spec)


def _text(audited: audit.Audited, _path: Path) -> str:
    return output.lines(_lines(audited))


def _lines(audited: audit.Audited) -> Iterator[str]:
    status = "a spec, not built yet" if audited.status == "SPEC" else audited.status
    yield f"{audited.name} {audited.version}: {status}"
    yield "models"
    for model in audited.models:
        yield f"  {model.name}  {model.license}  {len(model.files)} files  {model.source}"
    yield "images"
    for image in audited.images:
        yield f"  {image.name}  {', '.join(image.platforms)}  {image.digest}"
    for target, view in audited.targets.items():
        yield f"target {target}"
        yield from _view(view)
    yield "scanned"
    for name, counts in audited.scanned.items():
        yield f"  {name}: {_looked_at(name, counts)}"
    if audited.skipped:
        yield "skipped"
    yield from (f"  {skip.check}: {skip.reason}" for skip in audited.skipped)
    waived = list(_findings(audited, lambda found: found.waiver is not None))
    if waived:
        yield "waived"
    yield from waived
    warnings = list(_findings(audited, lambda found: found.waiver is None and not found.blocks))
    warnings += [f"  {output.finding(found)}" for found in audited.notes]
    if warnings:
        yield "warnings"
    yield from warnings
    if audited.blocking:
        yield "findings"
    yield from _findings(audited, lambda found: found.blocks)
    count = len(audited.blocking)
    yield f"the gate is shut: {count} to mend or to waive" if count else "the gate is open"


def _view(view: StaticView) -> Iterator[str]:
    for title, lines in (
        ("objects", view.objects),
        ("images", view.images),
        ("rights", view.rights),
        ("ports", view.ports),
        ("external names", view.external_names),
    ):
        yield f"  {title}" if lines else f"  {title}: none"
        yield from (f"    {line}" for line in lines)


def _looked_at(name: str, counts: Mapping[str, int]) -> str:
    """``6 objects``; of a model, how many files each scanner read."""
    if name.startswith("models/"):
        read = (f"{scanner} read {count(counts[scanner], 'file')}" for scanner in sorted(counts))
    else:
        read = (count(counts[each], each.removesuffix("s")) for each in sorted(counts))
    return ", ".join(read)


def _findings(audited: audit.Audited, chosen: Callable[[Finding], bool]) -> Iterator[str]:
    """Each finding once with its places; what to do, below the last of those it is the same for."""
    places: dict[Finding, list[str]] = {}
    for where, group in audited.findings.items():
        for found in filter(chosen, group):
            places.setdefault(found, []).append(where)
    for hint, alike in groupby(places, key=lambda found: found.hint):
        for found in alike:
            here = places[found]
            where = "" if here == [found.subject] else f"{', '.join(here)}: "
            yield f"  {where}{output.finding(found)}"
        if hint:
            yield f"    hint: {hint}"


_FORMS: Mapping[str, Callable[[audit.Audited, Path], str]] = {
    "text": _text,
    "sarif": _sarif,
    "junit": lambda audited, _path: junit(audited.findings),
    "cyclonedx": lambda audited, _path: audited.bom.decode(),
}
