"""The record of a release on the cluster: a Secret, the same bytes for the same install.

It holds no time and no host of this machine, so that installing again changes nothing.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from bundler.cluster.client import Cluster
from bundler.core.errors import ClusterError, UsageError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.objects.parameters import Value
from bundler.core.objects.plan import Owned, id_from_json, id_to_json, identity
from bundler.core.strictjson import canonical
from bundler.core.version import Version

SECRET_TYPE = "airbundle.dev/release"
DEFAULT_NAMESPACE = "airbundle-system"
# How many earlier installs a record remembers, for `rollback`.
MOST_PAST = 10
# Bytes of a Secret's data: the API server's limit (k8s.io/api/core/v1, MaxSecretSize), and what of
# it the history may fill: what goes on is noted beside it.
MOST_BYTES = 1024 * 1024
_MOST_REMEMBERED = 768 * 1024

# A namespace is a label (RFC 1123), and a release's name has 40 characters at most: together
# less than the 128 that a field manager may have.
_MANAGER = "airbundle:"
_PREFIX = "airbundle."
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

_TEXTS = ("index", "version", "target", "registry")

Doing = Literal["install", "rollback", "going back", "uninstall"]


@dataclass(frozen=True)
class Past:
    """What was installed: enough to make the same objects again from the registry.

    `index` is the bundle's identity, the sha256 of its ``index.json``; `overlay` the site's own
    overlay over it with the policy that judged it, where there was one: all of it, as JSON.
    """

    index: str
    version: str
    target: str
    registry: str
    parameters: Mapping[str, Value]
    signers: tuple[str, ...]
    overlay: str | None = None


@dataclass(frozen=True)
class Journal:
    """What goes on, or was cut off: written before the first object is touched.

    `index`, `version` and `target` are where it leads; `first` when nothing was installed before;
    `fresh` are the objects that the release before lacked, which go when it goes back.
    """

    doing: Doing
    index: str
    version: str
    target: str
    first: bool
    fresh: tuple[ObjectId, ...]


@dataclass(frozen=True)
class Record:
    """One release: what is installed, and the objects that are its own.

    While a `journal` stands in it, that is what was installed before, and the inventory names the
    objects of both; at a first install it is what is being installed. `history` are the earlier
    ones, the latest first.
    """

    name: str
    installed: Past
    inventory: tuple[Owned, ...]
    history: tuple[Past, ...] = ()
    journal: Journal | None = None

    @property
    def index(self) -> str:
        """The identity of the bundle that is installed."""
        return self.installed.index

    @property
    def version(self) -> str:
        """Its version."""
        return self.installed.version

    @property
    def settled(self) -> bool:
        """Whether something is installed: a first install that was cut off is nothing yet."""
        return self.journal is None or not self.journal.first

    def secret(self, namespace: str) -> JsonObject:
        """The Secret that holds this record."""
        texts = {key: str(getattr(self.installed, key)) for key in _TEXTS}
        documents: dict[str, object] = {
            "parameters": dict(self.installed.parameters),
            "inventory": [id_to_json(each.id) | {"made": each.made} for each in self.inventory],
            "signers": list(self.installed.signers),
            "overlay": self.installed.overlay,
            "history": [_past_to_json(each) for each in self.history],
            "journal": None if self.journal is None else _journal_to_json(self.journal),
        }
        data = {key: text.encode() for key, text in texts.items()}
        data |= {key: canonical(value) for key, value in documents.items()}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": secret_name(self.name), "namespace": namespace},
            "type": SECRET_TYPE,
            "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
        }

    @property
    def size(self) -> int:
        """How many bytes its Secret holds, by which the API server limits it."""
        return sum(len(base64.b64decode(each)) for each in self.secret("")["data"].values())

    def fitting(self, most: int) -> Record:
        """This record without the oldest of its history, as far as it has more than `most` bytes.

        It may have more without any.
        """
        record = self
        while record.history and record.size > most:
            record = replace(record, history=record.history[:-1])
        return record

    def with_inventory(self, inventory: tuple[Owned, ...]) -> Record:
        """This record with the objects that it owns."""
        return replace(self, inventory=inventory)

    def after(self, before: Record | None) -> Record:
        """This record with the history that `before` leaves: what was installed until now first.

        The oldest are left out of one that would be too large; site overlays may be.
        """
        if before is None or not before.settled:
            return self
        known = (before.installed, *before.history)
        past = [
            each
            for number, each in enumerate(known)
            if each != self.installed and each not in known[:number]
        ]
        return replace(self, history=tuple(past[:MOST_PAST])).fitting(_MOST_REMEMBERED)

    @classmethod
    def parse(cls, secret: JsonObject) -> Record:
        """The record in a Secret that `secret()` made; ClusterError for any other."""
        where = str(ObjectId.of(secret))
        try:
            data = {key: base64.b64decode(text) for key, text in secret["data"].items()}
            texts: dict[str, Any] = {key: data[key].decode() for key in _TEXTS}
            documents = {key: json.loads(data[key]) for key in data.keys() - _TEXTS}
            journal = documents["journal"]
            name = secret["metadata"]["name"].removeprefix(_PREFIX)
            return cls(
                name,
                _past(texts | documents),
                tuple(_owned(each) for each in documents["inventory"]),
                tuple(_past(each) for each in documents["history"]),
                None if journal is None else _journal(journal),
            )
        except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ClusterError(
                f"{where}: expected the record of a release, found something else ({error})",
                "it was changed by hand, or by another version of airbundle; to look at it: "
                f"kubectl -n {secret['metadata'].get('namespace')} get secret "
                f"{secret['metadata']['name']} -o yaml",
            ) from error


def secret_name(release: str) -> str:
    """What the record of `release` is called."""
    return f"{_PREFIX}{release}"


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


def is_made_by_releases(live: JsonObject) -> bool:
    """Whether releases of airbundle applied `live`, and nobody else."""
    found = managers(live)
    return bool(found) and all(each.startswith(_MANAGER) for each in found)


def check_owner(cluster: Cluster, object_id: ObjectId, live: JsonObject) -> None:
    """ClusterError when `object_id`, which is `live`, is in the record of another release.

    That record may be in any namespace: the field manager says in which.
    """
    for manager in managers(live):
        namespace, slash, name = manager.removeprefix(_MANAGER).partition("/")
        if manager == cluster.manager or not manager.startswith(_MANAGER) or not slash:
            continue
        try:
            record = record_id(name, namespace)
        except ValueError:  # whoever calls himself so is none of us
            continue
        secret = cluster.get(record)
        other = None if secret is None else Record.parse(secret)
        if other and identity(object_id) in {identity(each.id) for each in other.inventory}:
            raise ClusterError(
                f"{object_id}: belongs to the release {name} {other.version}, whose record is "
                f"in the namespace {namespace}",
                f"to upgrade that release, say --release-namespace {namespace}; one object has "
                "one owner: for another release, rename it",
            )


def read_records(cluster: Cluster, namespace: str, own: str | None = None) -> tuple[Record, ...]:
    """All records in `namespace`; none when there is no such namespace.

    ClusterError for one that can't be read; with `own` only when it is that release's: what
    another one has is still known by its field manager (`check_owner`).
    """
    records = []
    for name, secret in _secrets(cluster, namespace):
        try:
            records.append(Record.parse(secret))
        except ClusterError:
            if own in (None, name):
                raise
    return tuple(records)


def _secrets(cluster: Cluster, namespace: str) -> list[tuple[str, JsonObject]]:
    """The releases of `namespace` with their Secrets; others of that type are no records."""
    found = cluster.list(record_id("", namespace), f"type={SECRET_TYPE}")
    named = ((str(each["metadata"]["name"]), each) for each in found)
    return [(name.removeprefix(_PREFIX), each) for name, each in named if name.startswith(_PREFIX)]


def find_record(cluster: Cluster, name: str, namespace: str) -> Record:
    """The record of the release `name`; UsageError, with those that are there, when it has none.

    ClusterError when it can't be read; how others look doesn't matter.
    """
    secrets = dict(_secrets(cluster, namespace))
    if name not in secrets:
        known = ", ".join(secrets) or "none"
        raise UsageError(
            f"release {name}: is not installed; in the namespace {namespace} there is {known}",
            "--release-namespace NAME says where else to look",
        )
    return Record.parse(secrets[name])


def check_takeover(
    name: str, desired: tuple[ObjectId, ...], records: tuple[Record, ...]
) -> Record | None:
    """The record of the release `name` among `records`, or None at its first install.

    ClusterError when an object of `desired` belongs to another release.
    """
    wanted = {identity(each) for each in desired}
    for record in records:
        shared = [each.id for each in record.inventory if identity(each.id) in wanted]
        if record.name != name and shared:
            raise ClusterError(
                f"{shared[0]}: belongs to the release {record.name} {record.version}, "
                f"and {name} has it too",
                "one object has one owner: rename it, or leave it out of one of the bundles",
            )
    return next((record for record in records if record.name == name), None)


def check_version(record: Record | None, version: str) -> None:
    """ClusterError when what `record` says to be installed is newer than `version`."""
    if record is None or not record.settled:
        return
    if Version.parse(version) < _version(record):
        raise ClusterError(
            f"release {record.name}: version {record.version} is installed, and this bundle is "
            f"the older {version}",
            f"to go back to what was installed before: airbundle rollback {record.name} --key PUB",
        )


def _version(record: Record) -> Version:
    try:
        return Version.parse(record.version)
    except ValueError as error:
        raise ClusterError(f"release {record.name}: its record's version {error}") from error


def _past_to_json(past: Past) -> dict[str, object]:
    return {
        "index": past.index,
        "version": past.version,
        "target": past.target,
        "registry": past.registry,
        "parameters": dict(past.parameters),
        "signers": list(past.signers),
        "overlay": past.overlay,
    }


def _past(item: Mapping[str, Any]) -> Past:
    parameters, signers, overlay = item["parameters"], item["signers"], item["overlay"]
    if not isinstance(parameters, dict) or not isinstance(signers, list):
        raise ValueError("its parameters are no mapping, or its signers no list")
    texts = [item[key] for key in _TEXTS]
    if not all(isinstance(each, str) for each in (*texts, *signers, overlay or "")):
        raise ValueError("its index, version, target, registry or signers are no texts")
    index, version, target, registry = texts
    return Past(index, version, target, registry, parameters, tuple(signers), overlay)


def _journal_to_json(journal: Journal) -> dict[str, object]:
    return {
        "doing": journal.doing,
        "index": journal.index,
        "version": journal.version,
        "target": journal.target,
        "first": journal.first,
        "fresh": [id_to_json(each) for each in journal.fresh],
    }


def _journal(item: Mapping[str, Any]) -> Journal:
    texts = item["doing"], item["index"], item["version"], item["target"]
    if texts[0] not in get_args(Doing) or not all(isinstance(each, str) for each in texts):
        raise ValueError("its journal says nothing that is known")
    if not isinstance(item["first"], bool):
        raise ValueError("`first` of its journal is neither true nor false")
    return Journal(*texts, item["first"], tuple(id_from_json(each) for each in item["fresh"]))


def _owned(item: Mapping[str, Any]) -> Owned:
    if not isinstance(made := item["made"], bool):
        raise ValueError("`made` is neither true nor false")
    return Owned(id_from_json(item), made)
