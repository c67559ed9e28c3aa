"""What a live object says about itself: parts of its status that may be absent, or odd."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bundler.core.objects.manifests import JsonObject

Verdict = Literal["current", "in progress", "failed", "terminating"]


@dataclass(frozen=True)
class State:
    """How far an object is, and that in words: ``1 of 2 replicas available``."""

    verdict: Verdict
    words: str


def current(words: str) -> State:
    """The state of what is as it should be."""
    return State("current", words)


def progressing(words: str) -> State:
    """The state of what isn't there yet, and may come."""
    return State("in progress", words)


def failed(words: str) -> State:
    """The state of what doesn't come by waiting."""
    return State("failed", words)


@dataclass(frozen=True)
class Condition:
    """One entry of ``status.conditions``; what isn't said is empty."""

    type: str
    status: str
    reason: str
    message: str

    @property
    def words(self) -> str:
        """What its controller says, at length if it does."""
        return self.message or self.reason or f"{self.type} is {self.status or 'unknown'}"


def conditions(obj: JsonObject) -> tuple[Condition, ...]:
    """The conditions in the status of `obj`, in their order."""
    found = part(obj, "status").get("conditions")
    known = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    return tuple(
        Condition(*(text(each, key) for key in ("type", "status", "reason", "message")))
        for each in known
    )


def part(parent: JsonObject, key: str) -> JsonObject:
    """The object below `key`, or an empty one."""
    found = parent.get(key)
    return found if isinstance(found, dict) else {}


def parts(parent: JsonObject, key: str) -> tuple[JsonObject, ...]:
    """The objects in the list below `key`."""
    found = parent.get(key)
    return (
        tuple(each for each in found if isinstance(each, dict)) if isinstance(found, list) else ()
    )


def number(parent: JsonObject, key: str, default: int) -> int:
    """The whole number below `key`, or `default`."""
    found = parent.get(key)
    return found if type(found) is int else default


def text(parent: JsonObject, key: str) -> str:
    """The text below `key`, or an empty one."""
    found = parent.get(key)
    return found if isinstance(found, str) else ""
