"""What an apply can own: a server remembers who applied an object by the fields that are his."""

from __future__ import annotations

from bundler.core.objects.manifests import JsonObject

_HEAD = frozenset({"apiVersion", "kind", "metadata"})
# Fields of the metadata that an apply never owns (apimachinery, managedfields: stripMeta).
_NOBODYS = frozenset(
    {
        "clusterName",
        "creationTimestamp",
        "generation",
        "managedFields",
        "name",
        "namespace",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)


def ownable(obj: JsonObject) -> JsonObject:
    """`obj`, with an empty map of annotations where there is nothing else to own.

    A ServiceAccount that has but a name, say: nobody could tell later who made it.
    """
    metadata = obj["metadata"]
    fields = {key for key, value in obj.items() if value is not None} - _HEAD
    named = {key for key, value in metadata.items() if value is not None} - _NOBODYS
    return obj if fields or named else obj | {"metadata": metadata | {"annotations": {}}}
