"""The Kubernetes API over plain objects: the one file that knows lightkube.

lightkube reads the kubeconfig and builds an authenticated HTTP client (its public `KubeConfig`,
and `lightkube.config.client_adapter`, which its own clients are made of). Its typed client is
not used: it has no requests for kinds that are only known when a bundle is opened. Discovery,
server-side apply and errors follow https://kubernetes.io/docs/reference/using-api/.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from lightkube import ConfigError, KubeConfig
from lightkube.config import client_adapter
from yaml import YAMLError

from bundler.core.errors import ClusterError
from bundler.core.manifests import JsonObject, ObjectId
from bundler.tools.http import TIMEOUT, Answer, Session, Sleep, is_loopback

FIELD_MANAGER = "airbundle"

_APPLY = {"fieldManager": FIELD_MANAGER, "force": "false", "fieldValidation": "Strict"}
_APPLY_TYPE = {"Content-Type": "application/apply-patch+yaml"}
_JSON_TYPE = {"Content-Type": "application/json"}
_PAGE = 500
# What lightkube lets pass of a file that is no kubeconfig.
_UNREADABLE = (ConfigError, OSError, KeyError, TypeError, AttributeError, ValueError, YAMLError)


@dataclass(frozen=True)
class ApiResource:
    """What discovery says of a kind: its plural name, and whether it lives in namespaces."""

    plural: str
    namespaced: bool


class Cluster:
    """One API server, spoken to as one user."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._discovered: dict[str, dict[str, ApiResource]] = {}

    def resource(self, object_id: ObjectId) -> ApiResource | None:
        """How the server serves the kind of `object_id`, or None; asked once a run."""
        version = object_id.api_version
        if version not in self._discovered:
            self._discovered[version] = self._discover(version)
        return self._discovered[version].get(object_id.kind)

    def forget(self) -> None:
        """Ask again about every kind from now on: kinds may have come."""
        self._discovered.clear()

    def get(self, object_id: ObjectId) -> JsonObject | None:
        """The object as it is, or None."""
        answer = self._send("GET", self._path(object_id))
        return None if answer.status == 404 else self._object(answer, "get", object_id)

    def list(self, kind: ObjectId, field_selector: str) -> list[JsonObject]:
        """All objects of the kind and namespace of `kind` (its name doesn't count)."""
        items: list[JsonObject] = []
        page = {"fieldSelector": field_selector, "limit": str(_PAGE)}
        while True:
            answer = self._send("GET", self._path(kind, collection=True), params=page)
            found = self._object(answer, "list", kind)
            # The server says what they are once, for the whole list.
            items += [_kind(kind) | item for item in found["items"]]
            if not (more := found["metadata"].get("continue")):
                return items
            page["continue"] = more

    def apply(self, obj: JsonObject, *, dry_run: bool = False) -> JsonObject:
        """Server-side apply as the field manager ``airbundle``; the object as it then is.

        Never by force: a field that somebody else owns, with another value, is a ClusterError
        that names both. With `dry_run` nothing changes. Fields that the server doesn't know are
        refused, not dropped: what was audited is what is applied.
        """
        object_id = ObjectId.of(obj)
        answer = self._send(
            "PATCH",
            self._path(object_id),
            params=_APPLY | ({"dryRun": "All"} if dry_run else {}),
            headers=_APPLY_TYPE,
            content=json.dumps(obj).encode(),
        )
        return self._object(answer, "apply", object_id)

    def delete(self, object_id: ObjectId, uid: str) -> None:
        """Delete the very object with this `uid`, and what belongs to it; none there is fine."""
        wish = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        answer = self._send(
            "DELETE",
            self._path(object_id),
            headers=_JSON_TYPE,
            content=json.dumps(wish).encode(),
        )
        if answer.status != 404:
            self._object(answer, "delete", object_id)

    def close(self) -> None:
        """Close the connections."""
        self._session.client.close()

    def _discover(self, api_version: str) -> dict[str, ApiResource]:
        root = "/apis" if "/" in api_version else "/api"
        answer = self._send("GET", f"{root}/{quote(api_version)}")
        if answer.status == 404:
            return {}
        resources = _content(answer, "discover", api_version).get("resources") or []
        return {
            each["kind"]: ApiResource(each["name"], each["namespaced"])
            for each in resources
            if "/" not in each["name"]
        }

    def _path(self, object_id: ObjectId, *, collection: bool = False) -> str:
        resource = self.resource(object_id)
        if resource is None:
            raise ClusterError(
                f"{object_id}: the cluster has no {object_id.kind} in {object_id.api_version}",
                "install what defines it (its CRD, or its API) first, or bring it in the bundle",
            )
        if resource.namespaced and object_id.namespace is None:
            raise ClusterError(
                f"{object_id}: expected a namespace, found none",
                "a bundle says where its objects go: set `namespace:` in the kustomization",
            )
        root = "/apis" if object_id.group else "/api"
        parts = [root, quote(object_id.api_version)]
        if resource.namespaced:
            parts += ["namespaces", quote(str(object_id.namespace), safe="")]
        parts.append(resource.plural)
        return "/".join(parts if collection else [*parts, quote(object_id.name, safe="")])

    def _object(self, answer: Answer, verb: str, object_id: ObjectId) -> JsonObject:
        return _content(answer, verb, str(object_id))

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer:
        try:
            return self._session.send(method, path, params=params, headers=headers, content=content)
        except (ConfigError, OSError, KeyError, ValueError) as error:
            # A login by command or token file runs within the request.
            raise ClusterError(f"{self._session.what}: the login failed: {error}") from error


