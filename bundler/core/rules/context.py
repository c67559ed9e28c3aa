"""What a rule may know besides the objects."""

from __future__ import annotations

from dataclasses import dataclass

from bundler.core.documents.policy import Policy


@dataclass(frozen=True)
class RuleContext:
    """The policy, the placeholder references (``registry.airbundle.invalid/…@sha256:…``) of all
    images and models that travel with the objects, and the name of the target that these are of.
    No date: a rule can't know it.
    """

    policy: Policy
    images: frozenset[str]
    target: str
