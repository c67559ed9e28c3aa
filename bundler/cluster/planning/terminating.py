"""What is being deleted, and who holds it."""

from __future__ import annotations

from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.objects.observed import conditions

# https://pkg.go.dev/k8s.io/api/core/v1#NamespaceConditionType: true of what still has to go.
_HOLDING = "Namespace"


def being_deleted(object_id: ObjectId, live: JsonObject) -> ClusterError:
    """The error about an object that is on its way out, with what its own status says of that."""
    since = live["metadata"]["deletionTimestamp"]
    held = [*_finalizers(live), *_conditions(live)]
    return ClusterError(
        f"{object_id}: is being deleted since {since}{''.join(f'; {each}' for each in held)}",
        "nothing was changed; wait until it is gone, then the same command again; what holds it "
        "has to be taken away by whoever put it there",
    )


def _finalizers(live: JsonObject) -> list[str]:
    found = live["metadata"].get("finalizers")
    named = [str(each) for each in found] if isinstance(found, list) else []
    return [f"its finalizers: {', '.join(named)}"] if named else []


def _conditions(live: JsonObject) -> list[str]:
    return [
        each.message
        for each in conditions(live)
        if each.type.startswith(_HOLDING) and each.status == "True"
    ]
