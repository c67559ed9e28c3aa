"""Secrets that a bundle needs and never carries: the section ``secretRefs`` of a Bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bundler.core.documents.checks import HOST, LINE, NAME, at_least, matches, unique
from bundler.core.documents.members import About

_SECRET = matches(HOST, "a Secret's name: lower-case letters, digits, inner dashes and dots", 253)
_KEY = matches(r"[-._a-zA-Z0-9]+", "letters, digits, - . and _", 253)


@dataclass(frozen=True, kw_only=True)
class SecretRef:
    """One Secret that a site makes before it installs."""

    name: Annotated[str, _SECRET, About("The Secret's metadata.name.")]
    namespace: Annotated[str, NAME, About("Where the pods that use it are.")]
    keys: Annotated[
        tuple[Annotated[str, _KEY], ...],
        at_least(1),
        unique(),
        About("The keys that must be in its data, none of them empty."),
    ]
    description: Annotated[str, LINE, About("What belongs into it, for whoever makes it.")]
