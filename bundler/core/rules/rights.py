"""Rights: no role and no binding gives more than a workload can be expected to need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bundler.core.findings import Finding
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.rules.context import RuleContext
from bundler.core.rules.walk import Mapping, entries, lookup

ID = "rights"

_GROUP = "rbac.authorization.k8s.io"
# OpenShift's older names for the same kinds, which it turns into RBAC's.
_GROUPS = frozenset({_GROUP, "authorization.openshift.io"})
_ROLES = frozenset({"Role", "ClusterRole"})
_BINDINGS = frozenset({"RoleBinding", "ClusterRoleBinding"})
# With these, whoever has little gives himself more: the three that RBAC itself guards.
_ESCALATING = ("escalate", "bind", "impersonate")
_READING = frozenset({"get", "list", "watch"})
_ALL_PATHS = frozenset({"*", "/*"})
# Whoever may use these acts as another: as a service account, inside of a pod, on a node. With
# any verb, since a connection may be opened by `get` as well as by `create`.
_ACTING = frozenset(
    """
    nodes/proxy pods/attach pods/ephemeralcontainers pods/exec serviceaccounts/token
    """.split()
)
_ANYBODY = {
    ("Group", "system:masters"): "which may do everything",
    ("Group", "system:authenticated"): "everybody who is known to the cluster",
    ("Group", "system:serviceaccounts"): "every service account of the cluster",
    ("Group", "system:unauthenticated"): "everybody at all",
    ("User", "system:anonymous"): "everybody at all",
}
_TOKEN = "kubernetes.io/service-account-token"

Problem = tuple[str, str]
"""A JSON pointer and what is wrong there."""


def check(obj: JsonObject, _context: RuleContext) -> Iterator[Finding]:
    """A finding for each excessive entry of a Role, ClusterRole or binding of either, and for a
    Secret that the cluster fills with a token.
    """
    identity = ObjectId.of(obj)
    for place, problem in _problems(obj, identity):
        yield Finding(
            ID,
            "error",
            str(identity),
            f"{place}: {problem}",
            hint="name the verbs, resources and groups that are needed, in a Role",
        )


def _problems(obj: JsonObject, identity: ObjectId) -> Iterator[Problem]:
    if identity.group in _GROUPS and identity.kind in _ROLES:
        yield from _of_role(obj)
    if identity.group in _GROUPS and identity.kind in _BINDINGS:
        yield from _of_binding(obj)
    if (identity.group, identity.kind) == ("", "Secret") and obj.get("type") == _TOKEN:
        yield "/type", "asks for a service account's token, which never expires"


def _of_role(obj: JsonObject) -> Iterator[Problem]:
    is_cluster_wide = obj["kind"] == "ClusterRole"
    for index, rule in entries(obj, "rules"):
        place = f"/rules/{index}"
        yield from _wildcards(place, rule)
        yield from _escalations(place, rule)
        yield from _impostures(place, rule)
        if is_cluster_wide and _reads_secrets(rule):
            yield f"{place}/resources", "reads secrets in every namespace"
    if is_cluster_wide:
        yield from _aggregation(obj)


def _wildcards(place: str, rule: Mapping) -> Iterator[Problem]:
    for field in ("verbs", "resources", "apiGroups"):
        for index, entry in enumerate(_strings(rule, field)):
            if "*" in entry:
                yield f"{place}/{field}/{index}", f"{entry!r} stands for all {field}"
    for index, entry in enumerate(_strings(rule, "nonResourceURLs")):
        if entry in _ALL_PATHS:
            yield f"{place}/nonResourceURLs/{index}", f"{entry!r} stands for every path"


def _escalations(place: str, rule: Mapping) -> Iterator[Problem]:
    for index, verb in enumerate(_strings(rule, "verbs")):
        # Constrained impersonation spells its verbs "impersonate:user-info" and the like.
        if verb.startswith(_ESCALATING):
            yield f"{place}/verbs/{index}", f"{verb!r} lets its holder gain other rights"


def _impostures(place: str, rule: Mapping) -> Iterator[Problem]:
    for index, resource in enumerate(_strings(rule, "resources")):
        if resource in _ACTING and _is_core(rule):
            yield f"{place}/resources/{index}", f"{resource!r} lets its holder act as another"


def _is_core(rule: Mapping) -> bool:
    # RBAC asks for groups; OpenShift takes none for the core group.
    return not {"", "*"}.isdisjoint(_strings(rule, "apiGroups") or [""])


def _reads_secrets(rule: Mapping) -> bool:
    is_secrets = not {"secrets", "*"}.isdisjoint(_strings(rule, "resources"))
    return (
        _is_core(rule) and is_secrets and not (_READING | {"*"}).isdisjoint(_strings(rule, "verbs"))
    )


def _aggregation(obj: JsonObject) -> Iterator[Problem]:
    """Rights that flow between this role and the cluster's own, out of sight of this bundle."""
    labels = lookup(obj, "metadata", "labels")
    for label in sorted(labels if isinstance(labels, dict) else {}):
        if label.startswith(f"{_GROUP}/aggregate-to-") and labels[label] == "true":
            pointer = f"/metadata/labels/{label.replace('/', '~1')}"
            yield pointer, f"adds its rules to the cluster's role {label.rpartition('-to-')[2]!r}"
    # Whatever its selectors say: which roles have those labels is the cluster's business.
    if obj.get("aggregationRule") is not None:
        yield "/aggregationRule", "takes over the rules of roles that are not in sight"


def _of_binding(obj: JsonObject) -> Iterator[Problem]:
    if lookup(obj, "roleRef", "name") == "cluster-admin":
        yield "/roleRef", "binds to cluster-admin, which may do everything"
    subjects: list[tuple[str, Any, Any]] = [
        (f"/subjects/{index}", subject.get("kind"), subject.get("name"))
        for index, subject in entries(obj, "subjects")
    ]
    for field, of_kind in (("groupNames", "Group"), ("userNames", "User")):
        names = enumerate(_strings(obj, field))
        subjects += [(f"/{field}/{index}", of_kind, name) for index, name in names]
    for place, *named in subjects:
        for (kind, name), who in _ANYBODY.items():
            if named == [kind, name]:
                yield place, f"names {name}, {who}"


def _strings(rule: Mapping, field: str) -> list[str]:
    entries = rule.get(field)
    return (
        [entry for entry in entries if isinstance(entry, str)] if isinstance(entries, list) else []
    )
