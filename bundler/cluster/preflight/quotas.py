"""ResourceQuotas and LimitRanges of the namespaces that pods and volumes go to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from bundler.cluster.preflight.asked import Asked, UnseenError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.preflight.checked import Checked, or_fine
from bundler.core.preflight.quotas import demand, out_of_range, over_quota, unsaid
from bundler.core.preflight.workloads import workloads

_NAME = "quota"
_MORE = "ask who runs the cluster for a larger quota, or set fewer replicas and smaller requests"
_RANGE = "ask who runs the cluster to widen it, or set other requests and limits (parameters)"


def quotas(asked: Asked) -> Iterator[Checked]:
    """A failure for each quota and range that the release doesn't fit into."""
    yield from or_fine(_problems(asked), _NAME, "the namespaces' quotas and ranges let it in")


def _problems(asked: Asked) -> Iterator[Checked]:
    places = {each.namespace for each in asked.workloads}
    places |= {each.id.namespace for each in asked.claims if each.id.namespace}
    for place in sorted(places):
        limits = _those(asked, "LimitRange", place)
        for quota in _those(asked, "ResourceQuota", place):
            yield from _of_quota(asked, place, quota, limits)
        for limit in limits:
            for workload in asked.workloads:
                if workload.namespace == place:
                    for words in out_of_range(limit, workload):
                        name = f"LimitRange {place}/{limit['metadata']['name']}"
                        yield Checked(_NAME, "failed", f"{workload.id}: {words} ({name})", _RANGE)


def _of_quota(
    asked: Asked, place: str, quota: JsonObject, limits: list[JsonObject]
) -> Iterator[Checked]:
    name = f"ResourceQuota {place}/{quota['metadata']['name']}"
    spec = quota.get("spec") or {}
    if spec.get("scopes") or spec.get("scopeSelector"):
        yield Checked(_NAME, "skipped", f"{name}: is for some pods only, which is not judged")
        return
    mine = [each for each in asked.workloads if each.namespace == place]
    claims = [each for each in asked.claims if each.id.namespace == place]
    wanted = demand(mine, claims, limits, _new(asked, place))
    returned = demand(workloads(_making_way(asked, place)), (), limits, {})
    for words in over_quota(quota, wanted, returned):
        yield Checked(_NAME, "failed", f"{name}: {words}", _MORE)
    for workload in mine:
        for words in unsaid(quota, workload, limits):
            yield Checked(_NAME, "failed", f"{workload.id}: {words}, which {name} demands", _RANGE)


def _making_way(asked: Asked, place: str) -> list[JsonObject]:
    """The pods that are there and are of an earlier version of this release."""
    pods = asked.listed("v1", "Pod", place)
    return [pod for pod in pods if any(each.owns(pod) for each in asked.workloads)]


def _new(asked: Asked, place: str) -> Counter[str]:
    """How many objects are made in `place`, by a quota's name for them."""
    counts: Counter[str] = Counter()
    for obj in asked.needs.objects:
        object_id = ObjectId.of(obj)
        resource = asked.cluster.resource(object_id)
        if object_id.namespace != place or resource is None or asked.get(object_id) is not None:
            continue
        group = f".{object_id.group}" if object_id.group else ""
        counts[f"{resource.plural}{group}"] += 1
    return counts


def _those(asked: Asked, kind: str, place: str) -> list[JsonObject]:
    """Those that are there, and those that come along."""
    coming = [
        obj
        for obj in asked.needs.objects
        if obj["kind"] == kind and ObjectId.of(obj).namespace == place
    ]
    names = {obj["metadata"]["name"] for obj in coming}
    try:
        there = asked.listed("v1", kind, place)
    except UnseenError:
        if not coming:
            raise
        there = []
    return [*coming, *(each for each in there if each["metadata"]["name"] not in names)]
