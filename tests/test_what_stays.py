"""What an uninstall, and an upgrade that goes back, leave: others' things, and data."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bundler import install as installing
from bundler.cluster.client import Cluster
from bundler.cluster.client.api import ATTEMPTS
from bundler.cluster.transaction.apply import Checks
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.progress import SILENT
from bundler.uninstall import uninstall
from tests.parts.registry import Registry
from tests.releases import crd, deployment, namespace
from tests.site import AT_ONCE, Field, field_of_work
from tests.test_transaction import claim
from tests.test_uninstall import away, space

pytestmark = pytest.mark.needs("apiserver", "docker-registry")


@pytest.fixture(name="on")
def working(tmp_path: Path, kubeconfig: Path, registry: Registry) -> Iterator[Field]:
    with field_of_work(tmp_path, kubeconfig, registry) as on:
        yield on


def defined(on: Field, group: str, kind: str, **versions: bool) -> JsonObject:
    """A CRD of somebody else with `versions`, each of which is served or not; until it is there."""
    made = crd(group, kind)
    (first,) = made["spec"]["versions"]
    made["spec"]["versions"] = [
        {**copy.deepcopy(first), "name": name, "served": served, "storage": number == 0}
        for number, (name, served) in enumerate(versions.items())
    ]
    on.write("kubectl", made)
    names = [name for name, served in versions.items() if served]
    for _ in range(600):
        on.cluster.forget()
        with suppress(ClusterError):
            if all(on.cluster.list(ObjectId(f"{group}/{n}", kind, None, "x")) == [] for n in names):
                return made
    raise AssertionError(f"{kind} is not served")


def thing(on: Field, api_version: str, kind: str) -> JsonObject:
    metadata = {"name": "one", "namespace": on.mark}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": {"text": "a"}}


def volume(on: Field) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": on.mark},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "hostPath": {"path": "/nowhere"},
        },
    }


def test_a_kind_that_only_an_older_version_has_holds_a_namespace(on: Field) -> None:
    """As KServe's ServingRuntime: v1alpha1, where the group prefers v1beta1."""
    group = f"{on.mark}.example.org"
    defined(on, group, "Newer", v1=True)
    defined(on, group, "Older", v1alpha1=True)
    on.install(on.release(on.settings("one")))
    on.write("kubectl", thing(on, f"{group}/v1alpha1", "Older"))
    done = away(on)
    assert [(each.id, each.why) for each in done.kept] == [
        (space(on.mark), f"Older {on.mark}/one is not of this release")
    ]
    assert not on.gone(space(on.mark))


