"""What runs a loader: its container, its Job, what a site gives to it, where it may connect.

All of it passes Pod Security's ``restricted``. A loader needs no account of the cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bundler.core.documents.secretrefs import SecretRef
from bundler.core.documents.weights import Egress, ObjectStore
from bundler.core.modelplace import SCHEME, ModelPlace
from bundler.core.objects.manifests import STAGE_LABEL, STAGE_LOAD, JsonObject, ObjectId
from bundler.core.rules.walk import entries, lookup, pods

COMMAND = ["python3", "/airbundle.pyz", "load"]
# What a NetworkPolicy chooses loaders by, Jobs and pods with an init container alike.
LABEL = "airbundle.dev/loads-weights"
WEIGHTS = "/weights"
# What a bucket's Secret holds, and whoever fills the bucket has in the environment.
BUCKET_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")

_ENDPOINT, _REGION = "AWS_ENDPOINT_URL", "AWS_REGION"
_USER = 65532
_ETC = "/etc/airbundle"
_TMP = "airbundle-tmp"
_CA = "airbundle-ca"
_LOGIN = "airbundle-login"
_BUCKET = "airbundle-bucket"
# Exit codes of what no second attempt mends: usage and room, bytes, trust.
_FINAL_CODES = [2, 3, 4]
_ATTEMPTS = 6
# The scheduler of a Job has to choose a node on which the pods that read can run, too: many
# volumes are where they were first mounted.
_PLACED_BY = ("nodeSelector", "tolerations", "serviceAccountName", "imagePullSecrets")


@dataclass(frozen=True)
class Access:
    """What a site gives to loaders, by name; absent is as good as empty.

    `ca` is a ConfigMap with ``ca.crt``, `login` a Secret of the type dockerconfigjson, `bucket` a
    Secret with a bucket's keys. `environment` is more for the container, `trusting` the variable
    that names the CA's file: in place of all others, unless it is one of our own.
    """

    ca: str | None = None
    login: str | None = None
    bucket: str | None = None
    environment: tuple[tuple[str, str], ...] = ()
    trusting: str = "SSL_CERT_FILE"


def bucket_access(store: ObjectStore, access: Access) -> Access:
    """The same CA, and what reads `store`."""
    environment = (
        (_ENDPOINT, store.endpoint),
        (_REGION, store.region),
        ("AIRBUNDLE_BUCKET_KEYS", f"{_ETC}/bucket"),
    )
    # The CA is that of the registry; a bucket may be a cloud's.
    return Access(access.ca, None, store.secret_name, environment, trusting="AIRBUNDLE_CA")


def container(
    name: str, image: str, arguments: Sequence[str], volume: str, access: Access
) -> JsonObject:
    """A container that runs ``airbundle load ARGUMENTS`` and writes to `volume`."""
    environment = [("HOME", "/tmp"), ("PYTHONDONTWRITEBYTECODE", "1"), *access.environment]
    if access.ca is not None:
        environment.append((access.trusting, f"{_ETC}/ca/ca.crt"))
    if access.login is not None:
        environment.append(("DOCKER_CONFIG", f"{_ETC}/login"))
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": [*COMMAND],
        "args": [*arguments],
        "env": [{"name": key, "value": value} for key, value in environment],
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "64Mi"},
            "limits": {"cpu": "2", "memory": "512Mi", "ephemeral-storage": "512Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            {"name": volume, "mountPath": WEIGHTS},
            {"name": _TMP, "mountPath": "/tmp"},
            *({"name": name, "mountPath": f"{_ETC}/{path}", "readOnly": True}
              for name, path, _ in _given(access)),
        ],
    }  # fmt: skip


def volumes(access: Access) -> list[JsonObject]:
    """What a pod has beside the volume that is filled."""
    return [
        {"name": _TMP, "emptyDir": {"sizeLimit": "256Mi"}},
        *({"name": name, **source} for name, _, source in _given(access)),
    ]


def job(
    reader: JsonObject, image: str, arguments: Sequence[str], claim: str, access: Access
) -> JsonObject:
    """The spec of a Job that fills `claim`, on nodes where the pod `reader` can run."""
    placed = {key: reader[key] for key in _PLACED_BY if reader.get(key)}
    if affinity := lookup(reader, "affinity", "nodeAffinity"):
        placed["affinity"] = {"nodeAffinity": affinity}
    if access.login is not None:
        own = placed.get("imagePullSecrets", [])
        login = {"name": access.login}
        placed["imagePullSecrets"] = [*own, *([] if login in own else [login])]
    spec = {
        **placed,
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            # A volume of terabytes is not walked through each time that it is mounted.
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container("load", image, arguments, "weights", access)],
        "volumes": [
            {"name": "weights", "persistentVolumeClaim": {"claimName": claim}},
            *volumes(access),
        ],
    }
    final = {"containerName": "load", "operator": "In", "values": _FINAL_CODES}
    return {
        "backoffLimit": _ATTEMPTS,
        "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": final}]},
        "template": {
            "metadata": {"labels": {STAGE_LABEL: STAGE_LOAD, LABEL: "true"}},
            "spec": spec,
        },
    }


@dataclass(frozen=True)
class Fetched:
    """A model that pods fetch from a bucket, and the server that has it."""

    endpoint: str
    region: str
    place: ModelPlace


def fetched(objects: Sequence[JsonObject]) -> tuple[Fetched, ...]:
    """What the init containers of `objects` fetch, each once, as they will be told to.

    UsageError for an address that a parameter has spoilt.
    """
    found: dict[Fetched, None] = {}
    for _, _, each in _fetching(objects):
        told = {item["name"]: str(item.get("value")) for _, item in entries(each, "env")}
        place = ModelPlace.parse(each["args"][0])
        found[Fetched(told[_ENDPOINT], told[_REGION], place)] = None
    return tuple(found)


def wanted_secrets(
    declared: Sequence[SecretRef], objects: Sequence[JsonObject]
) -> tuple[SecretRef, ...]:
    """The `declared` Secrets, and the buckets' logins that pods of `objects` mount besides."""
    found = {(each.namespace, each.name): each for each in declared}
    for obj, pod, _ in _fetching(objects):
        namespace = ObjectId.of(obj).namespace or "default"
        for _, volume in entries(pod, "volumes"):
            name = lookup(volume, "secret", "secretName")
            if volume.get("name") == _BUCKET and (namespace, name) not in found:
                found[namespace, name] = SecretRef(
                    name=name,
                    namespace=namespace,
                    keys=BUCKET_KEYS,
                    description="what reads the bucket with the weights",
                )
    return tuple(found.values())


