"""What the API server is asked, each thing once; nothing is changed by any of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property

from bundler.cluster.client import Cluster, ForbiddenError
from bundler.cluster.preflight.needs import Needs
from bundler.cluster.release.record import read_records
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.objects.plan import (
    KEPT_KINDS,
    defined_kind,
    dropped,
    is_crd,
    is_namespace,
)
from bundler.core.preflight.nodes import Node, nodes_of, version_of
from bundler.core.preflight.storage import Claim, claims_of
from bundler.core.preflight.workloads import Workload, with_runtime_classes, workloads

Clock = Callable[[], datetime]


class UnseenError(ClusterError):
    """What this user may not see: a check that hangs on it is skipped, and says so."""


class Asked:
    """The cluster as one preflight sees it, and the release that it is for."""

    def __init__(self, cluster: Cluster, needs: Needs, clock: Clock) -> None:
        self.cluster = cluster
        self.needs = needs
        self.clock = clock
        self._listed: dict[tuple[str, str, str | None], list[JsonObject]] = {}
        self._got: dict[ObjectId, JsonObject | None] = {}
        self._may: dict[tuple[str, ...], bool] = {}

    def listed(self, api_version: str, kind: str, namespace: str | None = None) -> list[JsonObject]:
        """All objects of a kind; none where it isn't served. UnseenError."""
        key = (api_version, kind, namespace)
        if key not in self._listed:
            self._listed[key] = self._list(ObjectId(api_version, kind, namespace, "-"))
        return self._listed[key]

    def get(self, object_id: ObjectId) -> JsonObject | None:
        """An object of a kind that is served, or None. UnseenError."""
        if object_id not in self._got:
            try:
                self._got[object_id] = self.cluster.get(object_id)
            except ForbiddenError as error:
                raise _unseen("get", object_id) from error
        return self._got[object_id]

    def filled(self, secret: ObjectId) -> frozenset[str] | None:
        """The keys of a Secret that have a value, of which none is kept; None without it."""
        try:
            found = self.cluster.get(secret)
        except ForbiddenError as error:
            raise _unseen("get", secret) from error
        if found is None:
            return None
        return frozenset(key for key, value in (found.get("data") or {}).items() if value)

    def may(self, verb: str, object_id: ObjectId, resource: str, *, named: bool = False) -> bool:
        """Whether this user may `verb` the `resource` (``pods/log``) where `object_id` is.

        Asked for any object there, or with `named` for this very one.
        """
        plural, _, part = resource.partition("/")
        attributes = {
            "verb": verb,
            "group": object_id.group,
            "resource": plural,
            "subresource": part,
            "namespace": object_id.namespace or "",
            "name": object_id.name if named else "",
        }
        key = tuple(attributes.values())
        if key not in self._may:
            said = {name: text for name, text in attributes.items() if text}
            answer = self.cluster.create(_review(said)).get("status")
            self._may[key] = isinstance(answer, dict) and answer.get("allowed") is True
        return self._may[key]

    def brings(self, kind: str, name: str) -> JsonObject | None:
        """The object of `kind` called `name` that comes with the release, or None."""
        for obj in self.needs.objects:
            if obj["kind"] == kind and obj["metadata"]["name"] == name:
                return obj
        return None

    @cached_property
    def removed(self) -> tuple[ObjectId, ...]:
        """What the release has by now and will have no more; nothing where no record is readable.

        That it can't be read is told by others: `rights`, or the plan.
        """
        try:
            records = read_records(self.cluster, self.needs.namespace, self.needs.name)
        except ClusterError:
            return ()
        mine = next((each for each in records if each.name == self.needs.name), None)
        desired = [ObjectId.of(obj) for obj in self.needs.objects]
        gone = dropped(mine.inventory, desired) if mine else ()
        return tuple(each.id for each in gone if each.made and each.id.kind not in KEPT_KINDS)

    @cached_property
    def version(self) -> str:
        """What the server calls itself: ``v1.36.3``."""
        return str(self.cluster.read("/version").get("gitVersion", ""))

    @property
    def minor(self) -> tuple[int, int]:
        """Its version's first two numbers."""
        return version_of(self.version)

    @cached_property
    def user(self) -> str:
        """As whom we are here, in words."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        kind = ObjectId(review["apiVersion"], review["kind"], None, "-")
        if self.cluster.resource(kind) is None:
            return "this user"
        status = self.cluster.create(review | {"metadata": {}}).get("status")
        info = status.get("userInfo") if isinstance(status, dict) else None
        return (
            f"the user {info['username']}"
            if isinstance(info, dict) and info.get("username")
            else "this user"
        )

    @cached_property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """The versions that the server serves of each API group."""
        found = self.cluster.read("/apis").get("groups")
        groups = (
            [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
        )
        return {
            str(each.get("name")): tuple(
                str(version.get("version")) for version in each.get("versions") or []
            )
            for each in groups
        }

    @cached_property
    def brought_kinds(self) -> dict[tuple[str, str], JsonObject]:
        """The CustomResourceDefinitions that come along, by the (group, kind) that they define."""
        return {defined_kind(obj): obj for obj in self.needs.objects if is_crd(ObjectId.of(obj))}

    @cached_property
    def brought_namespaces(self) -> dict[str, JsonObject]:
        """The namespaces that come along, by name."""
        return {
            obj["metadata"]["name"]: obj
            for obj in self.needs.objects
            if is_namespace(ObjectId.of(obj))
        }

    def namespace(self, name: str) -> JsonObject | None:
        """The namespace as it is, or None."""
        return self.get(ObjectId("v1", "Namespace", None, name))

    @cached_property
    def workloads(self) -> tuple[Workload, ...]:
        """The pods of the release, with what their RuntimeClasses add."""
        classes = {
            each["metadata"]["name"]: each
            for each in (
                *self.seen("node.k8s.io/v1", "RuntimeClass"),
                *(obj for obj in self.needs.objects if obj["kind"] == "RuntimeClass"),
            )
        }
        return with_runtime_classes(workloads(self.needs.objects), classes)

    def seen(self, api_version: str, kind: str) -> list[JsonObject]:
        """As `listed`, and nothing of what may not be seen."""
        try:
            return self.listed(api_version, kind)
        except UnseenError:
            return []

    @cached_property
    def claims(self) -> tuple[Claim, ...]:
        """The volumes that the release claims and that aren't there yet. UnseenError."""
        found = claims_of(self.needs.objects, self.workloads)
        return tuple(each for each in found if self.get(each.id) is None)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, less what pods there have that don't make way for this release's."""
        own = self.workloads
        return nodes_of(
            self.listed("v1", "Node"),
            self.listed("v1", "Pod"),
            lambda pod: any(each.owns(pod) for each in own),
        )

    @cached_property
    def grows(self) -> str | None:
        """What makes new nodes when pods need them, in words; None when nothing is known to."""
        if "karpenter.sh" in self.groups:
            return "Karpenter"
        status = ObjectId("v1", "ConfigMap", "kube-system", "cluster-autoscaler-status")
        try:
            return "the cluster autoscaler" if self.get(status) is not None else None
        except UnseenError:
            return None

    def _list(self, kind: ObjectId) -> list[JsonObject]:
        if self.cluster.resource(kind) is None:
            return []
        try:
            return self.cluster.list(kind)
        except ForbiddenError as error:
            raise _unseen("list", kind) from error


def _review(attributes: Mapping[str, str]) -> JsonObject:
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "metadata": {},
        "spec": {"resourceAttributes": dict(attributes)},
    }


def _unseen(verb: str, kind: ObjectId) -> UnseenError:
    place = f" in {kind.namespace}" if kind.namespace else ""
    return UnseenError(
        f"this user may not {verb} {kind.kind} objects{place}",
        "let somebody who may run `airbundle doctor` on this bundle, or go on without",
    )
