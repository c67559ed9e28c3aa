"""Rights, as an API server with RBAC gives them to somebody who has few."""

from __future__ import annotations

import pytest

from bundler.cluster.preflight import examine
from bundler.core.documents.smoke import Smoke
from bundler.core.objects.manifests import JsonObject
from bundler.core.preflight.checked import Checked
from tests.cluster.users import rule
from tests.cluster_room.preflight.scene import Scene, now
from tests.releases import config_map

pytestmark = pytest.mark.needs("etcd", "kube-apiserver")


WRITE = "get list patch create delete"
OURS = (rule("", "secrets", WRITE), rule("coordination.k8s.io", "leases", f"{WRITE} update"))
SPACES = (rule("", "namespaces", "get patch"),)
APPS = (
    rule("", "configmaps pods", WRITE),
    rule("", "events pods/log", "get list"),
    rule("apps", "deployments replicasets", WRITE),
    rule("", "services/proxy", "create"),
)
SMOKE = Smoke(service="web", namespace="x", port=80, path="/", method="POST", body="{}")


def as_user(
    scene: Scene,
    rules: tuple[JsonObject, ...],
    everywhere: tuple[JsonObject, ...] = SPACES,
    objects: tuple[JsonObject, ...] | None = None,
) -> list[Checked]:
    """What the check says of a release in one namespace, for who has these rights there."""
    scene.home()
    smoke = Smoke(service="web", namespace=scene.mark, port=80, path="/", method="POST", body="{}")
    if objects is None:
        objects = (scene.web(), config_map(scene.mark, "one", key="value"))
    needs = scene.needs(*objects, namespace=scene.mark, smoke=(smoke,))
    with scene.user(rules, everywhere) as cluster:
        found = examine(cluster, needs, None, now)
    return [each for each in found if each.name == "rights"]


def test_who_has_all_that_is_needed_passes(scene: Scene) -> None:
    [found] = as_user(scene, (*OURS, *APPS))
    assert found.outcome == "ok"
    assert f"the user system:serviceaccount:{scene.mark}:operator may do all" in found.message


@pytest.mark.parametrize(
    ("without", "words"),
    [
        ("deployments", "get deployments.apps, patch deployments.apps, create deployments.apps"),
        ("configmaps", "get configmaps, patch configmaps, create configmaps"),
        ("secrets", "list secrets, get secrets, patch secrets, create secrets"),
        ("leases", "get leases.coordination.k8s.io, create leases.coordination.k8s.io, update"),
        ("pods", "list pods"),
        ("services/proxy", "create services/proxy"),
    ],
)
def test_a_missing_right_is_named_as_it_is_asked_for(
    scene: Scene, without: str, words: str
) -> None:
    rules = tuple(
        each | {"resources": [name for name in each["resources"] if name != without] or ["none"]}
        for each in (*OURS, *APPS)
    )
    failed = [each for each in as_user(scene, rules) if each.outcome == "failed"]
    [found] = failed
    assert f"may not, in the namespace {scene.mark}: {words}" in found.message
    assert "a Role and a RoleBinding there" in str(found.remedy)
    assert f"kubectl auth can-i {words.split(',')[0]} -n {scene.mark}" in str(found.remedy)


@pytest.mark.parametrize("verb", ["get", "patch", "create"])
def test_every_verb_of_an_apply_counts(scene: Scene, verb: str) -> None:
    verbs = " ".join(each for each in WRITE.split() if each != verb)
    rules = (*OURS, rule("", "configmaps", verbs))
    objects = (config_map(scene.mark, "one", key="value"),)
    found = as_user(scene, (*rules, APPS[3]), objects=objects)
    assert [f"{verb} configmaps" in each.message for each in found] == [True]


def test_what_is_there_needs_not_be_created(scene: Scene) -> None:
    rules = (*OURS, APPS[3], rule("", "configmaps", "get patch delete"))
    objects = (config_map(scene.mark, "one", key="value"),)
    scene_found = as_user_after_making(scene, rules, objects)
    assert [each.outcome for each in scene_found] == ["ok"]


def as_user_after_making(
    scene: Scene, rules: tuple[JsonObject, ...], objects: tuple[JsonObject, ...]
) -> list[Checked]:
    scene.home()
    for obj in objects:
        scene.make(obj)
    needs = scene.needs(*objects, namespace=scene.mark)
    with scene.user(rules, SPACES) as cluster:
        found = examine(cluster, needs, None, now)
    return [each for each in found if each.name == "rights"]


def test_a_right_to_one_object_by_its_name_is_enough(scene: Scene) -> None:
    named = rule("", "configmaps", "get patch create delete") | {"resourceNames": ["one"]}
    objects = (config_map(scene.mark, "one", key="value"),)
    assert [e.outcome for e in as_user(scene, (*OURS, APPS[3], named), objects=objects)] == ["ok"]


def test_a_right_that_is_missing_for_the_worst_is_a_warning(scene: Scene) -> None:
    rules = (*OURS, rule("", "configmaps", "get patch create"), APPS[3])
    objects = (config_map(scene.mark, "one", key="value"),)
    [found] = as_user(scene, rules, objects=objects)
    assert found.outcome == "warning"
    assert "delete configmaps" in found.message


def test_what_the_whole_cluster_is_asked_for_is_said_so(scene: Scene) -> None:
    [found] = as_user(scene, (*OURS, *APPS), everywhere=(rule("", "namespaces", "get"),))
    assert found.outcome == "failed"
    assert "in the whole cluster: patch namespaces" in found.message
    assert "a ClusterRole" in str(found.remedy)


def test_nobody_gives_what_he_has_not(scene: Scene) -> None:
    metadata = {"name": "reader", "namespace": scene.mark}
    api_version = "rbac.authorization.k8s.io/v1"
    role: JsonObject = {"apiVersion": api_version, "kind": "Role", "metadata": metadata}
    role |= {"rules": [rule("", "configmaps endpoints", "get")]}
    mine = rule("rbac.authorization.k8s.io", "roles", WRITE)
    found = as_user(scene, (*OURS, *APPS, mine), objects=(role,))
    assert [each.outcome for each in found] == ["failed"]
    assert f"Role {scene.mark}/reader: gives what the user" in found[0].message
    assert found[0].message.endswith("does not have: get endpoints")


def test_who_may_escalate_gives_what_he_has_not(scene: Scene) -> None:
    metadata = {"name": "reader", "namespace": scene.mark}
    api_version = "rbac.authorization.k8s.io/v1"
    role: JsonObject = {"apiVersion": api_version, "kind": "Role", "metadata": metadata}
    role |= {"rules": [rule("", "endpoints", "get")]}
    mine = rule("rbac.authorization.k8s.io", "roles", f"{WRITE} escalate")
    found = as_user(scene, (*OURS, *APPS, mine), objects=(role,))
    assert [each.outcome for each in found] == ["ok"]


def test_what_may_not_be_seen_is_skipped_and_said(scene: Scene) -> None:
    scene.home()
    scene.node()
    with scene.user((*OURS, *APPS), SPACES) as cluster:
        found = examine(cluster, scene.needs(scene.web(), namespace=scene.mark), None, now)
    skipped = {each.name: each.message for each in found if each.outcome == "skipped"}
    assert skipped["nodes"] == "not judged: this user may not list Node objects"
    assert {"nodes", "GPU", "room for pods", "node disk"} <= skipped.keys()
    assert not [each for each in found if each.outcome == "failed"]
