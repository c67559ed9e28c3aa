"""What objects will be and do, read from them alone: for whoever reviews before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bundler.core.objects import imagesearch, jsonpointer
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.reference import MODEL_PREFIX, PLACEHOLDER_HOST
from bundler.core.rules import external_hosts
from bundler.core.rules.walk import CONTAINER_LISTS, Mapping, entries, lookup, pods

# A model as it is written, and everything as it travels.
_PLACED = re.compile(
    rf"(?<![\w.-]){re.escape(MODEL_PREFIX)}[a-z0-9-]+"
    rf"|{re.escape(PLACEHOLDER_HOST)}/[a-z0-9._/-]+@sha256:[0-9a-f]{{64}}"
)


@dataclass(frozen=True)
class StaticView:
    """One target in lines: its objects, images, rights, ports, and the names outside of it."""

    objects: tuple[str, ...]
    images: tuple[str, ...]
    rights: tuple[str, ...]
    ports: tuple[str, ...]
    external_names: tuple[str, ...]


def static_view(objects: Sequence[JsonObject]) -> StaticView:
    """The view of the objects of one target; nothing is judged, and no policy is asked."""
    return StaticView(
        tuple(str(ObjectId.of(obj)) for obj in objects),
        _lines(text for obj in objects for text in _images(obj)),
        _lines(line for obj in objects for line in _rights(obj)),
        _lines(line for obj in objects for line in _ports(obj)),
        _lines(str(host) for obj in objects for _, host in external_hosts.hosts(obj)),
    )


def _lines(lines: Iterator[str]) -> tuple[str, ...]:
    return tuple(sorted(set(lines)))


def _images(obj: JsonObject) -> Iterator[str]:
    """As they were written, in a spec's objects; by digest, in a bundle's."""
    yield from (text for _, text in imagesearch.named(obj))
    for _, text in jsonpointer.strings(obj):
        yield from _PLACED.findall(text)


def _rights(obj: JsonObject) -> Iterator[str]:
    """``Role a/b: get, list pods``, ``RoleBinding a/c: Role b to ServiceAccount a/d``."""
    identity = ObjectId.of(obj)
    for _, rule in entries(obj, "rules"):
        if "verbs" in rule:
            what = _joined(rule, "resources") or _joined(rule, "nonResourceURLs")
            groups = [f"{group}" for group in rule.get("apiGroups") or () if group]
            where = f" of {', '.join(groups)}" if groups else ""
            yield f"{identity}: {_joined(rule, 'verbs')} {what}{where}"
    if "roleRef" in obj:
        role = f"{lookup(obj, 'roleRef', 'kind')} {lookup(obj, 'roleRef', 'name')}"
        for _, subject in entries(obj, "subjects"):
            space = f"{subject['namespace']}/" if subject.get("namespace") else ""
            yield f"{identity}: {role} to {subject.get('kind')} {space}{subject.get('name')}"


def _joined(rule: Mapping, field: str) -> str:
    return ", ".join(map(str, rule.get(field) or ()))


def _ports(obj: JsonObject) -> Iterator[str]:
    """``Service a/b: 80/TCP``, ``Deployment a/b, container c: 8080/TCP``, host ports said so."""
    identity = ObjectId.of(obj)
    if identity.kind == "Service":
        for _, port in entries(obj.get("spec"), "ports"):
            kind = lookup(obj, "spec", "type") or "ClusterIP"
            yield f"{identity}: {port.get('port')}/{port.get('protocol', 'TCP')} ({kind})"
    for pod in pods(obj):
        for field in CONTAINER_LISTS:
            for _, container in entries(pod.spec, field):
                for _, port in entries(container, "ports"):
                    number = f"{port.get('containerPort')}/{port.get('protocol', 'TCP')}"
                    host = f", host port {port['hostPort']}" if port.get("hostPort") else ""
                    yield f"{identity}, container {container.get('name')}: {number}{host}"
