"""What a namespace, or a kind, has inside: what would be lost with it.

What others put into a namespace, or made of a kind, is theirs. What can't be asked could be there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from bundler.cluster.client import Cluster, ForbiddenError
from bundler.cluster.release.record import secret_name
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.objects.plan import identity, is_crd, is_namespace

# What a cluster itself puts into every namespace.
_NATIVE = frozenset({("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")})
# What only tells of other objects.
_FOLLOWING = frozenset({"Event", "Endpoints", "EndpointSlice", "PodMetrics"})
_LEASE = "Lease"


def holds(
    cluster: Cluster,
    object_id: ObjectId,
    live: JsonObject,
    going: Collection[ObjectId],
    kept: Collection[ObjectId] = (),
) -> str:
    """What keeps `live`, in words: it holds what is not among `going`. Nothing for what may go.

    Only namespaces and CRDs hold others. Of what it holds, `kept` stays by our own will.
    """
    found: Iterator[str] = iter(())
    if is_namespace(object_id):
        found = others(cluster, object_id.name, going, kept)
    elif is_crd(object_id):
        found = (_said(each, kept) for each in _instances(cluster, live, going))
    try:
        return next(found, "")
    except ForbiddenError:
        return "what it holds can't be asked"


def others(
    cluster: Cluster,
    namespace: str,
    going: Collection[ObjectId],
    kept: Collection[ObjectId] = (),
) -> Iterator[str]:
    """What is in a namespace and neither goes, nor belongs to something, nor is the cluster's."""
    known = {identity(each) for each in going}
    silent: list[str] = []
    for api_version, kind in kinds(cluster, going):
        if kind in _FOLLOWING:
            continue
        listed = _listed(cluster, api_version, kind, namespace)
        if listed is None:
            silent.append(f"its {f'{kind}.' if kind else ''}{api_version} can't be asked")
        for live in listed or ():
            name = live["metadata"]["name"]
            try:
                found = ObjectId(api_version, kind, namespace, name)
            except ValueError:  # RBAC takes the name `team a`, and no bundle has it
                yield f"{kind} {namespace}/{name!r} is not of this release"
                continue
            if not (_follows(found, live) or identity(found) in known):
                yield _said(found, kept)
    yield from silent


def kinds(cluster: Cluster, going: Collection[ObjectId] = ()) -> Iterator[tuple[str, str]]:
    """Every kind that lives in namespaces and can be listed, in one version of its API.

    No kind stands for all of a version that can't be asked, an extension that is down say. A kind
    that is `going` itself is left out: nothing of it stays.
    """
    ending = {each.name for each in going if is_crd(each)}
    yield from _served(cluster.read("/api/v1"), "v1", ending)
    for group in cluster.read("/apis").get("groups") or []:
        yield from _of_group(cluster, group, ending)


def _of_group(
    cluster: Cluster, group: JsonObject, ending: Collection[str]
) -> Iterator[tuple[str, str]]:
    """The kinds of all versions: the preferred one need not have every kind."""
    preferred = group["preferredVersion"]["groupVersion"]
    versions = {preferred: None, **{each["groupVersion"]: None for each in group["versions"]}}
    seen: set[str] = set()
    for api_version in versions:
        try:
            resources = cluster.read(f"/apis/{api_version}", attempts=1)
        except ClusterError:
            if not any(each.endswith(f".{group['name']}") for each in ending):
                yield api_version, ""
            continue
        for _, kind in _served(resources, api_version, ending):
            if kind not in seen:
                seen.add(kind)
                yield api_version, kind


def _served(
    resources: JsonObject, api_version: str, ending: Collection[str]
) -> Iterator[tuple[str, str]]:
    group = api_version.partition("/")[0]
    for each in resources.get("resources") or []:
        # Go says null for no verbs; an extension of the API may have such a kind.
        verbs = each.get("verbs") or ()
        listable = each["namespaced"] and "/" not in each["name"] and "list" in verbs
        if listable and f"{each['name']}.{group}" not in ending:
            yield api_version, each["kind"]


def _listed(
    cluster: Cluster, api_version: str, kind: str, namespace: str
) -> list[JsonObject] | None:
    """The objects of one kind; None when they can't be asked for."""
    if not kind:
        return None
    try:
        return cluster.list(ObjectId(api_version, kind, namespace, "any"))
    except ForbiddenError:
        return None
    except ClusterError:
        if api_version == "v1":
            raise
        return None


def _follows(found: ObjectId, live: JsonObject) -> bool:
    """Whether it belongs to another object, or is the cluster's own, or nobody's."""
    # The lease of a release says that somebody installs it just now.
    at_work = found.kind == _LEASE and found.name.startswith(secret_name(""))
    native = (found.kind, found.name) in _NATIVE or (found.kind == _LEASE and not at_work)
    return native or bool(live["metadata"].get("ownerReferences"))


def _instances(
    cluster: Cluster, crd: JsonObject, going: Collection[ObjectId]
) -> Iterator[ObjectId]:
    """Objects of the kind that `crd` defines, of all namespaces, that don't go."""
    known = {identity(each) for each in going}
    spec = crd["spec"]
    served = [each["name"] for each in spec["versions"] if each["served"]]
    for api_version in (f"{spec['group']}/{name}" for name in served[:1]):
        anywhere = ObjectId(api_version, spec["names"]["kind"], None, "any")
        for live in cluster.list(anywhere) if cluster.resource(anywhere) else ():
            metadata = live["metadata"]
            found = replace(anywhere, namespace=metadata.get("namespace"), name=metadata["name"])
            if identity(found) not in known:
                yield found


def _said(found: ObjectId, kept: Collection[ObjectId]) -> str:
    if identity(found) in {identity(each) for each in kept}:
        return f"holds {found}, which is kept"
    return f"{found} is not of this release"
