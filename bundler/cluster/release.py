"""The record of a release on the cluster: a Secret, the same bytes for the same install.

It holds no time and no host of this machine, so that installing again changes nothing.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bundler.cluster.client import Cluster
from bundler.core.errors import ClusterError, UsageError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.objects.plan import Owned, id_to_json, identity
from bundler.core.strictjson import canonical
from bundler.core.version import Version

SECRET_TYPE = "airbundle.dev/release"
DEFAULT_NAMESPACE = "airbundle-system"
APPLIED = "applied"

# A namespace is a label (RFC 1123), and a release's name has 40 characters at most: together
# less than the 128 that a field manager may have.
_MANAGER = "airbundle:"
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

_TEXTS = ("index", "version", "target", "registry", "journal")
_DOCUMENTS = ("parameters", "inventory", "signers")


@dataclass(frozen=True)
class Record:
    """One release: which bundle, for which target, with what, and the objects that are its own.

    `journal` is ``applied``, or ``applying sha256:…`` from before the first object of that
    index is applied until the last is; the inventory then names the objects of both releases.
    """

    name: str
    index: str
    version: str
    target: str
    registry: str
    parameters: Mapping[str, str | int | bool]
    inventory: tuple[Owned, ...]
    signers: tuple[str, ...]
    journal: str = APPLIED

    def secret(self, namespace: str) -> JsonObject:
        """The Secret that holds this record."""
        texts = {key: str(getattr(self, key)).encode() for key in _TEXTS}
        documents: dict[str, object] = {
            "parameters": dict(self.parameters),
            "inventory": [id_to_json(each.id) | {"made": each.made} for each in self.inventory],
            "signers": list(self.signers),
        }
        data = texts | {key: canonical(value) for key, value in documents.items()}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": secret_name(self.name), "namespace": namespace},
            "type": SECRET_TYPE,
            "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
        }

    def with_inventory(self, inventory: tuple[Owned, ...]) -> Record:
        """This record with the objects that it owns."""
        return replace(self, inventory=inventory)

    @classmethod
    def parse(cls, secret: JsonObject) -> Record:
        """The record in a Secret that `secret()` made; ClusterError for any other."""
        where = str(ObjectId.of(secret))
        try:
            data = {key: base64.b64decode(text) for key, text in secret["data"].items()}
            texts = {key: data[key].decode() for key in _TEXTS}
            parameters, objects, signers = (json.loads(data[key]) for key in _DOCUMENTS)
            owned = tuple(_owned(each) for each in objects)
            if not isinstance(parameters, dict) or not all(isinstance(s, str) for s in signers):
                raise ValueError("its parameters are no mapping, or its signers no names")
        except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ClusterError(
                f"{where}: expected the record of a release, found something else ({error})",
                "it was changed by hand, or by a newer airbundle",
            ) from error
        name = secret["metadata"]["name"].removeprefix("airbundle.")
        return cls(
            name=name, parameters=parameters, inventory=owned, signers=tuple(signers), **texts
        )


def secret_name(release: str) -> str:
    """What the record of `release` is called."""
    return f"airbundle.{release}"


def record_id(release: str, namespace: str) -> ObjectId:
    """The id of the record of `release`."""
    return ObjectId("v1", "Secret", namespace, secret_name(release))


def field_manager(release: str, namespace: str) -> str:
    """Whose the fields of `release` are: ``airbundle:<namespace of its record>/<name>``.

    Two releases are two managers, so that the API server refuses one the fields of the other.
    UsageError for what can't be a namespace.
    """
    if not _NAMESPACE.fullmatch(namespace):
        raise UsageError(
            f"--release-namespace {namespace[:200]!r}: expected a namespace: lower-case letters, "
            "digits and inner dashes, 63 at most"
        )
    return f"{_MANAGER}{namespace}/{release}"


def managers(live: JsonObject) -> tuple[str, ...]:
    """The field managers that applied `live`, ours and others."""
    fields = live["metadata"].get("managedFields") or []
    return tuple(str(each.get("manager")) for each in fields if each.get("operation") == "Apply")


def check_owner(cluster: Cluster, object_id: ObjectId, live: JsonObject) -> None:
    """ClusterError when `object_id`, which is `live`, is in the record of another release.

    That record may be in any namespace: the field manager says in which.
    """
    for manager in managers(live):
        namespace, slash, name = manager.removeprefix(_MANAGER).partition("/")
        if manager == cluster.manager or not manager.startswith(_MANAGER) or not slash:
            continue
        secret = cluster.get(record_id(name, namespace))
        record = None if secret is None else Record.parse(secret)
        if record and identity(object_id) in {identity(each.id) for each in record.inventory}:
            raise ClusterError(
                f"{object_id}: belongs to the release {name} {record.version}, whose record is "
                f"in the namespace {namespace}",
                f"to upgrade that release, say --release-namespace {namespace}; one object has "
                "one owner: for another release, rename it",
            )


def read_records(cluster: Cluster, namespace: str) -> tuple[Record, ...]:
    """All records in `namespace`; none when there is no such namespace."""
    anything = record_id("", namespace)
    return tuple(Record.parse(secret) for secret in cluster.list(anything, f"type={SECRET_TYPE}"))


def check_takeover(
    name: str, version: Version, desired: tuple[ObjectId, ...], records: tuple[Record, ...]
) -> Record | None:
    """The record of the release `name` among `records`, or None at its first install.

    ClusterError when it is of a newer version than `version`, or when an object of `desired`
    belongs to another release.
    """
    wanted = {identity(each) for each in desired}
    for record in records:
        shared = [each.id for each in record.inventory if identity(each.id) in wanted]
        if record.name != name and shared:
            raise ClusterError(
                f"{shared[0]}: belongs to the release {record.name} {record.version}, "
                f"and {name} {version} has it too",
                "one object has one owner: rename it, or leave it out of one of the bundles",
            )
    mine = next((record for record in records if record.name == name), None)
    if mine is not None and version < _version(mine):
        raise ClusterError(
            f"release {name}: version {mine.version} is installed, and this bundle is the older "
            f"{version}",
            f"to go back, build the earlier content as a version above {mine.version}, and "
            "install that",
        )
    return mine


def _version(record: Record) -> Version:
    try:
        return Version.parse(record.version)
    except ValueError as error:
        raise ClusterError(f"release {record.name}: its record's version {error}") from error


def _owned(item: Mapping[str, Any]) -> Owned:
    made = item["made"]
    namespace = item["namespace"]
    if not isinstance(made, bool):
        raise ValueError("`made` is neither true nor false")
    found = ObjectId(item["apiVersion"], item["kind"], namespace, item["name"])
    if not all(isinstance(each, str) for each in (found.api_version, found.kind, found.name)):
        raise ValueError("an object of the inventory has no apiVersion, kind or name")
    if not isinstance(namespace, str | None):
        raise ValueError("a namespace of the inventory is no name")
    return Owned(found, made)
