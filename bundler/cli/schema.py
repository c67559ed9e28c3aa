"""`airbundle schema KIND`."""

from __future__ import annotations

import json

import click

from bundler.cli import output
from bundler.core.documents.schema import json_schema


@click.command(short_help="Print the JSON Schema of a kind of document.")
@click.argument("kind")
@output.json_option
def command(kind: str, as_json: bool) -> None:
    """Print the JSON Schema (2020-12) of KIND: Bundle, TrustPolicy or Policy.

    For editors: parsing a document refuses more than a schema can express.
    """
    schema = json_schema(kind)
    output.emit(schema, lambda: json.dumps(schema, indent=2), as_json)
