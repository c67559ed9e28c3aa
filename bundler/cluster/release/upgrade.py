"""What an install makes of the release that is there: its version, its target, its parameters."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from bundler.cluster.release.record import Past, Record
from bundler.core.objects.parameters import Value


@dataclass(frozen=True)
class ParameterChange:
    """A parameter with another value than before; None where the other bundle has no such one.

    `default`: nobody set it, so that the new value is the bundle's own.
    """

    name: str
    before: Value | None
    after: Value | None
    default: bool


@dataclass(frozen=True)
class ReleaseChange:
    """From which version and target to which; `before` and `target_before` are None when new.

    `change` is ``again`` for the version that is there; `interrupted` when the last install
    was stopped half way.
    """

    change: Literal["new", "again", "upgrade", "rollback"]
    before: str | None
    after: str
    target_before: str | None
    target: str
    interrupted: bool
    parameters: tuple[ParameterChange, ...]


def release_change(
    before: Record | None, intended: Past, settings: Collection[str], *, back: bool = False
) -> ReleaseChange:
    """From the record that is there to what is `intended`; `settings` names what was set."""
    interrupted = before is not None and before.journal is not None
    if before is None or not before.settled:
        version, target = intended.version, intended.target
        return ReleaseChange("new", None, version, None, target, interrupted, ())
    installed = before.installed
    same = installed.version == intended.version
    return ReleaseChange(
        "rollback" if back else "again" if same else "upgrade",
        installed.version,
        intended.version,
        installed.target,
        intended.target,
        interrupted,
        tuple(_parameters(installed, intended, settings)),
    )


def _parameters(
    before: Past, intended: Past, settings: Collection[str]
) -> Iterator[ParameterChange]:
    old, new = before.parameters, intended.parameters
    for name in dict.fromkeys((*new, *old)):
        if old.get(name) != new.get(name):
            default = name in new and name not in settings
            yield ParameterChange(name, old.get(name), new.get(name), default)
