"""What an API server answers: objects, lists of them, or a `Status` that says why not.

https://kubernetes.io/docs/reference/using-api/api-concepts/ and, for the form of a refusal,
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bundler.cluster.client.refusals import hint_for
from bundler.cluster.client.secretvalues import unsaid
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.tools.http import TEMPORARY, Answer

_MESSAGE_MAX = 2000
# https://github.com/etcd-io/etcd/blob/main/api/v3rpc/rpctypes/error.go, those that pass.
_ETCD = (
    "etcdserver: leader changed",
    "etcdserver: no leader",
    "etcdserver: not leader",
    "etcdserver: request timed out",
    "etcdserver: too many requests",
)


class UnreachableError(ClusterError):
    """The API server can't be reached, or the connection to it broke."""


class ConflictError(ClusterError):
    """An object is already there, or is another version of itself than was expected."""


class ForbiddenError(ClusterError):
    """The user may not, or an admission plugin won't let him: 403 either way."""


class OwnershipError(ConflictError):
    """Fields of an object that others own would get other values; `fields` with their owners."""

    def __init__(self, what: str, fields: tuple[tuple[str, str], ...]) -> None:
        said = "; ".join(f"{field}: conflict with {owner}" for field, owner in fields)
        super().__init__(
            f"{what}: expected its fields to be ours, found them owned by others: {said}",
            "nothing was overwritten; either give these fields the bundle's values on the cluster "
            "(both own them then), or let their owner apply without them, or leave them out of "
            "the bundle, or take them over with --take-ownership",
        )
        self.fields = fields


def nowhere(object_id: ObjectId) -> ClusterError:
    """The error about an object without a namespace, whose kind has one."""
    return ClusterError(
        f"{object_id}: expected a namespace, found none",
        "a bundle says where its objects go: set `namespace:` in the kustomization",
    )


def unserved(object_id: ObjectId, versions: Sequence[str]) -> ClusterError:
    """The error about a kind that the cluster lacks, or has in other `versions` only."""
    problem = f"{object_id}: the cluster has no {object_id.kind} in {object_id.api_version}"
    if not versions:
        return ClusterError(
            problem,
            "install what defines it (its CRD, or its API) first, or bring it in the bundle",
        )
    return ClusterError(
        f"{problem}, but in {', '.join(versions)}",
        f"the CRD or the API of {object_id.kind} here is of another version than the bundle was "
        "made for: bring the one of this cluster to it, or build the bundle for this one",
    )


def is_unauthorized(answer: Answer) -> bool:
    """Whether the API server itself, and not a Service behind its proxy, asks who we are."""
    proxied = "/proxy/" in answer.url
    return answer.status == 401 and (not proxied or parsed(answer).get("kind") == "Status")


def is_temporary(method: str, answer: Answer) -> bool:
    """Whether the same request may well be taken in a moment.

    Busy, starting, its etcd choosing a leader; or an apply that others were quicker than, which is
    no conflict about whose a field is.
    """
    if answer.status in TEMPORARY:
        return True
    if answer.status == 500:
        message = str(parsed(answer).get("message"))
        return "retry-after" in answer.headers or any(each in message for each in _ETCD)
    conflicts = _conflicts(parsed(answer)) if answer.status == 409 else []
    return (method, answer.status) == ("PATCH", 409) and not conflicts


def untrusted(error: UnreachableError, attempts: int) -> ClusterError:
    """`error`, after so many attempts; where it is about trust, which doesn't pass, it says so."""
    if "CERTIFICATE_VERIFY_FAILED" in error.message:
        return ClusterError(
            error.message,
            "`certificate-authority-data` in the kubeconfig has to be the authority of this API "
            "server; where it is reached by another name than those in its certificate (a tunnel, "
            "a load balancer), `tls-server-name` names one of them",
        )
    if attempts == 1:
        return error
    return UnreachableError(
        f"{error.message}; it had answered before, and didn't in {attempts} attempts",
        "once it answers, the same command again continues",
    )


def content(answer: Answer, verb: str, what: str, sent: JsonObject | None = None) -> JsonObject:
    """The JSON object of `answer`; ClusterError, with `verb` and `what`, for a refusal.

    Where a Secret was `sent`, that doesn't show its values.
    """
    found = parsed(answer)
    if answer.status >= 400 and sent is not None:
        found = found | {"message": unsaid(str(found.get("message", "")), sent)}
    if answer.status >= 400 or not found:
        raise _refusal(answer.status, found, verb, what)
    return found


def parsed(answer: Answer) -> JsonObject:
    """The JSON object of `answer`, or an empty one where it has none."""
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def with_metadata(content: JsonObject, what: str) -> JsonObject:
    """`content`, if it is as far an object as is read here; ClusterError if not."""
    metadata = content.get("metadata")
    fields = metadata.get("managedFields") or [] if isinstance(metadata, dict) else None
    if not isinstance(fields, list) or not all(isinstance(each, dict) for each in fields):
        raise ClusterError(f"{what}: expected an object with metadata, found something else")
    return content


def items(content: JsonObject, what: str) -> list[JsonObject]:
    """The objects of a list, each with a name; ClusterError if it is none."""
    items = content.get("items")
    listed = isinstance(items, list) and all(isinstance(each, dict) for each in items)
    if not listed or not isinstance(content.get("metadata"), dict):
        raise ClusterError(f"{what}: list: expected items and metadata, found something else")
    found = [with_metadata(each, what) for each in content["items"]]
    if not all(isinstance(each["metadata"].get("name"), str) for each in found):
        raise ClusterError(f"{what}: list: expected items with names, found something else")
    return found


def _refusal(code: int, status: Mapping[str, Any], verb: str, what: str) -> ClusterError:
    conflicts = _conflicts(status)
    if conflicts:
        fields = ((str(each.get("field")), str(each.get("message"))) for each in conflicts)
        owned = ((field, said.removeprefix("conflict with ")) for field, said in fields)
        return OwnershipError(what, tuple(owned))
    reason, message = status.get("reason", "no reason given"), status.get("message", "")
    kind = {403: ForbiddenError, 409: ConflictError}.get(code, ClusterError)
    said = f"{what}: {verb}: the API server answered {code} {reason}: {message}"
    return kind(_shortened(said), hint_for(status))


def _shortened(text: str) -> str:
    """`text` without its middle where it is long: a whole pod may stand there, the reason last."""
    if len(text) <= _MESSAGE_MAX:
        return text
    return f"{text[: _MESSAGE_MAX // 4]} … {text[-_MESSAGE_MAX // 4 :]}"


def _conflicts(status: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [each for each in _causes(status) if each.get("reason") == "FieldManagerConflict"]


def _causes(status: Mapping[str, Any]) -> list[dict[str, Any]]:
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    return [each for each in causes if isinstance(each, dict)] if isinstance(causes, list) else []
