"""Kubernetes objects as the rules see them, from the parts that a test is about."""

from __future__ import annotations

from typing import Any

from bundler.core.documents.policy import Policy
from bundler.core.findings import Finding
from bundler.core.objects.manifests import JsonObject
from bundler.core.rules import RuleContext, check

DIGEST = "sha256:" + "ab" * 32
IMAGE = f"registry.airbundle.invalid/docker.io/library/python@{DIGEST}"
MODEL = f"registry.airbundle.invalid/models/zero-shot@{DIGEST}"


def context(*, allow_hosts: tuple[str, ...] = ()) -> RuleContext:
    policy = Policy(allow_hosts=allow_hosts, partitions={"site": "aws-us-gov"})
    return RuleContext(policy, frozenset({IMAGE, MODEL}), "site")


def found(rule: str, *objects: JsonObject, allow_hosts: tuple[str, ...] = ()) -> list[Finding]:
    findings = check(objects, context(allow_hosts=allow_hosts))
    return [finding for finding in findings if finding.rule == rule]


def messages(rule: str, *objects: JsonObject, allow_hosts: tuple[str, ...] = ()) -> list[str]:
    return [finding.message for finding in found(rule, *objects, allow_hosts=allow_hosts)]


def container(**fields: Any) -> dict[str, Any]:
    """One that a restricted namespace admits."""
    context = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {"name": "web", "image": IMAGE, "securityContext": context, **fields}


def pod_spec(**fields: Any) -> dict[str, Any]:
    """One that a restricted namespace admits."""
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return {"securityContext": security, "containers": [container()], **fields}


def pod(spec: dict[str, Any], **metadata: Any) -> JsonObject:
    identity = {"name": "web", "namespace": "serving", **metadata}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": identity, "spec": spec}


def deployment(spec: dict[str, Any], **metadata: Any) -> JsonObject:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "serving"},
        "spec": {"template": {"metadata": metadata, "spec": spec}},
    }


def args(*arguments: str) -> JsonObject:
    return deployment(pod_spec(containers=[container(args=list(arguments))]))


def env(name: str, value: str) -> JsonObject:
    return deployment(pod_spec(containers=[container(env=[{"name": name, "value": value}])]))


def config_map(**data: str) -> JsonObject:
    """Keys are written with `_` for their dot."""
    files = {name.replace("_", "."): text for name, text in data.items()}
    metadata = {"name": "settings", "namespace": "serving"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": files}


def annotated(key: str, value: str) -> JsonObject:
    metadata = {"name": "web", "namespace": "serving", "annotations": {key: value}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {}}


def custom(api_version: str, kind: str, **spec: Any) -> JsonObject:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "it"}, "spec": spec}
