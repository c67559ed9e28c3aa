"""Roles and bindings that give too much."""

from __future__ import annotations

from typing import Any

import pytest

from bundler.core.objects.manifests import JsonObject
from tests.core.rules.objects import found, messages

RULE = "rights"
GROUP = "rbac.authorization.k8s.io"


def role(kind: str, *rules: dict[str, Any], **fields: Any) -> JsonObject:
    metadata = {"name": "it", **fields.pop("metadata", {})}
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": kind,
        "metadata": metadata,
        "rules": list(rules),
        **fields,
    }


def rule(groups: str, resources: str, verbs: str) -> dict[str, Any]:
    return {
        "apiGroups": groups.split(","),
        "resources": resources.split(","),
        "verbs": verbs.split(","),
    }


def binding(kind: str, name: str, *subjects: dict[str, Any]) -> JsonObject:
    reference = {"apiGroup": GROUP, "kind": "ClusterRole", "name": name}
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": kind,
        "metadata": {"name": "it"},
        "roleRef": reference,
        "subjects": list(subjects),
    }


def aggregated(*selectors: dict[str, Any]) -> JsonObject:
    return role("ClusterRole", aggregationRule={"clusterRoleSelectors": list(selectors)})


def open_shift(kind: str, **fields: Any) -> JsonObject:
    api = "authorization.openshift.io/v1"
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "it"}, **fields}


def secret(type_: str) -> JsonObject:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "it"}, "type": type_}


TOKEN = "kubernetes.io/service-account-token"
ACCOUNT = {"kind": "ServiceAccount", "name": "web", "namespace": "serving"}
MASTERS = {"kind": "Group", "apiGroup": GROUP, "name": "system:masters"}
PODS = rule("", "pods", "get")

MODEST: dict[str, JsonObject] = {
    "a role": role("Role", rule("", "configmaps,pods/log", "get,list,watch")),
    "secrets of one namespace": role("Role", rule("", "secrets", "get,list,watch")),
    "secrets that can't be read": role("ClusterRole", rule("", "secrets", "create,delete")),
    "another group's secrets": role("ClusterRole", rule("vault.example.com", "secrets", "get")),
    "a path": role(
        "ClusterRole", {"nonResourceURLs": ["/metrics", "/healthz/*"], "verbs": ["get"]}
    ),
    "a binding": binding("RoleBinding", "view", ACCOUNT),
    "a user of that name": binding("RoleBinding", "view", {**MASTERS, "kind": "User"}),
    "groups and users that are somebody": binding(
        "RoleBinding",
        "view",
        {**MASTERS, "name": "system:serviceaccounts:serving"},
        {**MASTERS, "name": "system:anonymous"},
        {**MASTERS, "kind": "User", "name": "system:authenticated"},
    ),
    "subresources that only tell": role("Role", rule("", "pods/log,nodes/metrics", "get")),
    "another group's subresources": role("Role", rule("example.com", "pods/exec", "create")),
    "a Secret": secret("Opaque"),
    "another API's Secret": {**secret(TOKEN), "apiVersion": "vault.example.com/v1"},
    "a label that says no": role(
        "ClusterRole", PODS, metadata={"labels": {f"{GROUP}/aggregate-to-admin": "false"}}
    ),
    "another API's role": {
        "apiVersion": "vault.example.com/v1",
        "kind": "Role",
        "metadata": {"name": "it"},
        "rules": [rule("*", "*", "*")],
    },
}

