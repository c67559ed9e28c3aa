"""What is somebody else's: refused, or taken over where that was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.objects.plan import Present, is_namespace

_MOST = 20


_DRIFTED = (
    "nothing was changed; these fields of the release's objects were changed by others; "
    "--take-ownership gives them the bundle's values again"
)
_CLAIMED = (
    "nothing was changed; with --take-ownership all of this becomes the release's (the plan shows "
    "it, and an uninstall leaves objects that others made); without it, give these fields the "
    "bundle's values on the cluster, or let their owner apply without them, or leave them, or "
    "these objects, out of the bundle"
)


def check_claims(present: Sequence[Present]) -> None:
    """ClusterError that names everything of `present` that others made, or own fields of."""
    claimed = [each for each in present if any(_claims(each))]
    if not claimed:
        return
    claims = [claim for each in claimed for claim in _claims(each)]
    more = f"; and {len(claims) - _MOST} more" if len(claims) > _MOST else ""
    hint = _CLAIMED if any(each.foreign for each in claimed) else _DRIFTED
    raise ClusterError(f"{'; '.join(claims[:_MOST])}{more}", hint)


def somebody_elses(object_id: ObjectId, live: JsonObject, refusal: ClusterError) -> ClusterError:
    """That `live` is no release's, and that it can't become what is wanted: the `refusal`."""
    return ClusterError(
        f"{_stranger(object_id, live)}; it can't be made the bundle's either: {refusal.message}",
        "nothing was changed; it is somebody else's: ask its owner, or choose another namespace "
        "(a parameter of the bundle, if it has one, or a site's own overlay)",
    )


def forced(present: Present) -> Present:
    """`present`, to be applied whoever owns it: where others own fields of it, and where the
    server could not say yet."""
    asked = present.dry_run is not None
    return present if asked and not present.taken else replace(present, force=True)


def _claims(present: Present) -> Iterator[str]:
    what = ObjectId.of(present.desired)
    # A namespace holds what others put into it, and nothing is lost by putting more there.
    shared = is_namespace(what)
    if present.live is not None and present.foreign and not shared:
        yield _stranger(what, present.live)
    if present.taken:
        fields = ", ".join(f"{each.field} of {each.owner}" for each in present.taken)
        yield f"{what}: expected its fields to be ours, found them owned by others: {fields}"


def _stranger(what: ObjectId, live: JsonObject) -> str:
    return f"{what}: is there already, and no release made it ({_owners(live)})"


def _owners(live: JsonObject) -> str:
    """Who wrote `live`, its status aside, as the API server remembers it."""
    fields = live["metadata"].get("managedFields") or []
    named = (str(each.get("manager")) for each in fields if each.get("subresource") != "status")
    return ", ".join(dict.fromkeys(named)) or "by whom isn't known"
