"""The outcome of one check, and what a whole preflight makes of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from bundler.core.errors import PreflightError

_KNOWN_BETTER = "where a check is wrong about this site: --ignore-preflight-errors CHECK"

Outcome = Literal["ok", "warning", "failed", "ignored", "skipped"]


@dataclass(frozen=True)
class Checked:
    """What one check found: its name, how it ended, why, and what to do about it.

    ``skipped`` is what this user may not see, or what there was no reason to ask; ``ignored``
    what failed, and whoever installs knows better.
    """

    name: str
    outcome: Outcome
    message: str
    remedy: str | None = None


def or_fine(found: Iterable[Checked], name: str, fine: str) -> Iterator[Checked]:
    """`found`; where that is nothing, one outcome of `name` that says what is `fine`."""
    nothing = True
    for each in found:
        nothing = False
        yield each
    if nothing:
        yield Checked(name, "ok", fine)


def ignoring(found: Iterable[Checked], names: Collection[str]) -> tuple[Checked, ...]:
    """`found`, where the failure of a check that is one of `names` counts as ignored."""
    return tuple(
        replace(each, outcome="ignored")
        if each.outcome == "failed" and each.name in names
        else each
        for each in found
    )


def require_passed(checked: Sequence[Checked]) -> None:
    """PreflightError (exit 8) that names every check that failed, each with its remedy."""
    failed = [each for each in checked if each.outcome == "failed"]
    if not failed:
        return
    named = "".join(f"\n  {each.name}: {each.message}" for each in failed)
    remedies: dict[str, None] = dict.fromkeys(
        f"{each.name}: {line}" for each in failed for line in (each.remedy or "").splitlines()
    )
    raise PreflightError(
        f"preflight: {len(failed)} of {len(checked)} checks failed, nothing was changed:{named}",
        "\n".join((*remedies, _KNOWN_BETTER)),
        [asdict(each) for each in checked],
    )
