"""The model card: front matter of README.md, as the hub writes it.

https://huggingface.co/docs/hub/model-cards#model-card-metadata
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bundler.core import yamltext
from bundler.core.errors import DocumentError
from bundler.core.yamltext import Node

_FENCE = re.compile(r"---[ \t]*\r?\n")
_END = re.compile(r"^---[ \t]*\r?$", re.MULTILINE)
_JOINED = re.compile(r"\s+(?:and|or)\s+")


@dataclass(frozen=True)
class Metric:
    """One result of the card's model-index: the value as it is written, `slice` the data set."""

    type: str
    value: str
    slice: str


@dataclass(frozen=True)
class ModelCard:
    """What a card says of the licence: identifiers as written, and the name of an `other` one.

    The rest describes the model, in the card's own words; nothing is decided by it.
    """

    licenses: tuple[str, ...] = ()
    license_name: str | None = None
    task: str | None = None
    library: str | None = None
    base_models: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()

    @property
    def stated(self) -> tuple[str, ...]:
        """The licences by name: `license_name` in the place of ``other``."""
        return tuple(
            self.license_name if fold(name) == "other" and self.license_name else name
            for name in self.licenses
        )

    def agrees(self, license: str) -> bool:
        """Whether `license`, an SPDX identifier or expression, means what the card says.

        Case does not matter, nor does ``LicenseRef-``; several of the card are joined by AND or OR.
        """
        return {fold(name) for name in self.stated} == set(_JOINED.split(fold(license)))


def fold(license: str) -> str:
    """An identifier as it is compared: lower case, without ``LicenseRef-`` and brackets."""
    return re.sub(r"licenseref-|[()]", "", license.strip().lower())


def parse_card(text: str, where: str) -> ModelCard:
    """The card whose README.md is `text`; empty when it has no front matter.

    DocumentError, naming `where`, line and field, when the front matter is not a YAML mapping or
    has a licence that is no string (or list of strings). Of what only describes the model,
    whatever has another form than the hub gives it is left out.
    """
    opening = _FENCE.match(text)
    ending = _END.search(text, opening.end()) if opening else None
    if opening is None or ending is None:
        return ModelCard()
    # The fence stays: it begins the YAML document, and lines count from the top of the file.
    documents = yamltext.load_all(text[: ending.start()], where)
    value = documents[0].value
    if value is None:
        return ModelCard()
    if len(documents) != 1 or not isinstance(value, dict):
        raise DocumentError(f"{where}:1:1", "", "expected front matter to be one mapping")
    card = documents[0]
    return ModelCard(
        _strings(value.get("license"), "license", card),
        next(iter(_strings(value.get("license_name"), "license_name", card)), None),
        _text(_member(card, "pipeline_tag")),
        _text(_member(card, "library_name")),
        _texts(_member(card, "base_model")),
        _texts(_member(card, "datasets")),
        _texts(_member(card, "language")),
        tuple(_metrics(_member(card, "model-index"))),
    )


def _metrics(index: Node | None) -> Iterator[Metric]:
    """https://huggingface.co/docs/hub/model-cards#evaluation-results."""
    for result in (result for model in _items(index) for result in _items(model, "results")):
        dataset = _member(result, "dataset")
        parts = [_text(_member(dataset, key)) for key in ("name", "config", "split")]
        parts[0] = parts[0] or _text(_member(dataset, "type"))
        for metric in _items(result, "metrics"):
            kind = _text(_member(metric, "type")) or _text(_member(metric, "name"))
            value = _text(_member(metric, "value"))
            if kind and value:
                yield Metric(kind, value, " / ".join(part for part in parts if part))


def _member(node: Node | None, key: str) -> Node | None:
    return node.content.get(key) if node and isinstance(node.content, Mapping) else None


def _items(node: Node | None, key: str | None = None) -> tuple[Node, ...]:
    found = _member(node, key) if key else node
    return found.content if found and isinstance(found.content, tuple) else ()


def _text(node: Node | None) -> str | None:
    """A scalar as it is written, so that no number is spelled anew."""
    if node is None or node.content is None or isinstance(node.content, Mapping | tuple):
        return None
    return node.source.strip() or None


def _texts(node: Node | None) -> tuple[str, ...]:
    """One scalar, or a list of them."""
    found = [_text(item) for item in (_items(node) or (node,))]
    return tuple(text for text in found if text)


def _strings(value: object, field: str, node: Node) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(item, str) and item.strip() for item in values):
        raise DocumentError(node.mark((field,)), field, f"expected text, found {value!r:.80}")
    return tuple(values)
