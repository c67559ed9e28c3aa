"""Users who may do little, on a real API server with RBAC: a service account and its token."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from bundler.cluster.client import Cluster
from bundler.core.objects.manifests import JsonObject

_RBAC = "rbac.authorization.k8s.io"
_NAME = "operator"

Make = Callable[[JsonObject], object]


def rule(group: str, resources: str, verbs: str) -> JsonObject:
    """A rule of a role; words between spaces."""
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}


def write_user(
    path: Path,
    admin: Path,
    cluster: Cluster,
    namespace: str,
    rules: Sequence[JsonObject],
    everywhere: Sequence[JsonObject] = (),
    make: Make | None = None,
) -> Path:
    """Writes a kubeconfig of the account `operator` in `namespace`, which has these rights alone.

    `cluster` and the kubeconfig `admin` are an administrator's; `make` makes what is needed.
    """
    make = make or cluster.create
    account = {"name": _NAME, "namespace": namespace}
    make({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    for kind, given in (("Role", rules), ("ClusterRole", everywhere)):
        _bind(make, kind, namespace, given)
    known = json.loads(admin.read_text())
    known["users"] = [{"name": "admin", "user": {"token": _token(cluster, namespace)}}]
    path.write_text(json.dumps(known))
    return path


def _bind(make: Make, kind: str, namespace: str, rules: Sequence[JsonObject]) -> None:
    place = {"namespace": namespace} if kind == "Role" else {}
    metadata = {"name": f"{namespace}-{_NAME}"} | place
    head = {"apiVersion": f"{_RBAC}/v1", "metadata": metadata}
    make(head | {"kind": kind, "rules": list(rules)})
    reference = {"apiGroup": _RBAC, "kind": kind, "name": metadata["name"]}
    subject = {"kind": "ServiceAccount", "name": _NAME, "namespace": namespace}
    make(head | {"kind": f"{kind}Binding", "roleRef": reference, "subjects": [subject]})


def _token(cluster: Cluster, namespace: str) -> str:
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = cluster._session.send(
        "POST",
        f"/api/v1/namespaces/{namespace}/serviceaccounts/{_NAME}/token",
        headers={"Content-Type": "application/json"},
        content=json.dumps(request).encode(),
    )
    assert answer.status == 201, answer.body
    return str(json.loads(answer.body)["status"]["token"])
