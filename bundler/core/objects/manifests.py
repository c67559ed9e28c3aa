"""Kubernetes objects as plain data: their identity, their bytes, and the order of applying."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from bundler.core import yamltext
from bundler.core.errors import DocumentError, IntegrityError, PolicyError
from bundler.core.strictjson import canonical

JsonObject = dict[str, Any]

# Each kind after what the API server, or a controller, needs before it; what enforces policy
# stands before the pods that it is for, and webhooks last, since they could refuse the rest.
_ORDER = (
    ("Namespace",),
    ("CustomResourceDefinition",),
    ("PriorityClass", "RuntimeClass", "ResourceQuota", "LimitRange"),
    ("StorageClass", "VolumeSnapshotClass", "CSIDriver"),
    ("ServiceAccount",),
    ("ClusterRole", "Role"),
    ("ClusterRoleBinding", "RoleBinding"),
    ("NetworkPolicy",),
    ("ConfigMap", "Secret"),
    ("PersistentVolume",),
    ("PersistentVolumeClaim",),
    ("Service",),
    ("PodDisruptionBudget",),
    ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Pod", "Job", "CronJob"),
)
_AFTER_WORKLOADS = (
    ("HorizontalPodAutoscaler", "ScaledObject", "ScaledJob"),
    ("IngressClass", "Ingress"),
    ("APIService",),
    ("ValidatingAdmissionPolicy", "MutatingAdmissionPolicy"),
    ("ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicyBinding"),
    ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"),
)
# What may stand in a path of the API (apimachinery, pkg/api/validation/path): names are at least
# that strict, and `..` would be taken for the folder above, which is the namespace.
_NAME = re.compile(r"(?!\.{1,2}$)[^/%\x00-\x20\x7f?#\\]{1,253}")
_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_NAMESPACE = re.compile(_LABEL)
_API_VERSION = re.compile(rf"([a-z0-9]([-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_LABEL}")
_KIND = re.compile(r"[A-Za-z]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?")

# Kinds that no list has (custom resources, mostly) go between: their CRDs are there by then, and
# so are the controllers that a bundle may bring as Deployments.
_OTHERS = len(_ORDER)
_WORKLOADS = _OTHERS - 1
# What a Job that fills volumes is labelled with.
STAGE_LABEL = "airbundle.dev/stage"
STAGE_LOAD = "load"

_RANK = {kind: rank for rank, kinds in enumerate(_ORDER) for kind in kinds} | {
    kind: rank for rank, kinds in enumerate(_AFTER_WORKLOADS, _OTHERS + 1) for kind in kinds
}


@dataclass(frozen=True)
class ObjectId:
    """What an object is called: ``apps/v1``, ``Deployment``, namespace or None, name.

    ValueError for what could mean something else in a path of the API, ``..`` for instance.
    """

    api_version: str
    kind: str
    namespace: str | None
    name: str

    def __post_init__(self) -> None:
        for text, form in (
            (self.api_version, _API_VERSION),
            (self.kind, _KIND),
            (self.namespace, _NAMESPACE),
            (self.name, _NAME),
        ):
            if text is not None and not form.fullmatch(str(text)):
                raise ValueError(f"{text!r:.80} can't be part of an object's id")

    @classmethod
    def of(cls, obj: JsonObject) -> ObjectId:
        """The id of an object that `parse_manifests` or `load` gave."""
        metadata = obj["metadata"]
        return cls(obj["apiVersion"], obj["kind"], metadata.get("namespace"), metadata["name"])

    @property
    def group(self) -> str:
        """The API group: ``apps`` for ``apps/v1``, empty for ``v1``."""
        return self.api_version.rpartition("/")[0]

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {place}"


def parse_manifests(text: str, where: str) -> tuple[JsonObject, ...]:
    """The objects in the YAML documents of `text`, lists flattened, in their order.

    DocumentError for what is no named Kubernetes object, has a generated name, or reads
    differently elsewhere; `where` names the text. PolicyError when two objects have the same id.
    """
    objects: list[JsonObject] = []
    for node in yamltext.load_all(text, where, ambiguous="refuse"):
        if node.value is not None:
            objects += _flatten(node.value, node.where)
    require_unique(objects, where)
    return tuple(objects)


def require_unique(objects: Sequence[JsonObject], where: str) -> None:
    """PolicyError, naming both, when two objects are one in the cluster.

    Two versions of one API group name the same object.
    """
    seen: dict[tuple[str, str, str | None, str], int] = {}
    for number, obj in enumerate(objects, 1):
        this = ObjectId.of(obj)
        first = seen.setdefault((this.group, this.kind, this.namespace, this.name), number)
        if first != number:
            raise PolicyError(
                f"{where}: object {first} ({ObjectId.of(objects[first - 1])}, "
                f"{ObjectId.of(objects[first - 1]).api_version}) and object {number} "
                f"({this}, {this.api_version}) have the same id",
                hint="keep one of them, or change it with a patch",
            )


def dump(objects: Iterable[JsonObject]) -> bytes:
    """A JSON array in canonical spelling, one object a line; `load` is its inverse."""
    return b"[\n" + b",\n".join(canonical(obj) for obj in objects) + b"\n]\n"


def load(data: bytes, where: str = "manifests") -> tuple[JsonObject, ...]:
    """The objects that `dump` wrote; IntegrityError for any other bytes.

    PolicyError as `require_unique`.
    """
    try:
        objects = json.loads(data, parse_constant=_refuse_constant)
        if isinstance(objects, list):
            flat = tuple(each for obj in objects for each in _flatten(obj, where))
            if dump(flat) == data:
                require_unique(flat, where)
                return flat
    except (ValueError, RecursionError, DocumentError) as error:
        raise IntegrityError(f"{where}: are no manifests: {error}") from error
    raise IntegrityError(f"{where}: expected the canonical form, one object a line")


def apply_order(objects: Iterable[JsonObject]) -> tuple[JsonObject, ...]:
    """`objects` so that each comes after what it needs; the rest stays as it was (stable)."""
    return tuple(sorted(objects, key=_rank))


def loads(obj: JsonObject) -> bool:
    """Whether `obj` brings what others start with: those are applied when it is complete."""
    labels = obj["metadata"].get("labels")
    return isinstance(labels, dict) and labels.get(STAGE_LABEL) == STAGE_LOAD


def before_workloads(obj: JsonObject) -> bool:
    """Whether `obj` comes before all that may start with what it brings."""
    return loads(obj) or _rank(obj)[0] < _WORKLOADS


def after_workloads(object_id: ObjectId) -> bool:
    """Whether objects of its kind come after workloads: custom resources, say, which a controller
    among these may have to let go of before they can be deleted.
    """
    return _RANK.get(object_id.kind, _OTHERS) > _WORKLOADS


def _rank(obj: JsonObject) -> tuple[int, bool]:
    return _RANK.get(obj["kind"], _OTHERS), not loads(obj)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number in JSON")


def _flatten(value: object, where: str) -> Iterator[JsonObject]:
    obj = _object(value, where)
    items = obj.get("items")
    if obj["kind"].endswith("List") and isinstance(items, list):
        for index, item in enumerate(items):
            yield from _flatten(item, f"{where}: items/{index}")
        return
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        raise DocumentError(where, "metadata", "expected a mapping with a name")
    if "generateName" in metadata:
        raise DocumentError(
            where,
            "metadata.generateName",
            "a generated name can't be planned, audited or removed again",
            hint="write metadata.name",
        )
    _text(metadata, "name", where, "metadata.name", _NAME)
    if metadata.get("namespace") is not None:
        _text(metadata, "namespace", where, "metadata.namespace", _NAMESPACE)
    yield obj


def _object(value: object, where: str) -> JsonObject:
    if not isinstance(value, dict):
        raise DocumentError(where, "", f"expected a Kubernetes object, found {value!r:.80}")
    _text(value, "apiVersion", where, "apiVersion", _API_VERSION)
    _text(value, "kind", where, "kind", _KIND)
    return value


def _text(mapping: JsonObject, key: str, where: str, field: str, form: re.Pattern[str]) -> None:
    text = mapping.get(key)
    if not isinstance(text, str) or not form.fullmatch(text):
        found = repr(text)[:80] if key in mapping else "nothing"
        raise DocumentError(where, field, f"expected what the API server takes, found {found}")
