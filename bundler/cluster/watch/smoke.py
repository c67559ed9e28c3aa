"""The last step of an install: what the bundle says that its services answer.

Questions go through the API server's proxy, so that whoever installs needs no way into the
cluster's own network. https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster-services/
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from bundler.cluster.client import Cluster, UnreachableError
from bundler.core.answers import disagreement
from bundler.core.documents.smoke import Smoke
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.objects.observed import part
from bundler.core.oneline import one_line
from bundler.core.progress import Progress
from bundler.tools.http import Sleep

# For how long a service that is not there yet is asked again, and the pause between, in seconds.
# A Service learns of a pod that is ready within moments.
LIMIT = 60.0
_PAUSE = 2.0
# No endpoints yet, a connection refused, no answer in time: in the words of the proxy.
_ABSENT = frozenset({502, 503, 504})
_BODY = 500
_JSON = {"Content-Type": "application/json"}


def smoke(
    cluster: Cluster,
    calls: Sequence[Smoke],
    sleep: Sleep,
    clock: Callable[[], float],
    progress: Progress,
) -> None:
    """Ask each of `calls`, in their order; return when all answers are as expected.

    ClusterError at the first that isn't: what was asked, what was expected, what was found. A
    question is asked again while nobody answers, so it must be one that may be asked twice.
    """
    for number, call in enumerate(calls, 1):
        asked = f"smoke {number} of {len(calls)}: {_asked(call)}"
        progress.phase(one_line(asked, _BODY), None)
        status, body = _answer(cluster, call, asked, sleep, clock)
        problem = _problem(call, status, body)
        if problem is not None:
            raise ClusterError(
                f"{asked}: {problem}; the answer was: {_shown(body)}", _hint(status, body)
            )


def _asked(call: Smoke) -> str:
    return f"{call.method} {call.namespace}/{call.service}:{call.port}{call.path}"


def _problem(call: Smoke, status: int, body: bytes) -> str | None:
    if status != call.status:
        return f"expected status {call.status}, found {status}"
    return disagreement(call.expect, body)


def _answer(
    cluster: Cluster, call: Smoke, asked: str, sleep: Sleep, clock: Callable[[], float]
) -> tuple[int, bytes]:
    """The first answer of somebody, or the last of nobody."""
    service = ObjectId("v1", "Service", call.namespace, call.service)
    content = None if call.body is None else call.body.encode()
    began = clock()
    while True:
        over = clock() - began >= LIMIT
        try:
            status, body = cluster.call(
                service, call.port, call.method, call.path, content, _JSON if content else None
            )
        except UnreachableError as error:
            if over:
                raise ClusterError(f"{asked}: {error.message}", error.hint) from error
        else:
            if over or status == call.status or not _is_absent(status, body):
                return status, body
        sleep(_PAUSE)


def _shown(body: bytes) -> str:
    return one_line(body.decode("utf-8", "replace"), _BODY) or "(empty)"


def _is_absent(status: int, body: bytes) -> bool:
    """Whether nobody answered: a Service whose endpoints nobody has written yet is a 404, too."""
    return status in _ABSENT or (
        status == 404 and part(_own(body), "details").get("kind") == "services"
    )


def _own(body: bytes) -> JsonObject:
    """What the API server says itself; empty when a pod answered."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) and said.get("kind") == "Status" else {}


def _hint(status: int, body: bytes) -> str | None:
    if not _own(body):
        return None
    return {
        403: "whoever installs needs the right to `get` and `create` services/proxy there",
        404: "is that the Service's name and namespace, and has it a selector?",
        503: "the Service has no pod that is ready: does its selector fit, and its port?",
    }.get(status)
