"""Whether the API server lets the release's pods in: Pod Security, and its own dry run of them."""

from __future__ import annotations

from collections.abc import Iterator

from bundler.cluster.client import ForbiddenError
from bundler.cluster.preflight.asked import Asked, UnseenError
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.preflight.checked import Checked, or_fine
from bundler.core.preflight.levels import enforced, violations
from bundler.core.preflight.workloads import Workload, runtime_class

_SECURITY = "pod security"
_ADMISSION = "admission"
_QUOTA = "exceeded quota"
# What a custom resource has for its pods may hold more than a pod can.
_GROUPS = ("", "apps", "batch")


def pod_security(asked: Asked) -> Iterator[Checked]:
    """A failure for pods that the level of their namespace keeps out."""
    if not asked.workloads:
        yield Checked(_SECURITY, "ok", "the release has no pods")
        return
    yield from or_fine(_violations(asked), _SECURITY, "the namespaces' levels let all pods in")


def _violations(asked: Asked) -> Iterator[Checked]:
    users = {each.id: each.namespace for each in asked.workloads}
    for obj in asked.needs.objects:
        object_id = ObjectId.of(obj)
        if object_id not in users:
            continue
        place = users[object_id]
        level = enforced(asked.namespace(place), asked.brought_namespaces.get(place))
        problems = violations(obj) if level in ("restricted", "baseline") else ()
        if problems and level == "restricted":
            yield Checked(
                _SECURITY,
                "failed",
                f"{object_id}: the namespace {place} enforces restricted, and {problems[0]}"
                f"{_more(problems)}",
                f"the bundle's pods don't fit this namespace: who runs the cluster may lower "
                f"pod-security.kubernetes.io/enforce of {place}; better ask for a bundle that fits",
            )
        elif problems:
            yield Checked(
                _SECURITY,
                "warning",
                f"{object_id}: the namespace {place} enforces baseline, which lies below what was "
                f"judged here (restricted): {problems[0]}{_more(problems)}",
                "look whether baseline forbids it: kubernetes.io/docs, Pod Security Standards",
            )


def admission(asked: Asked) -> Iterator[Checked]:
    """What the server says of one pod of each template; nothing is made."""
    tried, found = 0, []
    for workload in asked.workloads:
        if (pod := _pod(asked, workload)) is not None:
            tried += 1
            found += list(_tried(asked, workload, pod))
    if not asked.workloads:
        yield Checked(_ADMISSION, "ok", "the release has no pods")
    elif not tried:
        yield Checked(
            _ADMISSION,
            "skipped",
            "the API server can't try the pods: their namespaces or service accounts come with "
            "the release, their kind is not known here, or this user may not create pods",
        )
    else:
        total = len(asked.workloads)
        yield from or_fine(
            found, _ADMISSION, f"the API server would let in {tried} of {total} pods"
        )


def _tried(asked: Asked, workload: Workload, pod: JsonObject) -> Iterator[Checked]:
    try:
        asked.cluster.create(pod, dry_run=True)
    except ClusterError as error:
        # With pods of an earlier version there, only `quotas` knows what makes way.
        if _QUOTA in error.message:
            return
        outcome = "skipped" if "does not support dry run" in error.message else "failed"
        denied = isinstance(error, ForbiddenError)
        yield Checked(
            _ADMISSION,
            "failed" if outcome == "failed" else "skipped",
            f"{workload.id}: {error.message}",
            "a policy of the cluster says so: ask who runs it for an exemption, or for what the "
            "policy wants"
            if denied
            else "the API server does not take such a pod: an older version, or a feature that is "
            "off there",
        )


def _pod(asked: Asked, workload: Workload) -> JsonObject | None:
    """A pod to try, or None where the server could only say that the rest isn't there yet."""
    place = workload.namespace
    live = asked.namespace(place)
    if live is None or "deletionTimestamp" in live["metadata"]:
        return None
    brought = asked.brought_namespaces.get(place)
    if workload.id.group not in _GROUPS or enforced(live, brought) != enforced(live, None):
        return None
    name = workload.pod.spec.get("runtimeClassName"), workload.pod.spec.get("priorityClassName")
    if asked.brings("RuntimeClass", str(name[0])) or asked.brings("PriorityClass", str(name[1])):
        return None
    account = _account(asked, workload)
    pod_id = ObjectId("v1", "Pod", place, "airbundle-preflight")
    if account is None or not asked.may("create", pod_id, "pods"):
        return None
    spec = dict(workload.pod.spec) | {"serviceAccountName": account}
    # What the RuntimeClass adds is added by the server itself.
    if runtime_class(workload) is not None:
        spec.pop("overhead", None)
    metadata = {
        "name": pod_id.name,
        "namespace": place,
        "labels": dict(workload.pod.labels),
        "annotations": dict(workload.pod.annotations),
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _account(asked: Asked, workload: Workload) -> str | None:
    """The pod's own service account, or the namespace's where that comes with the release."""
    own = workload.pod.spec.get("serviceAccountName") or "default"
    for name in (own, "default"):
        try:
            if asked.get(ObjectId("v1", "ServiceAccount", workload.namespace, str(name))):
                return str(name)
        except UnseenError:
            return None
    return None


def _more(problems: tuple[str, ...]) -> str:
    return f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