def _fetching(
    objects: Sequence[JsonObject],
) -> Iterator[tuple[JsonObject, JsonObject, JsonObject]]:
    """Each object with a pod that fetches from a bucket, the pod's spec, and the container."""
    for obj in objects:
        for pod in pods(obj):
            for _, each in entries(pod.spec, "initContainers"):
                arguments = each.get("args") or [""]
                if each.get("command") == COMMAND and str(arguments[0]).startswith(SCHEME):
                    yield obj, pod.spec, each


def claim_of(spec: JsonObject) -> str:
    """The claim that a Job of `job` fills."""
    found = entries(lookup(spec, "template", "spec"), "volumes")
    claims = (lookup(volume, "persistentVolumeClaim", "claimName") for _, volume in found)
    return next((str(claim) for claim in claims if claim), "")


def network_policy(egress: Sequence[Egress]) -> JsonObject:
    """The spec of a NetworkPolicy that lets loaders out to `egress` and to the cluster's DNS."""
    dns = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    return {
        "podSelector": {"matchLabels": {LABEL: "true"}},
        "policyTypes": ["Egress"],
        "egress": [
            *(
                {
                    "to": [{"ipBlock": {"cidr": each.cidr}}],
                    "ports": [{"protocol": "TCP", "port": each.port}],
                }
                for each in egress
            ),
            {"to": [{"namespaceSelector": {}}], "ports": dns},
        ],
    }


def mebibytes(size: int) -> str:
    """`size` in bytes as a quantity, rounded up."""
    return f"{-(-size // 1024**2)}Mi"


def _given(access: Access) -> list[tuple[str, str, dict[str, Any]]]:
    """Volume, folder below /etc/airbundle and source of what a site gives.

    A site without a private CA or a login has no such objects, and loaders run nevertheless.
    """
    found: list[tuple[str, str, dict[str, Any]]] = []
    if access.ca is not None:
        found.append((_CA, "ca", {"configMap": {"name": access.ca, "optional": True}}))
    if access.login is not None:
        items = [{"key": ".dockerconfigjson", "path": "config.json"}]
        secret = {"secretName": access.login, "items": items, "optional": True}
        found.append((_LOGIN, "login", {"secret": secret}))
    if access.bucket is not None:
        found.append((_BUCKET, "bucket", {"secret": {"secretName": access.bucket}}))
    return found
