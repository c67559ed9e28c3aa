"""Facts about a model for the bill of materials, out of the files that travel and no others."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from bundler.core.bom.modelfacts import ModelFacts, read_config
from bundler.core.errors import PolicyError
from bundler.core.modelcard import ModelCard, parse_card
from bundler.scan.safetensors_header import SafetensorsScanner, count_elements
from bundler.scan.scanner import ScanSubject

CARD = "README.md"
CONFIG = "config.json"
_MAX_CARD = 4 * 1024**2
_MAX_CONFIG = 4 * 1024**2


def read_facts(name: str, files: Iterable[ScanSubject]) -> ModelFacts:
    """What README.md, config.json and every ``*.safetensors`` among `files` say.

    Subjects are named by their path within the model; `name` (``models/zero-shot``) names the
    model in errors. PolicyError for a card or config.json that can't be read. Numbers are counted
    only when every header can be: a count of some would be taken for the whole.
    """
    card = ModelCard()
    family: str | None = None
    architectures: tuple[str, ...] = ()
    counts: list[dict[str, int] | None] = []
    weights = SafetensorsScanner()
    for file in files:
        where = f"{name}: {file.name}"
        if file.name == CARD:
            card = parse_card(_text(file, where, _MAX_CARD), where)
        elif file.name == CONFIG:
            family, architectures = read_config(_config(_text(file, where, _MAX_CONFIG), where))
        elif weights.reads(file):
            counts.append(count_elements(file))
    return ModelFacts(card, family, architectures, _sum(counts))


def _sum(counts: Iterable[dict[str, int] | None]) -> dict[str, int]:
    total: dict[str, int] = {}
    for count in counts:
        if count is None:
            return {}
        for dtype, elements in count.items():
            total[dtype] = total.get(dtype, 0) + elements
    return total


def _text(file: ScanSubject, where: str, most: int) -> str:
    if file.size > most:
        raise PolicyError(f"{where}: expected at most {most} bytes, found {file.size}")
    try:
        with file.open() as stream:
            return stream.read(most).decode("utf-8")
    except UnicodeDecodeError as error:
        raise PolicyError(f"{where}: is not UTF-8: {error}") from error
    except OSError as error:
        raise PolicyError(f"{where}: can't be read: {error}") from error


def _config(text: str, where: str) -> dict[str, Any]:
    """As lenient as transformers, which takes what `json` takes: NaN, the last of two members."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PolicyError(f"{where}: is not JSON: {str(error)[:100]}") from error
    if not isinstance(value, dict):
        raise PolicyError(f"{where}: expected a JSON object, found {type(value).__name__}")
    return value
