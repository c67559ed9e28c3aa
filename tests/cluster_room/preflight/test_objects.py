"""What objects of a release need to be there: kinds, classes, volumes, Secrets."""

from __future__ import annotations

from typing import Any

import pytest

from bundler.core.documents.secretrefs import SecretRef
from bundler.core.objects.manifests import JsonObject
from tests.cluster_room.preflight.scene import Scene
from tests.releases import crd, namespace

pytestmark = pytest.mark.needs("etcd", "kube-apiserver")


def thing(scene: Scene, version: str = "v1") -> JsonObject:
    return {
        "apiVersion": f"{scene.mark}.example.org/{version}",
        "kind": "Thing",
        "metadata": {"name": "one", "namespace": scene.mark},
    }


def definition(scene: Scene) -> JsonObject:
    return crd(f"{scene.mark}.example.org", "Thing")


# --- kinds ------------------------------------------------------------------------------------


def test_a_missing_crd_is_found_with_what_to_do(scene: Scene) -> None:
    found = scene.one("kinds", thing(scene))
    assert found.outcome == "failed"
    assert found.message == (
        f"Thing in {scene.mark}.example.org/v1 (for Thing {scene.mark}/one): the cluster has no "
        "such kind"
    )
    assert "install what defines Thing" in str(found.remedy)


def test_a_crd_that_comes_along_will_do(scene: Scene) -> None:
    assert scene.one("kinds", thing(scene), definition(scene)).outcome == "ok"


def test_a_crd_that_comes_along_must_serve_the_version(scene: Scene) -> None:
    found = scene.one("kinds", thing(scene, "v2"), definition(scene))
    assert found.outcome == "failed"
    assert (
        f"own CustomResourceDefinition things.{scene.mark}.example.org serves v1" in found.message
    )


def test_a_kind_in_another_version_is_said(scene: Scene) -> None:
    obj = scene.web() | {"apiVersion": "apps/v1beta1"}
    found = scene.one("kinds", obj)
    assert found.outcome == "failed"
    assert "the cluster serves apps/v1" in found.message
    assert "ask for a bundle built for apps/v1" in str(found.remedy)


def test_a_crd_that_drops_what_is_stored_is_found(scene: Scene) -> None:
    scene.make(definition(scene))
    newer = definition(scene)
    newer["spec"]["versions"][0]["name"] = "v2"
    found = scene.one("kinds", newer)
    assert found.outcome == "failed"
    assert "objects may be stored as v1, the bundle's has v2" in found.message


# --- classes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "kind"),
    [("runtimeClassName", "RuntimeClass"), ("priorityClassName", "PriorityClass")],
)
def test_classes_that_pods_name_must_be_there(scene: Scene, field: str, kind: str) -> None:
    scene.node()
    name = f"{scene.mark}-fast"
    web = scene.web(spec={field: name})
    found = scene.one("classes", web)
    assert found.outcome == "failed"
    assert found.message == (
        f"{kind} {name}: is not there, and Deployment {scene.mark}/web can't start without it"
    )
    group = {"RuntimeClass": "node.k8s.io/v1", "PriorityClass": "scheduling.k8s.io/v1"}[kind]
    class_: JsonObject = {"apiVersion": group, "kind": kind, "metadata": {"name": name}}
    class_ |= {"handler": "runc"} if kind == "RuntimeClass" else {"value": 5}
    assert scene.one("classes", web, class_).outcome == "ok"
    scene.make(class_)
    assert scene.one("classes", web).outcome == "ok"


# --- storage ----------------------------------------------------------------------------------


def claim(scene: Scene, **spec: Any) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "cache", "namespace": scene.mark},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "10Gi"}},
        }
        | spec,
    }


def storage_class(scene: Scene, *, default: bool = False) -> JsonObject:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": f"{scene.mark}-disk", "annotations": annotations},
        "provisioner": "example.org/disk",
    }


def by_hand(scene: Scene, size: str) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{scene.mark}-{size.lower()}"},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce", "ReadOnlyMany"],
            "hostPath": {"path": "/nowhere"},
        },
    }


