"""The core rules' half of the gate: every target, on every value that a parameter may enumerate."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from bundler.core import rules
from bundler.core.documents.bundle import Parameter
from bundler.core.documents.policy import Policy
from bundler.core.errors import PolicyError
from bundler.core.findings import Finding, apply_waivers, fits
from bundler.core.objects import parameters as parameters_
from bundler.core.objects.manifests import JsonObject
from bundler.core.rules import RuleContext

_SHOWN = 20
_REMEDY = "mend it, or waive it by name in the policy"


def check_objects(
    target: str, objects: Sequence[JsonObject], policy: Policy, carried: frozenset[str]
) -> tuple[Finding, ...]:
    """What the core rules find in the objects of `target`, waivers applied.

    `carried` are the placeholder references of all images and models in the bundle.
    """
    return apply_waivers(rules.check(objects, RuleContext(policy, carried, target)), policy)


def check_variants(
    target: str,
    objects: Sequence[JsonObject],
    parameters: Sequence[Parameter],
    policy: Policy,
    carried: frozenset[str],
) -> tuple[Finding, ...]:
    """The same on the defaults and on every value of every enum, each finding once."""
    found: dict[Finding, None] = {}
    for values in _variants(parameters):
        variant = parameters_.substitute(objects, parameters, values)
        found |= dict.fromkeys(check_objects(target, variant, policy, carried))
    return tuple(found)


def _variants(parameters: Sequence[Parameter]) -> Iterator[dict[str, parameters_.Value]]:
    """All defaults, and without one what stands there; each enum's other values, one at a time."""
    defaults = parameters_.values(parameters, {})
    yield defaults
    for parameter in parameters:
        for value in parameter.values:
            if value != parameter.default:
                yield defaults | {parameter.name: value}


def still_valid(policy: Policy, today: str) -> Policy:
    """`policy` without the waivers whose last day is before `today` (YYYY-MM-DD)."""
    return replace(policy, waivers=tuple(w for w in policy.waivers if w.until >= today))


def mark_expired(findings: Iterable[Finding], policy: Policy, valid: Policy) -> tuple[Finding, ...]:
    """`findings`, of which those say so that only a waiver fits which is in `policy` alone."""
    return tuple(
        replace(found, message=f"{found.message}{_expired(found, policy, valid)}")
        for found in findings
    )


def require_open(findings: Sequence[tuple[str, Finding]]) -> None:
    """PolicyError, naming each finding once with all places where it was made, if one blocks."""
    blocking: dict[Finding, list[str]] = {}
    for where, found in findings:
        if found.blocks:
            blocking.setdefault(found, []).append(where)
    if not blocking:
        return
    lines = [
        f"  {_place(found, places)}{found.subject}: {found.message}"
        for found, places in list(blocking.items())[:_SHOWN]
    ]
    if len(blocking) > _SHOWN:
        lines.append(f"  … and {len(blocking) - _SHOWN} more")
    count = f"{len(blocking)} finding" + ("s" if len(blocking) > 1 else "")
    hints = dict.fromkeys(found.hint or _REMEDY for found in blocking)
    raise PolicyError(
        "\n".join([f"the gate is shut: {count}", *lines]),
        "\n".join(hints),
        [{"where": places, **found.to_json()} for found, places in blocking.items()],
    )


def unused(policy: Policy, findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """A warning for each waiver of `policy` that fits none of `findings`."""
    return tuple(
        Finding(
            "waiver",
            "warning",
            waiver.object,
            f"the policy waives {waiver.rule} here, and no such finding was made",
            "remove the waiver, or correct its object",
        )
        for waiver in policy.waivers
        if not any(fits(waiver, found) for found in findings)
    )


def unused_skips(policy: Policy, checks: Collection[str]) -> tuple[Finding, ...]:
    """A warning for each check that `policy` skips and that is none of `checks`, by their ids."""
    return tuple(
        Finding(
            "skip",
            "warning",
            skip.check,
            "the policy skips this check, and there is none of that id",
            "remove it, or correct its id",
        )
        for skip in policy.skip
        if skip.check not in checks
    )


def _place(found: Finding, places: Sequence[str]) -> str:
    """Where it was made and by which rule; one word where both are called the same."""
    where = ", ".join(places)
    return f"{where}: " if where == found.rule else f"{where}: {found.rule}: "


def _expired(found: Finding, policy: Policy, valid: Policy) -> str:
    was = apply_waivers([found], policy)[0].waiver if found.blocks else None
    if was is None or was in valid.waivers:
        return ""
    return f" (the waiver of {was.owner} ended on {was.until})"
