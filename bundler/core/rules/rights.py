"""Rights: no role and no binding gives more than a workload can be expected to need."""

from __future__ import annotations

from collections.abc import Iterator

from bundler.core.findings import Finding
from bundler.core.manifests import JsonObject, ObjectId
from bundler.core.rules.context import RuleContext
from bundler.core.rules.walk import Mapping, entries, lookup

ID = "rights"

_GROUP = "rbac.authorization.k8s.io"
_ROLES = frozenset({"Role", "ClusterRole"})
_BINDINGS = frozenset({"RoleBinding", "ClusterRoleBinding"})
# With these, whoever has little gives himself more: the three that RBAC itself guards.
_ESCALATING = ("escalate", "bind", "impersonate")
_READING = frozenset({"get", "list", "watch"})
_ALL_PATHS = frozenset({"*", "/*"})

Problem = tuple[str, str]
"""A JSON pointer and what is wrong there."""


def check(obj: JsonObject, _context: RuleContext) -> Iterator[Finding]:
    """A finding for each excessive entry of a Role, ClusterRole or binding of either."""
    identity = ObjectId.of(obj)
    if identity.group != _GROUP:
        return
    problems = list(_of_role(obj)) if identity.kind in _ROLES else []
    if identity.kind in _BINDINGS:
        problems += _of_binding(obj)
    for place, problem in problems:
        yield Finding(
            ID,
            "error",
            str(identity),
            f"{place}: {problem}",
            hint="name the verbs, resources and groups that are needed, in a Role",
        )


def _of_role(obj: JsonObject) -> Iterator[Problem]:
    is_cluster_wide = obj["kind"] == "ClusterRole"
    for index, rule in entries(obj, "rules"):
        place = f"/rules/{index}"
        yield from _wildcards(place, rule)
        yield from _escalations(place, rule)
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


def _reads_secrets(rule: Mapping) -> bool:
    is_core = not {"", "*"}.isdisjoint(_strings(rule, "apiGroups"))
    is_secrets = not {"secrets", "*"}.isdisjoint(_strings(rule, "resources"))
    return is_core and is_secrets and not (_READING | {"*"}).isdisjoint(_strings(rule, "verbs"))


def _aggregation(obj: JsonObject) -> Iterator[Problem]:
    """Rights that flow between this role and the cluster's own, out of sight of this bundle."""
    labels = lookup(obj, "metadata", "labels")
    for label in sorted(labels if isinstance(labels, dict) else {}):
        if label.startswith(f"{_GROUP}/aggregate-to-") and labels[label] == "true":
            pointer = f"/metadata/labels/{label.replace('/', '~1')}"
            yield pointer, f"adds its rules to the cluster's role {label.rpartition('-to-')[2]!r}"
    rule = obj.get("aggregationRule")
    for index, selector in entries(rule, "clusterRoleSelectors"):
        if not selector or any(key.startswith(_GROUP) for key in _selected(selector)):
            place = f"/aggregationRule/clusterRoleSelectors/{index}"
            yield place, "takes over the rules of the cluster's own roles"


def _selected(selector: Mapping) -> Iterator[str]:
    labels = selector.get("matchLabels")
    yield from labels if isinstance(labels, dict) else ()
    yield from (str(entry.get("key")) for _, entry in entries(selector, "matchExpressions"))


def _of_binding(obj: JsonObject) -> Iterator[Problem]:
    if lookup(obj, "roleRef", "name") == "cluster-admin":
        yield "/roleRef", "binds to cluster-admin, which may do everything"
    for index, subject in entries(obj, "subjects"):
        if subject.get("kind") == "Group" and subject.get("name") == "system:masters":
            yield f"/subjects/{index}", "names system:masters, which may do everything"


def _strings(rule: Mapping, field: str) -> list[str]:
    entries = rule.get(field)
    return (
        [entry for entry in entries if isinstance(entry, str)] if isinstance(entries, list) else []
    )
