"""What a model's own files say of it: its card, its config.json, the headers of its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from bundler.core.modelcard import ModelCard


@dataclass(frozen=True)
class ModelFacts:
    """Facts for the bill of materials; whatever no file says is empty.

    `family` and `architectures` are `model_type` and `architectures` of config.json, as
    transformers writes it; `elements` counts the numbers in all tensors, by safetensors' dtype.
    """

    card: ModelCard = field(default_factory=ModelCard)
    family: str | None = None
    architectures: tuple[str, ...] = ()
    elements: Mapping[str, int] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        """How many numbers the weights are, of whatever type; 0 when nobody could count them."""
        return sum(self.elements.values())


def read_config(config: Mapping[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    """`model_type` and `architectures` of a config.json; what has another form is left out."""
    family, architectures = config.get("model_type"), config.get("architectures")
    if not isinstance(architectures, list):
        architectures = []
    return (
        family if _is_name(family) else None,
        tuple(name for name in architectures if _is_name(name)),
    )


def _is_name(value: object) -> TypeGuard[str]:
    """Half of a surrogate pair, which JSON allows, is not printable."""
    return isinstance(value, str) and value != "" and value.isprintable()