def test_a_missing_storage_class_is_found(scene: Scene) -> None:
    wanting = claim(scene, storageClassName=f"{scene.mark}-disk")
    found = scene.one("storage", wanting)
    assert found.outcome == "failed"
    assert f"storage class {scene.mark}-disk is not there; the cluster has" in found.message
    assert "--set" in str(found.remedy)
    assert scene.one("storage", wanting, storage_class(scene)).outcome == "ok"
    scene.make(storage_class(scene))
    assert scene.one("storage", wanting).message == "1 new volumes have a storage class"


def test_without_a_class_there_must_be_a_default_one(scene: Scene) -> None:
    found = scene.one("storage", claim(scene))
    assert found.outcome == "failed"
    assert "names no storage class, and the cluster has no default one" in found.message
    scene.make(storage_class(scene, default=True))
    assert scene.one("storage", claim(scene)).outcome == "ok"


def test_without_any_class_a_volume_made_by_hand_may_do(scene: Scene) -> None:
    # On a server without controllers a volume that was there once never goes.
    assert scene.one("storage", claim(scene), by_hand(scene, "5Gi")).outcome == "failed"
    found = scene.one("storage", claim(scene), by_hand(scene, "20Gi"))
    assert found.outcome == "warning"
    assert f"the PersistentVolume {scene.mark}-20gi may do" in found.message


def test_a_claim_that_is_there_needs_no_class(scene: Scene) -> None:
    scene.home()
    wanting = claim(scene, storageClassName=f"{scene.mark}-disk")
    scene.make(wanting)
    assert scene.one("storage", wanting).message == "no new volumes are claimed"


def test_storage_that_is_too_small_is_found_where_its_driver_says_so(scene: Scene) -> None:
    scene.home()
    scene.make(storage_class(scene))
    capacity = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIStorageCapacity",
        "metadata": {"name": "all", "namespace": scene.mark},
        "storageClassName": f"{scene.mark}-disk",
        "capacity": "8Gi",
    }
    scene.make(capacity)
    found = scene.one("storage", claim(scene, storageClassName=f"{scene.mark}-disk"))
    assert found.outcome == "failed"
    assert "asks for 10 GiB, the largest volume has 8 GiB" in found.message


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"storageClassName": ""}, "wants a volume that was made by hand, and there is none"),
        ({"volumeName": "by-hand"}, "names the PersistentVolume by-hand, which is not there"),
    ],
)
def test_a_volume_made_by_hand_must_be_there(
    scene: Scene, spec: dict[str, str], words: str
) -> None:
    found = scene.one("storage", claim(scene, **spec))
    assert found.outcome == "failed"
    assert words in found.message


def test_a_claim_that_pods_name_must_be_there_or_come(scene: Scene) -> None:
    scene.node()
    volumes = [{"name": "c", "persistentVolumeClaim": {"claimName": "cache"}}]
    web = scene.web(spec={"volumes": volumes})
    found = scene.one("storage", web)
    assert found.outcome == "failed"
    assert f"mounts PersistentVolumeClaim {scene.mark}/cache, which is neither" in found.message
    scene.make(storage_class(scene, default=True))
    assert scene.one("storage", web, claim(scene)).outcome == "ok"


# --- declared Secrets -------------------------------------------------------------------------


def reference(scene: Scene, *keys: str) -> SecretRef:
    return SecretRef(
        name="bucket", namespace=scene.mark, keys=keys, description="the bucket's login"
    )


def test_a_declared_secret_must_be_there(scene: Scene) -> None:
    wanted = reference(scene, "user", "password")
    found = scene.one("secrets", secret_refs=(wanted,))
    assert found.outcome == "failed"
    assert found.message == f"Secret {scene.mark}/bucket (the bucket's login): is not there"
    make = f"kubectl -n {scene.mark} create secret generic bucket"
    files = "--from-file=user=FILE --from-file=password=FILE"
    assert found.remedy == f"kubectl create namespace {scene.mark} && {make} {files}"
    scene.home()
    assert scene.one("secrets", secret_refs=(wanted,)).remedy == f"{make} {files}"


def test_a_declared_secret_has_its_keys_and_nobody_sees_them(scene: Scene) -> None:
    scene.home()
    metadata = {"name": "bucket", "namespace": scene.mark}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
    scene.make(secret | {"stringData": {"user": "hunter2", "password": ""}})
    assert scene.one("secrets", secret_refs=(reference(scene, "user"),)).outcome == "ok"
    checked = scene.examine(secret_refs=(reference(scene, "user", "password", "token"),))
    [found] = [each for each in checked if each.name == "secrets"]
    assert found.outcome == "failed"
    assert "has no password and no token, or an empty one" in found.message
    assert "hunter2" not in repr(checked)


