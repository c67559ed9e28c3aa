"""What an install does, for people: the release, its parameters, and each object in one line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from bundler.cli.lines import line
from bundler.cluster.release.record import secret_name
from bundler.cluster.release.upgrade import ReleaseChange
from bundler.core.objects.differences import MASK, Difference
from bundler.core.objects.manifests import ObjectId
from bundler.core.objects.plan import Plan

_MARKS = {
    "created": "+",
    "unchecked": "?",
    "adopted": "~",
    "changed": "~",
    "removed": "-",
    "kept": "!",
    "unchanged": "=",
}
_REMARKS = {
    "adopted": "  (taken over: it is there already, and no release made it)",
    "kept": "  (no longer part of it, left in place: what others keep there would go too)",
}
_DATA = "  (no longer part of it, left in place: it holds data)"
_ANEW = "  (can't be changed: is deleted and made anew)"
_COUNTED = {"unchecked": "not checked yet", "adopted": "taken over"}
_PLANNED = {
    "created": "to create",
    "adopted": "to take over",
    "changed": "to change",
    "removed": "to remove",
    "kept": "to keep",
}
_UNCHECKED = "? can't be checked before the install brings its namespace or kind"
_LONGEST = 60
# How much of a long text is shown before the place where it differs.
_LEAD = 15


def release_lines(change: ReleaseChange) -> Iterator[str]:
    """From which version, target and parameters to which."""
    versions = {
        "new": f"{change.after} (new)",
        "again": f"{change.after} (again)",
        "upgrade": f"{change.before} -> {change.after}",
        "rollback": f"{change.before} -> {change.after} (rollback)",
    }
    stopped = ", after an install that was stopped half way" if change.interrupted else ""
    yield line("release", versions[change.change] + stopped)
    if change.target_before not in (None, change.target):
        yield line("target", f"{change.target_before} -> {change.target}")
    for each in change.parameters:
        default = " (default)" if each.default else ""
        before, after = _value(each.before, 0), _value(each.after, 0)
        yield line("parameter", f"{each.name}: {before} -> {after}{default}")


def plan_lines(plan: Plan, *, done: bool) -> Iterator[str]:
    """Every object, with what becomes different of it, and then how many there are of each.

    Before the install is `done`, these are to be created, and so on.
    """
    for name, mark in _MARKS.items():
        for each in getattr(plan, name):
            anew = _ANEW if each in plan.anew else ""
            data = name == "kept" and each.kind == "PersistentVolumeClaim"
            yield f"{mark} {each}{_DATA if data else _REMARKS.get(name, '')}{anew}"
            yield from map(difference_line, _telling(each, plan.differences.get(each, ())))
            for taken in plan.taken.get(each, ()):
                yield f"    {taken.field}: taken over from {taken.owner}"
    if plan.unchecked:
        yield line("", _UNCHECKED)
    words = _COUNTED | ({} if done else _PLANNED)
    counts = {words.get(name, name): len(getattr(plan, name)) for name in _MARKS}
    said = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    yield line("plan", said or "no objects")


def _telling(of: ObjectId, found: Sequence[Difference]) -> Sequence[Difference]:
    """`found`, without the data of a release's own record: all of it masked, and told above."""
    if of.kind != "Secret" or not of.name.startswith(secret_name("")):
        return found
    return [each for each in found if not each.pointer.startswith("/data/")]


def difference_line(each: Difference) -> str:
    """One place of an object, with what stands there before and after."""
    start = _common(each.before, each.after)
    return f"    {each.pointer}: {_value(each.before, start)} -> {_value(each.after, start)}"


def _common(before: object, after: object) -> int:
    """How long two texts are the same, from their beginning; 0 for what is no text."""
    if not (isinstance(before, str) and isinstance(after, str)):
        return 0
    pairs = enumerate(zip(before, after, strict=False))
    ends = (index for index, (one, other) in pairs if one != other)
    return next(ends, min(len(before), len(after)))


def _value(value: object, start: int) -> str:
    """`value` as JSON in one line; what is long is cut around `start`, where it differs."""
    if value is None:
        return "(absent)"
    if isinstance(value, str) and len(value) > _LONGEST and start > _LEAD:
        value = f"…{value[start - _LEAD :]}"
    text = value if value == MASK else json.dumps(value, ensure_ascii=False)
    assert isinstance(text, str)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
