"""The model card: front matter of README.md, as the hub writes it.

https://huggingface.co/docs/hub/model-cards#model-card-metadata
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bundler.core import yamltext
from bundler.core.errors import DocumentError

_FENCE = re.compile(r"---[ \t]*\r?\n")
_END = re.compile(r"^---[ \t]*\r?$", re.MULTILINE)
_JOINED = re.compile(r"\s+(?:and|or)\s+")


@dataclass(frozen=True)
class ModelCard:
    """What a card says of the licence: identifiers as written, and the name of an `other` one."""

    licenses: tuple[str, ...] = ()
    license_name: str | None = None

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
    has a licence that is no string (or list of strings).
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
    return ModelCard(
        _strings(value.get("license"), "license", documents[0]),
        next(iter(_strings(value.get("license_name"), "license_name", documents[0])), None),
    )


def _strings(value: object, field: str, node: yamltext.Node) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(item, str) and item.strip() for item in values):
        raise DocumentError(node.mark((field,)), field, f"expected text, found {value!r:.80}")
    return tuple(values)
