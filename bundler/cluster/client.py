"""The Kubernetes API over plain objects: the one file that knows lightkube.

lightkube reads the kubeconfig and builds an authenticated HTTP client (its public `KubeConfig`,
and `lightkube.config.client_adapter`, which its own clients are made of). Its typed client is
not used: it has no requests for kinds that are only known when a bundle is opened. Discovery,
server-side apply and errors follow https://kubernetes.io/docs/reference/using-api/.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

from lightkube import ConfigError, KubeConfig
from lightkube.config import client_adapter
from lightkube.config.kubeconfig import DEFAULT_KUBECONFIG, SERVICE_ACCOUNT, SingleConfig
from lightkube.config.models import Cluster as ServerConfig
from yaml import MarkedYAMLError, YAMLError, safe_load

from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.tools.http import TIMEOUT, Answer, InvalidURL, Session, Sleep, is_loopback

_APPLY = {"force": "false", "fieldValidation": "Strict"}
_APPLY_TYPE = {"Content-Type": "application/apply-patch+yaml"}
_JSON_TYPE = {"Content-Type": "application/json"}
_PAGE = 500
_MOST_PAGES = 200
_PORTS = {"http": 80, "https": 443}
# What lightkube lets pass of a file that is no kubeconfig.
_UNREADABLE = (
    ConfigError,
    OSError,
    KeyError,
    TypeError,
    AttributeError,
    ValueError,
    RecursionError,
    YAMLError,
    InvalidURL,
)


@dataclass(frozen=True)
class ApiResource:
    """What discovery says of a kind: its plural name, and whether it lives in namespaces."""

    plural: str
    namespaced: bool


class Cluster:
    """One API server, spoken to as one user; `manager` is whose the fields are that we apply."""

    def __init__(self, session: Session, manager: str) -> None:
        self._session = session
        self.manager = manager
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
        if answer.status == 404:
            return None
        return _with_metadata(_content(answer, "get", str(object_id)), str(object_id))

    def list(self, kind: ObjectId, field_selector: str) -> list[JsonObject]:
        """All objects of the kind and namespace of `kind` (its name doesn't count)."""
        items: list[JsonObject] = []
        page = {"fieldSelector": field_selector, "limit": str(_PAGE)}
        for _ in range(_MOST_PAGES):
            answer = self._send("GET", self._path(kind, collection=True), params=page)
            found = _content(answer, "list", str(kind))
            # The server says what they are once, for the whole list.
            items += [_kind(kind) | item for item in _items(found, str(kind))]
            if not (more := found["metadata"].get("continue")):
                return items
            page["continue"] = str(more)
        raise ClusterError(f"{kind}: list: the API server has more than {_MOST_PAGES} pages")

    def apply(self, obj: JsonObject, *, dry_run: bool = False) -> JsonObject:
        """Server-side apply as the field manager of this release; the object as it then is.

        Never by force: a field that somebody else owns, with another value, is a ClusterError
        that names both. With `dry_run` nothing changes. Fields that the server doesn't know are
        refused, not dropped: what was audited is what is applied.
        """
        object_id = ObjectId.of(obj)
        answer = self._send(
            "PATCH",
            self._path(object_id),
            params=_APPLY | {"fieldManager": self.manager} | ({"dryRun": "All"} if dry_run else {}),
            headers=_APPLY_TYPE,
            content=json.dumps(obj).encode(),
        )
        return _with_metadata(_content(answer, "apply", str(object_id)), str(object_id))

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
            _content(answer, "delete", str(object_id))

    def close(self) -> None:
        """Close the connections."""
        self._session.client.close()

    def _discover(self, api_version: str) -> dict[str, ApiResource]:
        root = "/apis" if "/" in api_version else "/api"
        answer = self._send("GET", f"{root}/{quote(api_version)}")
        if answer.status == 404:
            return {}
        resources = _content(answer, "discover", api_version).get("resources") or []
        if not isinstance(resources, list) or not all(map(_is_resource, resources)):
            raise ClusterError(f"{api_version}: discover: expected kinds, found something else")
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
            raise nowhere(object_id)
        root = "/apis" if object_id.group else "/api"
        parts = [root, quote(object_id.api_version)]
        if resource.namespaced:
            parts += ["namespaces", quote(str(object_id.namespace), safe="")]
        parts.append(resource.plural)
        return "/".join(parts if collection else [*parts, quote(object_id.name, safe="")])

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


def nowhere(object_id: ObjectId) -> ClusterError:
    """The error about an object without a namespace, whose kind has one."""
    return ClusterError(
        f"{object_id}: expected a namespace, found none",
        "a bundle says where its objects go: set `namespace:` in the kustomization",
    )


def open_cluster(
    kubeconfig: Path | None, context: str | None, manager: str, sleep: Sleep = time.sleep
) -> Cluster:
    """The cluster of `kubeconfig` (or of the pod's service account, KUBECONFIG, ~/.kube/config).

    What is applied belongs to the field `manager`. ClusterError when there is no kubeconfig, or
    it can't be read, or it lacks the context.
    """
    try:
        known = KubeConfig.from_file(kubeconfig) if kubeconfig else KubeConfig.from_env()
        if context is not None and context not in known.contexts:
            raise ClusterError(
                f"{_origin(kubeconfig)}: has no context {context!r}",
                f"--context takes one of: {', '.join(sorted(known.contexts)) or 'none is there'}",
            )
        config = known.get(context)
        assert config is not None  # only with a default, which is not given
        server = _server(config)
        place = f"{server.scheme}://{server.hostname}:{server.port or _PORTS[server.scheme]}"
        trust = not is_loopback(server.hostname or "")
        parameters = client_adapter.ConnectionParams(trust_env=trust)
        client = client_adapter.Client(config, parameters)
    except _UNREADABLE as error:
        raise ClusterError(
            f"{_origin(kubeconfig)}: can't be used: {_reason(error)}",
            "name one with --kubeconfig and --context, or in KUBECONFIG; "
            "`airbundle install --export DIR` writes files instead, and needs no cluster",
        ) from error
    client.timeout = TIMEOUT
    what = f"API server {place}"
    hint = "is it running, and is it reachable from here? (--kubeconfig, --context)"
    return Cluster(Session(client, what, ClusterError, hint, sleep), manager)


def _origin(kubeconfig: Path | None) -> str:
    """What `open_cluster` reads, in the order of `KubeConfig.from_env`, in words."""
    if kubeconfig is not None:
        return f"kubeconfig {kubeconfig} (--kubeconfig)"
    if Path(SERVICE_ACCOUNT, "token").exists():
        return f"the service account of this pod ({SERVICE_ACCOUNT})"
    if "KUBECONFIG" in os.environ:
        return f"kubeconfig {os.environ['KUBECONFIG']} (KUBECONFIG)"
    return f"kubeconfig {DEFAULT_KUBECONFIG}"


def _server(config: SingleConfig) -> SplitResult:
    """Where the API server is; ValueError unless the kubeconfig says so itself."""
    if config.cluster.server == ServerConfig().server and config.fname is not None:
        clusters = safe_load(config.fname.read_text())["clusters"]
        mine = [each["cluster"] for each in clusters if each["name"] == config.context.cluster]
        if not mine[-1].get("server"):
            raise ValueError(f"the cluster {config.context.cluster!r} has no `server`")
    if any(char.isspace() for char in config.cluster.server):
        raise ValueError("the cluster's `server` has white space in it")
    server = urlsplit(config.cluster.server)
    if server.scheme not in _PORTS or not server.hostname:
        raise ValueError("the cluster's `server` is no https:// URL")
    return server


def _reason(error: Exception) -> str:
    """What is wrong with a kubeconfig, and none of its text: that holds the token."""
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if not isinstance(error, YAMLError):
        return str(error)
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    return f"no YAML at line {mark.line + 1}, column {mark.column + 1}" if mark else "no YAML"


def _is_resource(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("kind"), str)
        and isinstance(value.get("name"), str)
        and isinstance(value.get("namespaced"), bool)
    )