EXCESSIVE: dict[str, tuple[JsonObject, str]] = {
    "every verb": (role("Role", PODS, rule("", "pods", "get,*")), "/rules/1/verbs/1"),
    "every resource": (role("Role", rule("apps", "*", "get")), "/rules/0/resources/0"),
    "every subresource": (role("Role", rule("", "pods/*", "get")), "/rules/0/resources/0"),
    "every group": (role("Role", rule("*", "pods", "get")), "/rules/0/apiGroups/0"),
    "every path": (
        role("ClusterRole", {"nonResourceURLs": ["*"], "verbs": ["get"]}),
        "/rules/0/nonResourceURLs/0",
    ),
    "every path below the root": (
        role("ClusterRole", {"nonResourceURLs": ["/*"], "verbs": ["get"]}),
        "/rules/0/nonResourceURLs/0",
    ),
    "escalate": (role("ClusterRole", rule(GROUP, "roles", "escalate")), "/rules/0/verbs/0"),
    "bind": (role("Role", rule(GROUP, "roles", "get,bind")), "/rules/0/verbs/1"),
    "impersonate": (role("ClusterRole", rule("", "users", "impersonate")), "/rules/0/verbs/0"),
    "impersonate within limits": (
        role("ClusterRole", rule("authentication.k8s.io", "users", "impersonate:user-info")),
        "/rules/0/verbs/0",
    ),
    "secrets read": (role("ClusterRole", rule("", "secrets", "get")), "/rules/0/resources"),
    "secrets listed": (role("ClusterRole", rule("", "pods,secrets", "list")), "/rules/0/resources"),
    "secrets watched": (role("ClusterRole", rule("", "secrets", "watch")), "/rules/0/resources"),
    "cluster-admin": (binding("ClusterRoleBinding", "cluster-admin", ACCOUNT), "/roleRef"),
    "cluster-admin of a namespace": (binding("RoleBinding", "cluster-admin", ACCOUNT), "/roleRef"),
    "masters": (binding("ClusterRoleBinding", "view", ACCOUNT, MASTERS), "/subjects/1"),
    "rules for admins": (
        role("ClusterRole", PODS, metadata={"labels": {f"{GROUP}/aggregate-to-admin": "true"}}),
        "/metadata/labels/rbac.authorization.k8s.io~1aggregate-to-admin",
    ),
    "rules of admins": (
        aggregated({"matchLabels": {f"{GROUP}/aggregate-to-admin": "true"}}),
        "/aggregationRule",
    ),
    "rules of every role": (aggregated({}), "/aggregationRule"),
    "rules by no label": (aggregated({"matchLabels": {}}), "/aggregationRule"),
    "rules by no expression": (aggregated({"matchExpressions": []}), "/aggregationRule"),
    "rules by the cluster's own label": (
        aggregated({"matchLabels": {"kubernetes.io/bootstrapping": "rbac-defaults"}}),
        "/aggregationRule",
    ),
    "rules of what lacks a label": (
        aggregated({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}),
        "/aggregationRule",
    ),
    "rules of whoever has a label": (
        aggregated({"matchLabels": {"example.com/part": "yes"}}),
        "/aggregationRule",
    ),
    "an aggregation of nothing": (aggregated(), "/aggregationRule"),
    "whoever did not log in": (
        binding("RoleBinding", "view", {**MASTERS, "name": "system:unauthenticated"}),
        "/subjects/0",
    ),
    "nobody in particular": (
        binding("RoleBinding", "view", {**MASTERS, "kind": "User", "name": "system:anonymous"}),
        "/subjects/0",
    ),
    "everybody": (
        binding("ClusterRoleBinding", "view", {**MASTERS, "name": "system:authenticated"}),
        "/subjects/0",
    ),
    "every service account": (
        binding("ClusterRoleBinding", "view", {**MASTERS, "name": "system:serviceaccounts"}),
        "/subjects/0",
    ),
    "tokens": (role("Role", rule("", "serviceaccounts/token", "create")), "/rules/0/resources/0"),
    "commands in pods": (role("Role", rule("", "pods,pods/exec", "get")), "/rules/0/resources/1"),
    "terminals of pods": (role("Role", rule("", "pods/attach", "create")), "/rules/0/resources/0"),
    "containers added to pods": (
        role("Role", rule("", "pods/ephemeralcontainers", "patch")), "/rules/0/resources/0"
    ),
    "nodes themselves": (role("ClusterRole", rule("", "nodes/proxy", "get")),
        "/rules/0/resources/0"),
    "a token for ever": (secret(TOKEN), "/type"),
    "a role of OpenShift": (
        open_shift("ClusterRole", rules=[{"resources": ["pods/exec"], "verbs": ["create"]}]),
        "/rules/0/resources/0",
    ),
    "a binding of OpenShift": (
        open_shift("ClusterRoleBinding", roleRef={"name": "cluster-admin"}), "/roleRef"
    ),
    "a group of OpenShift": (
        open_shift("RoleBinding", roleRef={"name": "view"}, groupNames=["system:authenticated"]),
        "/groupNames/0",
    ),
    "a user of OpenShift": (
        open_shift("RoleBinding", roleRef={"name": "view"}, userNames=["system:anonymous"]),
        "/userNames/0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("obj", MODEST.values(), ids=MODEST.keys())
def test_modest_rights_are_let_be(obj: JsonObject) -> None:
    assert messages(RULE, obj) == []


@pytest.mark.parametrize(("obj", "place"), EXCESSIVE.values(), ids=EXCESSIVE.keys())
def test_excessive_rights_are_found(obj: JsonObject, place: str) -> None:
    [finding] = found(RULE, obj)
    assert finding.message.startswith(f"{place}: ")
    assert finding.subject == f"{obj['kind']} it"
    assert finding.severity == "error"


def test_everything_is_found_in_each_of_its_fields() -> None:
    assert len(messages(RULE, role("ClusterRole", rule("*", "*", "*")))) == 4
