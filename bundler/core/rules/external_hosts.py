"""External hosts: nothing in an object names a place outside of the cluster.

The law is the design's: a URL, a host with a port, or a dotted name with a public suffix, in any
string. This module says where to look and how to read what stands there; `hostnames` reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from bundler.core.findings import Finding
from bundler.core.objects import jsonpointer
from bundler.core.objects.jsonpointer import Path
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.rules.context import RuleContext
from bundler.core.rules.hostnames import Mention, mentions, place
from bundler.core.rules.walk import Text, texts

ID = "external-host"

# Fields that name something inside of Kubernetes. Their bare dotted names are no hosts; a URL or
# a port in one of them still is.
_NAME_FIELDS = frozenset(
    """
    apiGroup apiGroups apiVersion apiVersions controller controllerName deviceClassName driver
    fieldPath finalizers generateName group handler ingressClassName jsonPath key kind
    labelSelectorPath loadBalancerClass priorityClassName provisioner resource resourceName
    resourceNames resources runtimeClassName schedulerName signerName storageClassName topologyKey
    topologyKeys volumeAttributesClassName
    """.split()
)
# Fields that are there to lead somewhere: (kind or "", the field's names). An address counts in
# them, and so does a name that tells nothing.
_WAYS = (
    ("Service", ("externalName",)),
    ("Endpoints", ("addresses", "ip")),
    ("Endpoints", ("notReadyAddresses", "ip")),
    ("EndpointSlice", ("endpoints", "addresses")),
    ("PersistentVolume", ("targetPortal",)),
    ("PersistentVolume", ("portals",)),
    ("PersistentVolume", ("monitors",)),
    ("", ("nfs", "server")),
    ("", ("hostAliases", "ip")),
    ("", ("dnsConfig", "nameservers")),
)
_LABEL_FIELDS = frozenset({"labels", "matchLabels", "nodeSelector", "selector"})
_NAMED = frozenset({"metadata", "roleRef", "subjects", "sysctls", "webhooks"})
_CODE_FILE = re.compile(r".*\.(?:c|cc|cpp|go|h|java|jl|js|kt|lua|mjs|pl|py|r|rb|rego|rs|scala|ts)")
_CODE_ARGUMENT = re.compile(
    r"(?:^|[\s/])(?:python|node|perl|ruby)[\d.]*(?:\s+-\S+)*\s+-\w*[ce]\s+$"
)
# The link by which an API was approved; the API server compares it with nothing.
_APPROVAL = ("metadata", "annotations", "api-approved.kubernetes.io")
# Whom a pod is for Google Cloud: written like a mail address, and no mail goes there.
_ACCOUNT_FIELD = "iam.gke.io/gcp-service-account"
_ACCOUNT = re.compile(r"[a-z0-9-]+@[a-z0-9.-]+\.iam\.gserviceaccount\.com")
_SCHEMA = "openAPIV3Schema"
_PROSE = frozenset({"$schema", "description", "example", "externalDocs", "pattern", "title"})


def check(obj: JsonObject, context: RuleContext) -> Iterator[Finding]:
    """A finding for each host at each place, unless the policy's `allowHosts` names it."""
    subject = str(ObjectId.of(obj))
    found = {
        (jsonpointer.spell(path), str(mention))
        for path, mention in hosts(obj)
        if not any(_allows(entry, mention) for entry in context.policy.allow_hosts)
    }
    for where, host in sorted(found):
        yield Finding(
            ID,
            "error",
            subject,
            f"{where}: names the host {host!r}, which is outside of the cluster",
            hint="write <service>.<namespace>.svc, or list the host under allowHosts in the policy",
        )


def hosts(obj: JsonObject) -> Iterator[tuple[Path, Mention]]:
    """Every host outside of the cluster that an object names, and where, whoever may allow it."""
    for text in texts(obj):
        if not is_documentation(obj, text.path) and not _is_account(text):
            for mention in _mentions(text) or _ways(obj, text):
                yield text.path, mention


def _mentions(text: Text) -> set[Mention]:
    names = text.nested or not _is_name(text.path)
    return mentions(text.value, text.before, code=_is_code(text), names=names)


def _ways(obj: JsonObject, text: Text) -> set[Mention]:
    fields = tuple(step for step in text.path if isinstance(step, str))
    leads = any(
        kind in ("", obj["kind"]) and fields[-len(names) :] == names for kind, names in _WAYS
    )
    host = place(text.value) if leads and not text.nested else None
    return {host} if host else set()


def _allows(entry: str, mention: Mention) -> bool:
    """Whether an entry of `allowHosts` fits: a host or ``*.suffix``, perhaps with a port."""
    host, _, port = entry.lower().partition(":")
    return fnmatchcase(mention.host, host) and port in {"", str(mention.port)}


def _is_account(text: Text) -> bool:
    return text.path[-1] == _ACCOUNT_FIELD and _ACCOUNT.fullmatch(text.value) is not None


def _is_code(text: Text) -> bool:
    in_file = text.path[0] == "data" and _CODE_FILE.fullmatch(str(text.path[-1]).lower())
    return bool(in_file or _CODE_ARGUMENT.search(text.before))


def _is_name(path: Path) -> bool:
    fields = [step for step in path if isinstance(step, str)]
    if fields[-1] in _NAME_FIELDS or not _LABEL_FIELDS.isdisjoint(fields[:-1]):
        return True
    if fields[-1] == "values" and "matchExpressions" in fields:
        return True
    return fields[-1] == "name" and len(fields) > 1 and fields[-2] in _NAMED


def is_documentation(obj: JsonObject, path: Path) -> bool:
    """Texts that only people and the API server's validation read."""
    if path == _APPROVAL:
        return True
    if obj["kind"] != "CustomResourceDefinition" or _SCHEMA not in path:
        return obj["kind"] == "CustomResourceDefinition" and path[:2] == ("spec", "names")
    within = path[path.index(_SCHEMA) + 1 :]
    if "x-kubernetes-validations" in within:
        return True
    return not _PROSE.isdisjoint(_keywords(within))


def _keywords(path: Path) -> Iterator[str | int]:
    """The schema's own words on `path`, neither the names of properties nor within a default."""
    steps = iter(path)
    for step in steps:
        if step in {"default", "enum"}:
            return
        yield step
        if step in {"properties", "patternProperties", "definitions"}:
            next(steps, None)
