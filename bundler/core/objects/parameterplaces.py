"""Where no parameter may reach: what the audit was about, word by word.

That is which code runs, with which rights, on which files, and whom it talks to. The words are
compared with each unescaped step of a JSON pointer, at any depth and in any kind.
"""

from __future__ import annotations

import re

from bundler.core.objects.manifests import JsonObject, ObjectId

# `runtimeClassName` stays allowed: which of its runtimes gives GPUs to a pod only the site knows,
# and a RuntimeClass is an object of the cluster's administrators.
_CODE = frozenset({"command", "args", "envFrom", "script", "source", "workingDir"})
_IMAGE = re.compile(r"(?i:.*images?)")
_CODE_FILE = re.compile(
    r".*\.(?:bash|c|cc|cpp|go|h|java|jl|js|kt|lua|mjs|pl|py|r|rb|rego|rs|scala|sh|ts|zsh)"
)
_RIGHTS = frozenset(
    {
        "securityContext",
        "serviceAccountName",
        "serviceAccount",  # its deprecated alias in pod specs
        "automountServiceAccountToken",
        "kubernetes.io/service-account.name",  # whose token a Secret gets
        "roleRef",
        "subjects",
        "webhook",
        "webhooks",
        "clientConfig",  # where a webhook is, in CRDs and admission configurations
    }
)
_VOLUMES = frozenset(
    {
        "volumes",
        "volumeMounts",
        "volumeDevices",
        "volumeName",
        "dataSource",
        "dataSourceRef",
        "storageUri",
        "storageUris",
    }
)
_NETWORK = frozenset({"dnsConfig", "externalIPs", "externalName", "hostAliases"})
_WHOLE_GROUPS = frozenset(
    {
        "rbac.authorization.k8s.io",
        "authorization.openshift.io",
        "admissionregistration.k8s.io",
        "apiregistration.k8s.io",
    }
)
_WHOLE_SPECS = re.compile(r".*NetworkPolicy|Endpoints|EndpointSlice")
# In these the word says where requests come in, which only the site knows, or is anybody's key.
_HOST_KINDS = frozenset(
    {"Ingress", "Gateway", "HTTPRoute", "GRPCRoute", "TLSRoute", "ConfigMap", "Secret"}
)
_VOLUME_FIELDS = frozenset(
    {"accessModes", "capacity", "persistentVolumeReclaimPolicy", "storageClassName", "volumeMode"}
)
_CLASSES = frozenset({"StorageClass", "VolumeAttributesClass"})
_CLASS_FIELDS = frozenset({"driverName", "mountOptions", "parameters", "provisioner"})


def forbidden(steps: tuple[str, ...], obj: JsonObject) -> str | None:
    """What the value at `steps` of `obj` is, when no parameter may change it; None when one may."""
    return (
        _identity(steps)
        or _code(steps, obj["kind"])
        or _right(steps)
        or _volume(steps)
        or _network(steps, obj["kind"])
        or _object(steps, obj)
    )


def _identity(steps: tuple[str, ...]) -> str | None:
    if steps[0] in ("kind", "apiVersion") or steps in (
        ("metadata",),
        ("metadata", "name"),
        ("metadata", "namespace"),
    ):
        return "the identity of the object"
    if any(step.startswith("pod-security.kubernetes.io/") for step in steps):
        return "the Pod Security of a namespace"
    return None


def _code(steps: tuple[str, ...], kind: str) -> str | None:
    if set(steps) & _CODE or any(_IMAGE.fullmatch(step) for step in steps):
        return "what a container runs"
    if kind in ("ConfigMap", "Secret") and _CODE_FILE.fullmatch(steps[-1].lower()):
        return "a program"
    if "env" in steps:
        # Of a variable only the value itself: not its name, nor whose value it takes.
        after = steps[steps.index("env") + 2 :]
        if after and after != ("value",):
            return "a variable's name or origin"
    return None


def _right(steps: tuple[str, ...]) -> str | None:
    return "a right, or who has it" if set(steps) & _RIGHTS else None


def _volume(steps: tuple[str, ...]) -> str | None:
    # The class of a volume that lives and dies with its pod: a claim's may be set, too.
    if "ephemeral" in steps and steps[-1] == "storageClassName":
        return None
    # As a mapping, `storage` is KServe's word for a place of models; as a number, a size.
    is_source = set(steps) & _VOLUMES or "storage" in steps[:-1]
    return "the source of a volume" if is_source else None


def _network(steps: tuple[str, ...], kind: str) -> str | None:
    if set(steps) & _NETWORK:
        return "a way out of the cluster"
    if kind not in _HOST_KINDS and any(step.startswith("host") for step in steps):
        return "a way to the host"
    return None


def _object(steps: tuple[str, ...], obj: JsonObject) -> str | None:
    kind = obj["kind"]
    if ObjectId.of(obj).group in _WHOLE_GROUPS:
        return f"part of a {kind}"
    if steps[0] != "metadata" and _WHOLE_SPECS.fullmatch(kind):
        return f"part of a {kind}"
    if kind == "Secret" and steps == ("type",):
        return "the type of a Secret"
    fields = set(steps[1:2])
    if kind == "PersistentVolume" and steps[0] == "spec" and not fields & _VOLUME_FIELDS:
        return "the source of a volume"
    if kind in _CLASSES and steps[0] in _CLASS_FIELDS:
        return "the source of volumes"
    return None
