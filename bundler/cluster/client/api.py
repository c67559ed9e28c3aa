"""The requests: plain objects in, plain objects out.

There are no typed kinds: which ones there are is known when a bundle is opened, so each is asked
for by discovery. https://kubernetes.io/docs/reference/using-api/
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote

from bundler.cluster.client.answers import (
    UnreachableError,
    content,
    is_temporary,
    is_unauthorized,
    items,
    nowhere,
    parsed,
    unserved,
    untrusted,
    with_metadata,
)
from bundler.cluster.client.login import Login
from bundler.cluster.client.ownable import ownable
from bundler.cluster.client.secretvalues import require_texts
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.tools.http import Answer, Session, pause

_STRICT = {"fieldValidation": "Strict"}
_APPLY_TYPE = {"Content-Type": "application/apply-patch+yaml"}
_JSON_TYPE = {"Content-Type": "application/json"}
_PAGE = 500
_MOST_PAGES = 200
_LOG_BYTES = 1 << 20
# About a minute in all: as long as an API server takes to start again.
ATTEMPTS = 8


@dataclass(frozen=True)
class ApiResource:
    """What discovery says of a kind: its plural name, and whether it lives in namespaces."""

    plural: str
    namespaced: bool


class Cluster:
    """One API server, spoken to as one user; `manager` is whose the fields are that we apply.

    `guard`, where there is one, is asked before every attempt to write.
    """

    def __init__(self, session: Session, manager: str, login: Login | None = None) -> None:
        self._session = session
        self._login = login
        self._reached = False
        self.manager = manager
        self._discovered: dict[str, dict[str, ApiResource]] = {}
        self._date: str | None = None
        self.guard: Callable[[], None] | None = None

    def guarded(self, guard: Callable[[], None]) -> Cluster:
        """The same connection with a `guard`, which raises what forbids to write by now.

        A write that is tried again and again may have lost, meanwhile, what allowed it.
        """
        guarded = copy(self)
        guarded.guard = guard
        return guarded

    def resource(self, object_id: ObjectId) -> ApiResource | None:
        """How the server serves the kind of `object_id`, or None; asked once a run."""
        version = object_id.api_version
        if version not in self._discovered:
            self._discovered[version] = self._discover(version)
        return self._discovered[version].get(object_id.kind)

    def served(self, object_id: ObjectId) -> ObjectId | None:
        """The same object in a version that the server serves, its own if it can be; or None."""
        if self.resource(object_id) is not None:
            return object_id
        return next((replace(object_id, api_version=v) for v in self._versions(object_id)), None)

    def forget(self) -> None:
        """Ask again about every kind from now on: kinds may have come."""
        self._discovered.clear()

    def get(self, object_id: ObjectId) -> JsonObject | None:
        """The object as it is, or None."""
        answer = self._send("GET", self._path(object_id))
        if answer.status == 404:
            return None
        return with_metadata(content(answer, "get", str(object_id)), str(object_id))

    def list(
        self, kind: ObjectId, field_selector: str = "", label_selector: str = ""
    ) -> list[JsonObject]:
        """All objects of the kind and namespace of `kind` (its name doesn't count).

        Without a namespace those of all namespaces. Selectors as `kubectl get` has them.
        """
        found: list[JsonObject] = []
        page = {"limit": str(_PAGE)}
        page |= {"fieldSelector": field_selector} if field_selector else {}
        page |= {"labelSelector": label_selector} if label_selector else {}
        path = self._path(kind, collection=True, everywhere=kind.namespace is None)
        for _ in range(_MOST_PAGES):
            answer = self._send("GET", path, params=page)
            listed = content(answer, "list", str(kind))
            # The server says what they are once, for the whole list.
            found += [_kind(kind) | item for item in items(listed, str(kind))]
            if not (more := listed["metadata"].get("continue")):
                return found
            page["continue"] = str(more)
        raise ClusterError(f"{kind}: list: the API server has more than {_MOST_PAGES} pages")

    def apply(self, obj: JsonObject, *, dry_run: bool = False, force: bool = False) -> JsonObject:
        """Server-side apply as the field manager of this release; the object as it then is.

        A field that somebody else owns, with another value, is a ClusterError that names both;
        with `force` it becomes ours. With `dry_run` nothing changes. Fields that the server
        doesn't know are refused, not dropped: what was audited is what is applied.
        """
        params = _STRICT | {"force": "true" if force else "false", "fieldManager": self.manager}
        return self._written("PATCH", ownable(obj), "apply", _APPLY_TYPE, params | _dry(dry_run))

    def create(self, obj: JsonObject, *, dry_run: bool = False) -> JsonObject:
        """Make `obj`, which must not be there; the object, or the review, that the server gives.

        ConflictError when it is there; also when the answer to a first attempt was lost.
        """
        params = _STRICT | {"fieldManager": self.manager} | _dry(dry_run)
        return self._written("POST", obj, "create", _JSON_TYPE, params)

    def replace(self, obj: JsonObject) -> JsonObject:
        """Put `obj` in the place of the one with the same metadata.resourceVersion.

        ConflictError when somebody else has changed it since.
        """
        params = _STRICT | {"fieldManager": self.manager}
        return self._written("PUT", obj, "replace", _JSON_TYPE, params)

    def delete(
        self, object_id: ObjectId, uid: str, *, version: str = "", foreground: bool = False
    ) -> None:
        """Delete the very object with this `uid`, and what belongs to it; none there is fine.

        In the `foreground` it is there until all that belongs to it is gone. ConflictError when
        it is another one, or not the metadata.resourceVersion `version` of it.
        """
        policy = "Foreground" if foreground else "Background"
        very = {"uid": uid} | ({"resourceVersion": version} if version else {})
        wish = {"propagationPolicy": policy, "preconditions": very}
        answer = self._send(
            "DELETE",
            self._path(object_id),
            headers=_JSON_TYPE,
            content=json.dumps(wish).encode(),
        )
        if answer.status != 404:
            content(answer, "delete", str(object_id))

    def read(self, path: str, *, attempts: int = ATTEMPTS) -> JsonObject:
        """The JSON object at a plain path of the server, ``/version`` say."""
        return content(self._send("GET", path, attempts=attempts), "read", path)

    def logs(self, pod: ObjectId, container: str, lines: int, *, previous: bool = False) -> str:
        """The last `lines` that a container wrote, at most 1 MiB; `previous`: before it restarted.

        Bytes that are no UTF-8 are replaced.
        """
        params = {"container": container, "tailLines": str(lines), "limitBytes": str(_LOG_BYTES)}
        params |= {"previous": "true"} if previous else {}
        answer = self._send("GET", f"{self._path(pod)}/log", params=params)
        if answer.status >= 400:
            content(answer, f"logs of {container}", str(pod))
        return answer.body.decode("utf-8", "replace")

    def call(
        self,
        service: ObjectId,
        port: str | int,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Status and body of one request to a Service, through the API server's proxy.

        `port` is its number or name, ``https:NAME`` for one that speaks TLS; `path` begins with a
        slash and may have a query. It is sent once: who calls knows what may be said twice.
        """
        name = f"{quote(service.name, safe='')}:{port}"
        if str(port).startswith("https:"):
            name = f"https:{quote(service.name, safe='')}:{str(port).removeprefix('https:')}"
        place = f"/api/v1/namespaces/{quote(str(service.namespace), safe='')}/services/{name}"
        answer = self._send(
            method, f"{place}/proxy{path}", headers=headers, content=body, attempts=1
        )
        return answer.status, answer.body

    def server_time(self) -> datetime | None:
        """What the clock of the server was at its last answer (to the second), if it said so."""
        try:
            return None if self._date is None else parsedate_to_datetime(self._date)
        except ValueError:
            return None

    def certificate_ends(self) -> datetime | None:
        """When the server's certificate ends, once it has answered by TLS."""
        return self._session.certificate_ends

    def close(self) -> None:
        """Close the connections."""
        self._session.client.close()
        if self._login is not None:
            self._login.close()

    def _written(
        self,
        method: str,
        obj: JsonObject,
        verb: str,
        headers: Mapping[str, str],
        params: Mapping[str, str],
    ) -> JsonObject:
        # A review is asked for without a name.
        metadata = {"name": obj["kind"].lower()} | obj.get("metadata", {})
        object_id = ObjectId.of(obj | {"metadata": metadata})
        require_texts(obj, str(object_id))
        answer = self._send(
            method,
            self._path(object_id, collection=method == "POST"),
            params=params,
            headers=headers,
            content=json.dumps(obj).encode(),
        )
        return with_metadata(content(answer, verb, str(object_id), obj), str(object_id))

    def _discover(self, api_version: str) -> dict[str, ApiResource]:
        root = "/apis" if "/" in api_version else "/api"
        answer = self._send("GET", f"{root}/{quote(api_version)}")
        if answer.status == 404:
            return {}
        resources = content(answer, "discover", api_version).get("resources") or []
        if not isinstance(resources, list) or not all(map(_is_resource, resources)):
            raise ClusterError(f"{api_version}: discover: expected kinds, found something else")
        return {
            each["kind"]: ApiResource(each["name"], each["namespaced"])
            for each in resources
            if "/" not in each["name"]
        }

    def _versions(self, object_id: ObjectId) -> Sequence[str]:
        """The other versions of its API in which the cluster has the kind of `object_id`."""
        if not object_id.group:
            return []
        answer = self._send("GET", f"/apis/{quote(object_id.group, safe='')}")
        served = parsed(answer).get("versions") if answer.status == 200 else None
        named = [each.get("groupVersion") for each in served or [] if isinstance(each, dict)]
        others = [str(each) for each in named if each != object_id.api_version]
        return [each for each in others if object_id.kind in self._discover(each)]

    def _path(
        self, object_id: ObjectId, *, collection: bool = False, everywhere: bool = False
    ) -> str:
        resource = self.resource(object_id)
        if resource is None:
            raise unserved(object_id, self._versions(object_id))
        if resource.namespaced and object_id.namespace is None and not everywhere:
            raise nowhere(object_id)
        root = "/apis" if object_id.group else "/api"
        parts = [root, quote(object_id.api_version)]
        if resource.namespaced and not everywhere:
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
        attempts: int = ATTEMPTS,
    ) -> Answer:
        """The answer, after as many attempts as it takes while what fails is temporary.

        Also that nobody listens is, once somebody did: an API server that starts again.
        """
        for number in range(1, attempts + 1):
            try:
                answer = self._let_in(method, path, params, headers, content)
            except UnreachableError as error:
                if not self._reached or number == attempts:
                    raise untrusted(error, number) from error
                self._session.sleep(pause(number))
            else:
                self._reached = True
                self._date = answer.headers.get("date", self._date)
                if number == attempts or not is_temporary(method, answer):
                    return answer
                self._session.sleep(pause(number, answer.headers))
        raise AssertionError("the last attempt returns or raises")

    def _let_in(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        content: bytes | None,
    ) -> Answer:
        """The answer to one attempt, and to a second one as soon as the login has ended."""

        def attempt(session: Session) -> Answer:
            if self.guard is not None and method != "GET":
                self.guard()
            return session.send(
                method, path, params=params, headers=headers, content=content, attempts=1
            )

        if self._login is None:
            return attempt(self._session)
        refused: Session | None = None
        while True:
            with self._login.entered(refused) as session:
                if session is refused:
                    raise self._login.refusal()
                answer = attempt(session)
            if not is_unauthorized(answer):
                return answer
            if refused is not None:
                raise self._login.refusal()
            refused = session


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}


def _kind(object_id: ObjectId) -> JsonObject:
    return {"apiVersion": object_id.api_version, "kind": object_id.kind}


def _is_resource(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("kind"), str)
        and isinstance(value.get("name"), str)
        and isinstance(value.get("namespaced"), bool)
    )