def open_cluster(
    kubeconfig: Path | None, context: str | None, sleep: Sleep = time.sleep
) -> Cluster:
    """The cluster of `kubeconfig` (or of the pod's service account, KUBECONFIG, ~/.kube/config).

    ClusterError when there is none, or it can't be read.
    """
    try:
        known = KubeConfig.from_file(kubeconfig) if kubeconfig else KubeConfig.from_env()
        config = known.get(context)
        assert config is not None  # only with a default, which is not given
        server = urlsplit(config.cluster.server)
        trust = not is_loopback(server.hostname or "")
        parameters = client_adapter.ConnectionParams(trust_env=trust)
        client = client_adapter.Client(config, parameters)
    except _UNREADABLE as error:
        raise ClusterError(
            f"kubeconfig {kubeconfig or 'of this user'}: can't be used: {error}",
            "name one with --kubeconfig and --context",
        ) from error
    client.timeout = TIMEOUT
    what = f"API server {server.scheme}://{server.hostname}:{server.port or 443}"
    hint = "is it running, and is it reachable from here? (--kubeconfig, --context)"
    return Cluster(Session(client, what, ClusterError, hint, sleep))


def _kind(object_id: ObjectId) -> JsonObject:
    return {"apiVersion": object_id.api_version, "kind": object_id.kind}


def _content(answer: Answer, verb: str, what: str) -> JsonObject:
    try:
        content = json.loads(answer.body)
    except ValueError:
        content = {}
    if answer.status >= 400 or not isinstance(content, dict) or not content:
        raise _refusal(answer.status, content if isinstance(content, dict) else {}, verb, what)
    return content


def _refusal(code: int, status: Mapping[str, Any], verb: str, what: str) -> ClusterError:
    causes = (status.get("details") or {}).get("causes") or []
    conflicts = [each for each in causes if each.get("reason") == "FieldManagerConflict"]
    if conflicts:
        fields = "; ".join(f"{each.get('field')}: {each.get('message')}" for each in conflicts)
        return ClusterError(
            f"{what}: expected its fields to be ours, found them owned by others: {fields}",
            "nothing was overwritten: let their owner give these fields up, or leave them "
            "out of the bundle",
        )
    reason, message = status.get("reason", "no reason given"), status.get("message", "")
    hint = "what the user of this kubeconfig may do is decided by the cluster's RBAC"
    return ClusterError(
        f"{what}: {verb}: the API server answered {code} {reason}: {message}"[:2000],
        hint if code in (401, 403) else None,
    )
