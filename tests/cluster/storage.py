"""`python -m tests.cluster.storage KUBECONFIG FOLDER`: volumes on the node's own disk.

Every claim of our storage class gets a folder as its volume, once a pod that uses it has its node;
with the claim goes the folder. What rancher's local-path provisioner does, for one node.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import ssl
import sys
import time
from pathlib import Path
from typing import Any

import httpx

CLASS = "local-path"
_PROVISIONER = "airbundle.test/local-path"
_SELECTED = "volume.kubernetes.io/selected-node"
_MADE_BY = "pv.kubernetes.io/provisioned-by"
_CLAIMS = "/api/v1/persistentvolumeclaims"
_VOLUMES = "/api/v1/persistentvolumes"
# Seconds after which volumes whose claim is gone are looked for, and a lost server.
_ROUND = 2
_PAUSE = 0.2


def storage_class() -> dict[str, Any]:
    """The class, which is also the default one."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": _PROVISIONER,
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Delete",
    }


def open_api(kubeconfig: Path) -> httpx.Client:
    """A client for the cluster of one of our own kubeconfigs."""
    content = json.loads(kubeconfig.read_text())
    [cluster], [user] = content["clusters"], content["users"]
    context = ssl.create_default_context(cafile=cluster["cluster"]["certificate-authority"])
    return httpx.Client(
        base_url=cluster["cluster"]["server"],
        headers={"Authorization": f"Bearer {user['user']['token']}"},
        verify=context,
        trust_env=False,
    )


def main(kubeconfig: Path, folder: Path) -> None:
    """Works until it is ended."""
    with open_api(kubeconfig) as api:
        while True:
            try:
                _round(api, folder)
            except httpx.HTTPError:
                # The server is being restarted.
                time.sleep(_PAUSE)


def _round(api: httpx.Client, folder: Path) -> None:
    claims = _get(api, _CLAIMS)
    for claim in claims["items"]:
        if _waits(claim):
            _provide(api, claim, folder)
    for volume in _get(api, _VOLUMES)["items"]:
        if _is_left(volume):
            _clear(api, volume)
    version = claims["metadata"]["resourceVersion"]
    watch = {"watch": "1", "resourceVersion": version, "timeoutSeconds": str(_ROUND)}
    with api.stream("GET", _CLAIMS, params=watch, timeout=_ROUND * 5) as events:
        # One is enough to look again.
        next(events.iter_lines(), None)


def _get(api: httpx.Client, path: str) -> dict[str, Any]:
    reply = api.get(path).raise_for_status()
    content: dict[str, Any] = reply.json()
    return content


def _waits(claim: dict[str, Any]) -> bool:
    annotations = claim["metadata"].get("annotations", {})
    spec = claim["spec"]
    ours = spec.get("storageClassName") == CLASS and _SELECTED in annotations
    return ours and "volumeName" not in spec


def _provide(api: httpx.Client, claim: dict[str, Any], folder: Path) -> None:
    metadata = claim["metadata"]
    name = f"pvc-{metadata['uid']}"
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    # As local-path does: a pod's user is nobody that the node knows.
    place.chmod(0o777)
    node = metadata["annotations"][_SELECTED]
    matches = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {_MADE_BY: _PROVISIONER}},
        "spec": {
            "accessModes": claim["spec"]["accessModes"],
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "local": {"path": str(place)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [matches]}]}},
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": CLASS,
        },
    }
    reply = api.post(_VOLUMES, json=volume)
    if reply.status_code != httpx.codes.CONFLICT:
        reply.raise_for_status()


def _is_left(volume: dict[str, Any]) -> bool:
    made_by = volume["metadata"].get("annotations", {}).get(_MADE_BY)
    return made_by == _PROVISIONER and volume["status"].get("phase") in ("Released", "Failed")


def _clear(api: httpx.Client, volume: dict[str, Any]) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(volume["spec"]["local"]["path"])
    api.delete(f"{_VOLUMES}/{volume['metadata']['name']}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
