"""What goes to standard output, and how an error looks.

For a command file::

    @click.command()
    @click.argument("file", type=click.Path(path_type=Path))
    @output.json_option                      # adds --json; the parameter is `as_json: bool`
    def command(file: Path, as_json: bool) -> None:
        \"\"\"Show what is inside a bundle.\"\"\"
        result = inspect.inspect_bundle(file)
        output.emit(result, lambda: _table(result), as_json)

`emit` is the only way to standard output: `value` is what --json prints, `text` what a person
reads. A command calls it once, at its end; what may be seen before the end goes through
`bundler.cli.progress` or `note`, to standard error. To leave with a code of its own after an
`emit` (findings, differences), a command calls `click.get_current_context().exit(code)`.
Errors are raised, never printed: `bundler.cli.main` calls `report`, once.

In JSON a dataclass is an object with its fields in camelCase (but for those whose metadata say
``{"json": False}``), a value with `to_json()` is what
that returns, a Digest is ``sha256:…``, a path its text, a tuple a list, a set a sorted list, and
the keys of a mapping stay as they are. Anything else is a TypeError: a bug of the caller.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import click

from bundler.core.digest import Digest
from bundler.core.errors import BundlerError, DocumentError, PolicyError, PreflightError

if TYPE_CHECKING:  # a help page needs no documents
    from bundler.core.findings import Finding

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document, and nothing else, on stdout."
)

# Control characters but newline and tab, those that turn the direction of writing, and those that
# nobody sees: a name inside a file that nobody trusts yet must not be able to rewrite the screen.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
)


def emit(value: object, text: str | Callable[[], str], as_json: bool) -> None:
    """Print `value` as JSON, or else `text` (or what it returns) with a newline at its end."""
    if as_json:
        click.echo(_dump(value))
        return
    shown = text if isinstance(text, str) else text()
    click.echo(printable(shown.removesuffix("\n")))


def note(text: str) -> None:
    """Print `text` on standard error: a warning, or what a result can't say."""
    click.echo(printable(text), err=True)


def report(error: BundlerError, as_json: bool) -> int:
    """Print `error` and its hint on standard error, and as JSON on standard output; its code."""
    note(f"error: {error.message}")
    for hint in (error.hint or "").splitlines():
        note(f"hint: {hint}")
    if as_json:
        click.echo(_dump({"error": _describe(error)}))
    return error.exit_code


def _describe(error: BundlerError) -> dict[str, object]:
    described: dict[str, object] = {
        "type": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "exitCode": error.exit_code,
    }
    if isinstance(error, DocumentError):
        described |= {"where": error.where, "field": error.field, "problem": error.problem}
    if isinstance(error, PolicyError) and error.findings:
        described["findings"] = error.findings
    if isinstance(error, PreflightError):
        described["checks"] = error.checks
    return described


def finding(found: Finding) -> str:
    """One finding as a line: rule, subject, message, and in brackets who waived it and why."""
    reason = f" [{found.waiver.reason}, {found.waiver.owner}]" if found.waiver else ""
    return f"{found.rule}: {found.subject}: {found.message}{reason}"


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether `arguments` ask for JSON; true as well when they are otherwise wrong."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options


def lines(each: Iterable[str]) -> str:
    """One line of text for each: a name that holds an end of line does not begin another."""
    return "\n".join(line.replace("\n", "\\n") for line in each)


def printable(text: str) -> str:
    """`text` with every character that a terminal would obey, not show, spelled as ``\\x1b``."""
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def plain(value: object) -> Any:
    """`value` as JSON's own types, as this module's first page says."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Digest | PurePath):
        return str(value)
    if hasattr(value, "to_json"):
        return plain(value.to_json())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return [plain(item) for item in sorted(value)]
    if dataclasses.is_dataclass(value):
        fields = [each for each in dataclasses.fields(value) if each.metadata.get("json", True)]
        return {_camel(field.name): plain(getattr(value, field.name)) for field in fields}
    raise TypeError(f"no JSON form for {type(value).__name__}")


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _dump(value: object) -> str:
    return json.dumps(plain(value), indent=2)