def test_a_name_that_no_bundle_can_have_is_somebody_s(on: Field) -> None:
    on.install(on.release(on.settings("one")))
    rbac, metadata = "rbac.authorization.k8s.io", {"name": "team a", "namespace": on.mark}
    role = {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": []}
    path = f"/apis/{rbac}/v1/namespaces/{on.mark}/roles"
    head = {"Content-Type": "application/json"}
    sent = on.cluster._session.send("POST", path, headers=head, content=json.dumps(role).encode())
    assert sent.status == 201
    assert [(each.id, each.why) for each in away(on).kept] == [
        (space(on.mark), f"Role {on.mark}/'team a' is not of this release")
    ]


def test_a_kind_without_verbs_is_no_kind_to_list(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As KubeVirt serves it: Go says null for an empty list of verbs."""
    real, met = Cluster.read, []

    def reading(self: Cluster, path: str, *, attempts: int = ATTEMPTS) -> JsonObject:
        answer = real(self, path, attempts=attempts)
        if path == "/apis/apps/v1":
            met.append(path)
            more = {"name": "expand", "kind": "Expand", "namespaced": True, "verbs": None}
            answer = answer | {"resources": [more, *answer["resources"]]}
        return answer

    on.install(on.release(on.settings("one")))
    monkeypatch.setattr(Cluster, "read", reading)
    assert away(on).kept == ()
    assert met


def test_what_was_made_in_a_version_that_is_gone_goes_in_another(on: Field) -> None:
    group = f"{on.mark}.example.org"
    kind = defined(on, group, "Thing", v1=True, v1beta1=True)
    old, new = (thing(on, f"{group}/{name}", "Thing") for name in ("v1beta1", "v1"))
    on.install(on.release(old))
    kind["spec"]["versions"][1]["served"] = False
    on.write("kubectl", kind)
    for _ in range(600):
        on.cluster.forget()
        if on.cluster.resource(ObjectId.of(old)) is None:
            break
    assert on.get(ObjectId.of(new)) is not None
    assert ObjectId.of(new) in away(on).removed
    assert on.get(ObjectId.of(new)) is None


@pytest.mark.parametrize("data", [False, True])
def test_a_volume_without_namespace_is_data_too(on: Field, data: bool) -> None:
    made = volume(on)
    on.install(on.release(made))
    assert on.install(on.release(version="1.1.0")).plan.kept == (ObjectId.of(made),)
    done = away(on, delete_data=data)
    stays = [] if data else [(ObjectId.of(made), "it holds data")]
    assert [(each.id, each.why) for each in done.kept] == stays
    assert on.gone(ObjectId.of(made)) is data


@pytest.mark.parametrize("data", [False, True])
def test_claims_that_a_stateful_set_made_are_the_releases(on: Field, data: bool) -> None:
    web = deployment(on.mark, "web") | {"kind": "StatefulSet"}
    web["spec"] |= {"serviceName": "web", "volumeClaimTemplates": [claim(on, "data")]}
    on.install(on.release(web))
    (first, own, theirs) = (claim(on, name) for name in ("data-web-0", "data-web-x", "theirs"))
    for each in (first, own, theirs):
        on.write("controller", each)
    done = away(on, delete_data=data)
    kept = {each.id.name: each.why for each in done.kept}
    assert on.gone(ObjectId.of(first)) is data
    assert kept.get("data-web-0") == (None if data else "it holds data")
    # What others made stays, and so does the namespace that it is in.
    assert not on.gone(ObjectId.of(theirs))
    assert not on.gone(ObjectId.of(own))
    assert "PersistentVolumeClaim" in kept[on.mark]
    assert not on.gone(space(on.mark))


def test_a_first_install_that_fails_takes_only_the_claims_of_its_own_time(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = deployment(on.mark, "web") | {"kind": "StatefulSet"}
    web["spec"] |= {"serviceName": "web", "volumeClaimTemplates": [claim(on, "data")]}
    on.cluster.create(namespace(on.mark))
    old = on.cluster.create(claim(on, "data-web-0"))["metadata"]["creationTimestamp"]
    for number in range(3000):  # until the server's clock, of which it tells seconds, has gone on
        if on.cluster.create(on.settings(f"tick-{number}"))["metadata"]["creationTimestamp"] > old:
            break

    def unready(ids: Sequence[ObjectId]) -> None:
        on.write("controller", claim(on, "data-web-1"))
        raise ClusterError("not ready")

    monkeypatch.setattr(installing, "checks_of", lambda *_: Checks(wait=unready))
    with pytest.raises(ClusterError, match="what it made was removed again"):
        on.install(on.release(web, version="1.0.0"))
    assert on.gone(on.id("web", "StatefulSet", "apps/v1"))
    assert on.gone(on.id("data-web-1", "PersistentVolumeClaim"))
    assert not on.gone(on.id("data-web-0", "PersistentVolumeClaim"))


def test_what_a_controller_must_let_go_of_goes_before_it(on: Field) -> None:
    group = f"{on.mark}.example.org"
    made = thing(on, f"{group}/v1", "Thing")
    made["metadata"]["finalizers"] = ["example.org/let-go"]
    on.install(on.release(deployment(on.mark, "operator"), crd(group, "Thing"), made))
    on.cluster.forget()
    name = f"app-{on.mark}"
    with pytest.raises(ClusterError, match=r"Thing .*/one: is still being deleted after 1 seconds"):
        uninstall(name, on.access, SILENT, timeout=1)
    assert not on.gone(on.id("operator", "Deployment", "apps/v1"))


def test_what_an_attempt_before_this_one_left_stays_when_this_one_fails(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = namespace(f"{on.mark}-new")
    on.install(on.release(on.settings("one", key="1")))
    newer = on.release(on.settings("one", key="2"), claim(on, "data"), place, version="1.1.0")

    def never(ids: Sequence[ObjectId]) -> None:
        raise ClusterError("not ready")

    monkeypatch.setattr(installing, "checks_of", lambda *_: Checks(wait=never))
    with pytest.raises(ClusterError):
        on.install(newer, manner=replace(AT_ONCE, keep_failed=True))
    theirs = on.settings("theirs")
    theirs["metadata"]["namespace"] = f"{on.mark}-new"
    on.write("kubectl", theirs)
    asked = []

    def first(ids: Sequence[ObjectId]) -> None:
        asked.append(ids)
        if len(asked) == 1:
            raise ClusterError("not ready")

    monkeypatch.setattr(installing, "checks_of", lambda *_: Checks(wait=first))
    with pytest.raises(ClusterError, match=r"1\.0\.0 is what runs"):
        on.install(newer)
    for each in (claim(on, "data"), place, theirs):
        assert not on.gone(ObjectId.of(each))
    # They are the release's still: an uninstall knows them.
    kept = {each.id for each in away(on, delete_data=True).kept}
    assert kept == {ObjectId.of(place)}


def test_who_writes_a_field_meanwhile_keeps_nothing_half_way(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    on.install(on.release(on.settings("one", key="1")))
    asked = []

    def wait(ids: Sequence[ObjectId]) -> None:
        asked.append(ids)
        if len(asked) == 1:
            on.write("autoscaler", on.settings("one", key="theirs"))
            raise ClusterError("not ready")

    monkeypatch.setattr(installing, "checks_of", lambda *_: Checks(wait=wait))
    with pytest.raises(ClusterError, match=r"not ready; .* 1\.0\.0 is what runs, as before"):
        on.install(on.release(on.settings("one", key="2"), version="1.1.0"))
    live = on.get(on.id("one"))
    assert live is not None
    assert live["data"] == {"key": "1"}


def test_what_went_by_itself_meanwhile_takes_no_upgrade_back(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or was made anew by somebody else, who has it then."""
    on.install(on.release(on.settings("one"), on.settings("old")))
    real = Cluster.delete
    done: list[str] = []

    def delete(self: Cluster, object_id: ObjectId, uid: str, **how: Any) -> None:
        if object_id == on.id("old") and not done:
            done.append(uid)
            real(self, object_id, uid)
            on.write("kubectl", on.settings("old", key="theirs"))
        real(self, object_id, uid, **how)

    monkeypatch.setattr(Cluster, "delete", delete)
    on.install(on.release(on.settings("one", key="2"), version="1.1.0"))
    assert done
    assert on.record().version == "1.1.0"
    live = on.get(on.id("old"))
    assert live is not None
    assert live["data"] == {"key": "theirs"}
