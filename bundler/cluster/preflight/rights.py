"""Rights: everything that this very install does, asked by SelfSubjectAccessReview.

https://kubernetes.io/docs/reference/access-authn-authz/authorization/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bundler.cluster.preflight.asked import Asked, UnseenError
from bundler.cluster.release.lease import lease_id
from bundler.cluster.release.record import record_id
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.objects.plan import KEPT_KINDS
from bundler.core.preflight.checked import Checked, Outcome, or_fine
from bundler.core.rules.walk import entries, lookup

_NAME = "rights"
_RBAC = "rbac.authorization.k8s.io"
# A service's proxy is used with the verb of the method.
_VERBS = {"GET": "get", "POST": "create"}


@dataclass(frozen=True)
class Right:
    """Something that an install does: `verb` on `resource` (``pods/log``), where `object_id` is.

    `named` when it is this object alone; `vital` unless the install can go on without.
    """

    verb: str
    object_id: ObjectId
    resource: str
    named: bool = True
    vital: bool = True

    @property
    def place(self) -> str:
        """The namespace, empty for the whole cluster."""
        return self.object_id.namespace or ""

    @property
    def words(self) -> str:
        """``create deployments.apps``, the form that `kubectl auth can-i` takes."""
        plural, slash, part = self.resource.partition("/")
        group = f".{self.object_id.group}" if self.object_id.group else ""
        return f"{self.verb} {plural}{group}{slash}{part}"


def rights(asked: Asked) -> Iterator[Checked]:
    """One finding for each place in which something may not be done."""
    needed = dict.fromkeys(_needed(asked))
    missing = [right for right in needed if not _have(asked, right)]
    fine = f"{asked.user} may do all {len(needed)} things that the install does"
    yield from or_fine(_findings(asked, missing), _NAME, fine)


def _findings(asked: Asked, missing: list[Right]) -> Iterator[Checked]:
    for vital in (True, False):
        places = sorted({right.place for right in missing if right.vital is vital})
        for place in places:
            here = [each for each in missing if (each.place, each.vital) == (place, vital)]
            yield _finding(asked, place, vital, list(dict.fromkeys(each.words for each in here)))
    yield from _escalations(asked)


def _finding(asked: Asked, place: str, vital: bool, words: list[str]) -> Checked:
    where = f"in the namespace {place}" if place else "in the whole cluster"
    kind = "a Role and a RoleBinding there" if place else "a ClusterRole and a ClusterRoleBinding"
    outcome: Outcome = "failed" if vital else "warning"
    without = "" if vital else "; without it, a failure is told in fewer words, or not undone"
    return Checked(
        _NAME,
        outcome,
        f"{asked.user} may not, {where}: {', '.join(words)}{without}",
        f"who runs the cluster gives it, by {kind}; to ask again: kubectl auth can-i "
        f"{words[0]}{f' -n {place}' if place else ''}",
    )


def _have(asked: Asked, right: Right) -> bool:
    """Whether the right is given: for all such objects or, if not, for this one."""
    key = right.verb, right.object_id, right.resource
    if asked.may(*key) or (right.named and asked.may(*key, named=True)):
        return True
    # What is there needs not be created.
    creates = right.verb == "create" and "/" not in right.resource
    return creates and _is_there(asked, right.object_id)


def _is_there(asked: Asked, object_id: ObjectId) -> bool:
    if asked.cluster.resource(object_id) is None:
        return False
    try:
        return asked.get(object_id) is not None
    except UnseenError:
        return False


def _needed(asked: Asked) -> Iterator[Right]:
    for obj in asked.needs.objects:
        object_id = ObjectId.of(obj)
        yield from _on(asked, object_id, "get", "patch", "create")
        # A first install that fails takes away what it made, of whatever kind.
        if object_id.kind not in KEPT_KINDS or not _is_there(asked, object_id):
            yield from _on(asked, object_id, "delete", vital=False)
    for group, kind in asked.brought_kinds:
        # A CRD that is taken away again must not have become somebody else's, too.
        anything = ObjectId(f"{group}/v1", kind, None, "any")
        yield from _on(asked, anything, "list", vital=False, named=False)
    for object_id in asked.removed:
        yield from _on(asked, object_id, "get", "delete")
    yield from _own(asked)
    for place in sorted({each.namespace for each in asked.workloads}):
        yield from _on(asked, ObjectId("v1", "Pod", place, "any"), "list", named=False)
        for api_version, kind in (("v1", "Event"), ("apps/v1", "ReplicaSet")):
            anything = ObjectId(api_version, kind, place, "any")
            yield from _on(asked, anything, "list", vital=False, named=False)
        pods = ObjectId("v1", "Pod", place, "any")
        yield Right("get", pods, "pods/log", named=False, vital=False)
    for smoke in asked.needs.smoke:
        service = ObjectId("v1", "Service", smoke.namespace, smoke.service)
        yield Right(_VERBS[smoke.method], service, "services/proxy")


def _own(asked: Asked) -> Iterator[Right]:
    """What the install keeps for itself: its record, its lease, and where these are."""
    name, place = asked.needs.name, asked.needs.namespace
    if place not in asked.brought_namespaces:
        home = ObjectId("v1", "Namespace", None, place)
        yield from _on(asked, home, "get")
        if not _is_there(asked, home):
            yield from _on(asked, home, "patch", "create")
            yield from _on(asked, home, "delete", vital=False)
    record = record_id(name, place)
    yield from _on(asked, record, "list", named=False)
    yield from _on(asked, record, "get", "patch", "create")
    yield from _on(asked, record, "delete", vital=False)
    yield from _on(asked, lease_id(name, place), "get", "create", "update", "delete")


def _on(
    asked: Asked, object_id: ObjectId, *verbs: str, vital: bool = True, named: bool = True
) -> Iterator[Right]:
    plural = _plural(asked, object_id)
    if plural is not None:
        for verb in verbs:
            yield Right(verb, object_id, plural, named, vital)


def _plural(asked: Asked, object_id: ObjectId) -> str | None:
    """What the kind is called in rights; None for one that is not there, as `kinds` says."""
    crd = asked.brought_kinds.get((object_id.group, object_id.kind))
    if crd is not None:
        return str(lookup(crd, "spec", "names", "plural"))
    resource = asked.cluster.resource(object_id)
    return None if resource is None else resource.plural


def _escalations(asked: Asked) -> Iterator[Checked]:
    """Roles of the release that give more than this user has: RBAC lets nobody make those."""
    for obj in asked.needs.objects:
        object_id = ObjectId.of(obj)
        if object_id.group != _RBAC or object_id.kind not in ("Role", "ClusterRole"):
            continue
        plural = f"{object_id.kind.lower()}s"
        if asked.may("escalate", object_id, plural):
            continue
        lacking = [words for words in _given(asked, obj, object_id.namespace) if words is not None]
        if lacking:
            yield Checked(
                _NAME,
                "failed",
                f"{object_id}: gives what {asked.user} does not have: {', '.join(lacking)}",
                "RBAC lets nobody give more than he has: install as somebody who has it, or who "
                f"may `escalate` {plural}",
            )


def _given(asked: Asked, role: JsonObject, place: str | None) -> Iterable[str | None]:
    """What the rules of `role` give and this user has not, in words."""
    for _, rule in entries(role, "rules"):
        for group in rule.get("apiGroups") or []:
            for resource in rule.get("resources") or []:
                for verb in rule.get("verbs") or []:
                    where = ObjectId(f"{group}/v1" if group else "v1", "Any", place, "any")
                    if not asked.may(str(verb), where, str(resource)):
                        yield f"{verb} {resource}{f'.{group}' if group else ''}"