def test_a_declared_secret_may_come_along(scene: Scene) -> None:
    metadata = {"name": "bucket", "namespace": scene.mark}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
    assert scene.one("secrets", secret, secret_refs=(reference(scene, "user"),)).outcome == "ok"


# --- Pod Security, admission, quotas ----------------------------------------------------------


def test_pods_that_the_namespace_keeps_out_are_found(scene: Scene) -> None:
    scene.node()
    web = scene.web(spec={"hostNetwork": True})
    found = scene.one("pod security", web)
    assert found.outcome == "failed"
    assert f"the namespace {scene.mark} enforces restricted, and " in found.message
    assert "hostNetwork" in found.message
    baseline = namespace(scene.mark)
    baseline["metadata"]["labels"] = {"pod-security.kubernetes.io/enforce": "baseline"}
    needs = scene.needs(web)
    found = scene.one("pod security", objects=(baseline, *needs.objects[1:]))
    assert found.outcome == "warning"
    baseline["metadata"]["labels"] = {}
    assert scene.one("pod security", objects=(baseline, web)).outcome == "ok"


def test_the_server_itself_says_what_it_refuses(scene: Scene) -> None:
    scene.node()
    scene.home()
    found = scene.one("admission", scene.web(spec={"hostNetwork": True}))
    assert found.outcome == "failed"
    assert 'violates PodSecurity "restricted' in found.message
    assert scene.one("admission", scene.web()).message == "the API server would let in 1 of 1 pods"


def test_what_the_server_can_t_try_is_said(scene: Scene) -> None:
    scene.node()
    assert scene.one("admission", scene.web()).outcome == "skipped"


def test_pods_of_a_custom_resource_are_not_tried(scene: Scene) -> None:
    scene.home()
    predictor = scene.web()["spec"]["template"]["spec"] | {"minReplicas": 1}
    service = thing(scene) | {"spec": {"predictor": predictor}}
    assert scene.one("admission", service).outcome == "skipped"


def test_a_namespace_that_gets_another_level_is_not_tried(scene: Scene) -> None:
    scene.home()
    lower = namespace(scene.mark)
    lower["metadata"]["labels"] = {"pod-security.kubernetes.io/enforce": "privileged"}
    web = scene.web(spec={"hostNetwork": True})
    assert scene.one("admission", objects=(lower, web)).outcome == "skipped"


def quota(scene: Scene, **hard: str) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small", "namespace": scene.mark},
        "spec": {"hard": {key.replace("_", "."): value for key, value in hard.items()}},
    }


def test_a_quota_that_is_too_small_is_found(scene: Scene) -> None:
    scene.node()
    scene.home()
    scene.make(quota(scene, requests_cpu="1500m", pods="9"))
    found = scene.one("quota", scene.web(2))
    assert found.outcome == "failed"
    assert "requests.cpu: 1.5 of 1.5 are left, 2 are asked for" in found.message
    assert scene.one("quota", scene.web(1)).outcome == "ok"


def test_a_quota_that_comes_along_counts_too(scene: Scene) -> None:
    scene.node()
    found = scene.found("quota", scene.web(), quota(scene, limits_memory="1Gi"))
    assert [each.outcome for each in found] == ["failed"]
    assert "has no resources.limits.memory, which ResourceQuota" in found[0].message


def test_a_quota_for_some_pods_is_not_judged(scene: Scene) -> None:
    scene.node()
    some = quota(scene, pods="0")
    some["spec"]["scopes"] = ["BestEffort"]
    assert scene.one("quota", scene.web(), some).outcome == "skipped"


def test_a_range_that_is_too_narrow_is_found(scene: Scene) -> None:
    scene.node()
    limit = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "narrow", "namespace": scene.mark},
        "spec": {"limits": [{"type": "Container", "min": {"cpu": "4"}}]},
    }
    found = scene.one("quota", scene.web(), limit)
    assert found.outcome == "failed"
    assert "container server has 1 of cpu, at least 4 is demanded" in found.message