def _with_metadata(content: JsonObject, what: str) -> JsonObject:
    """`content`, if it is as far an object as is read here; ClusterError if not."""
    metadata = content.get("metadata")
    fields = metadata.get("managedFields") or [] if isinstance(metadata, dict) else None
    if not isinstance(fields, list) or not all(isinstance(each, dict) for each in fields):
        raise ClusterError(f"{what}: expected an object with metadata, found something else")
    return content


def _items(content: JsonObject, what: str) -> list[JsonObject]:
    items = content.get("items")
    listed = isinstance(items, list) and all(isinstance(each, dict) for each in items)
    if not listed or not isinstance(content.get("metadata"), dict):
        raise ClusterError(f"{what}: list: expected items and metadata, found something else")
    found = [_with_metadata(each, what) for each in content["items"]]
    if not all(isinstance(each["metadata"].get("name"), str) for each in found):
        raise ClusterError(f"{what}: list: expected items with names, found something else")
    return found


def _kind(object_id: ObjectId) -> JsonObject:
    return {"apiVersion": object_id.api_version, "kind": object_id.kind}


def _content(answer: Answer, verb: str, what: str) -> JsonObject:
    try:
        content = json.loads(answer.body)
    except (ValueError, RecursionError):
        content = {}
    if answer.status >= 400 or not isinstance(content, dict) or not content:
        raise _refusal(answer.status, content if isinstance(content, dict) else {}, verb, what)
    return content


def _refusal(code: int, status: Mapping[str, Any], verb: str, what: str) -> ClusterError:
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    known = [each for each in causes if isinstance(each, dict)] if isinstance(causes, list) else []
    conflicts = [each for each in known if each.get("reason") == "FieldManagerConflict"]
    if conflicts:
        fields = "; ".join(f"{each.get('field')}: {each.get('message')}" for each in conflicts)
        return ClusterError(
            f"{what}: expected its fields to be ours, found them owned by others: {fields}",
            "nothing was overwritten; either give these fields the bundle's values on the cluster "
            "(both own them then), or let their owner apply without them, or leave them out of "
            "the bundle",
        )
    reason, message = status.get("reason", "no reason given"), status.get("message", "")
    hint = "what the user of this kubeconfig may do is decided by the cluster's RBAC"
    return ClusterError(
        f"{what}: {verb}: the API server answered {code} {reason}: {message}"[:2000],
        hint if code in (401, 403) else None,
    )
