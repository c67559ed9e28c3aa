"""Partitions: nothing in a target for one partition of AWS names another's ARN, region or host,
and nothing in one for a cloud of Azure another's host.

GovCloud, China and the isolated regions share no account, role or endpoint with the commercial
regions, nor do Azure's clouds: what works there and names them is a copied manifest that fails on
the day it is used.
Which target is for which partition stands in the policy; all others are none of this rule's
business. `partitionnames` reads the names, this module says where to look.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from bundler.core.documents.policy import Policy
from bundler.core.findings import Finding
from bundler.core.objects import jsonpointer
from bundler.core.objects.jsonpointer import Path
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.rules.context import RuleContext
from bundler.core.rules.external_hosts import is_documentation
from bundler.core.rules.partitionnames import foreign
from bundler.core.rules.walk import texts

ID = "partition"

# Whom a token is for, and not whom anybody calls: GovCloud's own tokens have it as well.
_AUDIENCE = "sts.amazonaws.com"
_AUDIENCES = frozenset({"audience", "audiences", "eks.amazonaws.com/audience"})


def check(obj: JsonObject, context: RuleContext) -> Iterator[Finding]:
    """A finding for each name of another partition than the target's, at each place.

    Nothing when the policy puts the target into no partition.
    """
    own = partition_of(context.target, context.policy)
    if own is None:
        return
    subject = str(ObjectId.of(obj))
    found = {
        (jsonpointer.spell(path), what)
        for path, text in _texts(obj)
        for what in foreign(text, own, context.images)
    }
    for where, what in sorted(found):
        yield Finding(
            ID,
            "error",
            subject,
            f"{where}: names the {what.kind} {what.text!r} of the partition {what.partition}, "
            f"and this target is for {own}",
            hint=f"name what {own} has, or correct `partitions` in the policy",
        )


def partition_of(target: str, policy: Policy) -> str | None:
    """The partition that `target` is for, by the first pattern of the policy that fits it."""
    patterns = policy.partitions.items()
    return next((partition for glob, partition in patterns if fnmatchcase(target, glob)), None)


def _texts(obj: JsonObject) -> Iterator[tuple[Path, str]]:
    """Every text and every key of an object that a machine reads, and where."""
    for text in texts(obj):
        is_audience = text.value == _AUDIENCE and not _AUDIENCES.isdisjoint(text.path[-2:])
        if not is_audience and not is_documentation(obj, text.path):
            yield text.path, text.value
    for path, key in jsonpointer.keys(obj):
        if not is_documentation(obj, path):
            yield path, key
