"""Installs on a real API server and a real registry; what may not happen, does not."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bundler.cli.main import run
from bundler.cluster.client import Cluster, open_cluster
from bundler.cluster.release import Record, record_id
from bundler.core.documents.bundle import Parameter, ParameterTarget
from bundler.core.errors import ClusterError, PolicyError, SourceError, UsageError
from bundler.core.manifests import JsonObject, ObjectId
from bundler.core.plan import Owned
from bundler.core.progress import SILENT
from bundler.install import Installed, Site, install
from tests.listing import listing
from tests.parts.registry import Registry
from tests.releases import TARGET, Release, config_map, crd, deployment, namespace, pod_spec

pytestmark = pytest.mark.needs("apiserver", "docker-registry")


@dataclass
class Field:
    """A cluster, a registry, and names that nobody else uses."""

    folder: Path
    kubeconfig: Path
    registry: Registry
    cluster: Cluster
    mark: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:10]}")

    @property
    def home(self) -> str:
        return f"{self.mark}-system"

    def site(self, **settings: str) -> Site:
        address = f"{self.registry.host}/{self.mark}"
        return Site(TARGET, address, settings, self.kubeconfig, None, self.home)

    def release(self, *objects: JsonObject, version: str = "1.0.0", name: str = "app") -> Release:
        return Release(f"{name}-{self.mark}", [namespace(self.mark), *objects], version)

    def install(self, release: Release, *, dry_run: bool = False, **settings: str) -> Installed:
        with release.opened(self.folder) as bundle:
            return install(bundle, self.site(**settings), SILENT, dry_run=dry_run)

    def settings(self, name: str, **data: str) -> JsonObject:
        return config_map(self.mark, name, **data)

    def id(self, name: str, kind: str = "ConfigMap", api_version: str = "v1") -> ObjectId:
        return ObjectId(api_version, kind, self.mark, name)

    def get(self, object_id: ObjectId) -> JsonObject | None:
        return self.cluster.get(object_id)

    def versions(self, *objects: ObjectId) -> list[str]:
        found = [self.get(each) for each in objects]
        return [obj["metadata"]["resourceVersion"] if obj else "absent" for obj in found]

    def record(self, name: str = "app") -> Record:
        secret = self.get(record_id(f"{name}-{self.mark}", self.home))
        assert secret is not None
        return Record.parse(secret)

    def write(self, manager: str, obj: JsonObject) -> None:
        """Applies `obj` as somebody else."""
        object_id = ObjectId.of(obj)
        answer = self.cluster._session.send(
            "PATCH",
            self.cluster._path(object_id),
            params={"fieldManager": manager, "force": "true"},
            headers={"Content-Type": "application/apply-patch+yaml"},
            content=json.dumps(obj).encode(),
        )
        assert answer.status < 300, answer.body


@pytest.fixture(name="on")
def field_of_work(tmp_path: Path, kubeconfig: Path, registry: Registry) -> Iterator[Field]:
    with ExitStack() as stack:
        cluster = stack.enter_context(closing(open_cluster(kubeconfig, None)))
        on = Field(tmp_path, kubeconfig, registry, cluster)
        yield on
        for name in (on.mark, on.home):
            space = ObjectId("v1", "Namespace", None, name)
            if live := cluster.get(space):
                cluster.delete(space, live["metadata"]["uid"])


def test_an_install_makes_its_objects_and_its_record(on: Field) -> None:
    done = on.install(on.release(on.settings("one", key="value"), deployment(on.mark, "web")))
    found = on.get(on.id("one"))
    assert found is not None
    assert found["data"] == {"key": "value"}
    web = on.get(on.id("web", "Deployment", "apps/v1"))
    assert web is not None
    image = web["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image.startswith(f"{on.registry.host}/{on.mark}/registry.corp_5000/team/server@sha256:")
    home = ObjectId("v1", "Namespace", None, on.home)
    space = ObjectId("v1", "Namespace", None, on.mark)
    assert done.plan.created == (home, space)
    assert set(done.plan.unchecked) == {
        on.id("one"),
        on.id("web", "Deployment", "apps/v1"),
        record_id(f"app-{on.mark}", on.home),
    }
    record = on.record()
    assert (record.version, record.target, record.journal) == ("1.0.0", TARGET, "applied")
    assert record.registry == f"{on.registry.host}/{on.mark}"
    assert len(record.signers) == 1
    assert set(record.inventory) == {
        Owned(each, True) for each in (space, on.id("one"), on.id("web", "Deployment", "apps/v1"))
    }


def test_installed_again_nothing_changes(on: Field) -> None:
    release = on.release(on.settings("one", key="value"), deployment(on.mark, "web"))
    first = on.install(release)
    everything = (*first.plan.created, *first.plan.unchecked)
    before, stored = on.versions(*everything), listing(on.registry)
    assert "absent" not in before
    again = on.install(release)
    assert on.versions(*everything) == before
    assert listing(on.registry) == stored
    assert again.plan.empty
    assert (again.push.transfers, again.push.entries, again.push.artifact) == ((), (), False)


def test_a_dry_run_changes_nothing_and_says_what_is_then_done(on: Field) -> None:
    release = on.release(on.settings("one", key="1"), on.settings("two", key="1"))
    on.install(release)
    objects = (on.id("one"), on.id("two"), record_id(f"app-{on.mark}", on.home))
    before, stored = on.versions(*objects), listing(on.registry)
    upgrade = on.release(on.settings("one", key="2"), on.settings("three"), version="1.1.0")
    said = on.install(upgrade, dry_run=True)
    assert on.versions(*objects) == before
    assert on.get(on.id("three")) is None
    assert listing(on.registry) == stored
    done = on.install(upgrade)
    assert replace(said, dry_run=False) == done
    assert done.plan.created == (on.id("three"),)
    assert done.plan.changed == (on.id("one"), objects[2])
    assert done.plan.removed == (on.id("two"),)


def test_a_dry_run_of_a_first_install_makes_nothing(on: Field) -> None:
    stored = listing(on.registry)
    on.install(on.release(on.settings("one")), dry_run=True)
    assert on.get(ObjectId("v1", "Namespace", None, on.mark)) is None
    assert on.get(ObjectId("v1", "Namespace", None, on.home)) is None
    assert listing(on.registry) == stored


def test_an_upgrade_removes_what_is_gone_and_nothing_else(on: Field) -> None:
    on.write("kubectl", namespace(on.mark))
    for name in ("foreign", "found", "joined"):
        on.write("kubectl", on.settings(name, key="theirs"))
    adopted = (on.settings("found", key="theirs"), on.settings("joined", more="ours"))
    on.install(on.release(on.settings("gone"), on.settings("stays"), *adopted))
    others = [on.id(name) for name in ("foreign", "found", "joined", "stays")]
    before = on.versions(*others)
    done = on.install(on.release(on.settings("stays"), version="1.1.0"))
    assert done.plan.removed == (on.id("gone"),)
    assert on.get(on.id("gone")) is None
    assert on.versions(*others) == before


def test_what_somebody_made_anew_under_our_name_is_not_removed(on: Field) -> None:
    on.install(on.release(on.settings("gone"), on.settings("stays")))
    live = on.get(on.id("gone"))
    assert live is not None
    on.cluster.delete(on.id("gone"), live["metadata"]["uid"])
    on.write("kubectl", on.settings("gone", key="theirs"))
    done = on.install(on.release(on.settings("stays"), version="1.1.0"))
    assert done.plan.removed == ()
    assert on.get(on.id("gone")) is not None


def test_a_namespace_that_is_dropped_is_kept_with_what_is_in_it(on: Field) -> None:
    other = namespace(f"{on.mark}-other")
    on.install(on.release(other))
    for version in ("1.1.0", "1.2.0"):
        done = on.install(on.release(on.settings("one", version=version), version=version))
        assert done.plan.kept == (ObjectId.of(other),)
    assert on.get(ObjectId.of(other)) is not None
    assert Owned(ObjectId.of(other), True) in on.record().inventory


def test_somebody_else_s_field_is_not_overwritten(on: Field) -> None:
    release = on.release(on.settings("one", key="ours"))
    on.install(release)
    on.write("kubectl-edit", on.settings("one", key="theirs"))
    stored = listing(on.registry)
    changed = on.release(on.settings("one", key="new"), version="1.1.0")
    with pytest.raises(
        ClusterError, match=r"ConfigMap .*/one: .*\.data\.key.*kubectl-edit"
    ) as caught:
        on.install(changed)
    assert "nothing was overwritten" in str(caught.value.hint)
    found = on.get(on.id("one"))
    assert found is not None
    assert found["data"] == {"key": "theirs"}
    assert listing(on.registry) == stored


def test_an_older_version_is_refused(on: Field) -> None:
    on.install(on.release(on.settings("one", key="new"), version="1.10.0"))
    with pytest.raises(ClusterError, match=r"1\.10\.0 is installed, and this bundle is the older"):
        on.install(on.release(on.settings("one", key="old"), version="1.9.0"))
    found = on.get(on.id("one"))
    assert found is not None
    assert found["data"] == {"key": "new"}


def test_an_object_of_another_release_is_refused(on: Field) -> None:
    on.install(on.release(on.settings("one")))
    with pytest.raises(ClusterError, match=f"belongs to the release app-{on.mark} 1.0.0"):
        on.install(on.release(name="rival"))


def test_a_version_with_other_content_is_refused_before_anything_is_done(on: Field) -> None:
    on.install(on.release(on.settings("one", key="first")))
    with pytest.raises(SourceError, match="already published with other content"):
        on.install(on.release(on.settings("one", key="second")))
    found = on.get(on.id("one"))
    assert found is not None
    assert found["data"] == {"key": "first"}


def test_custom_resources_come_after_their_kind_is_served(on: Field) -> None:
    group = f"{on.mark}.example.org"
    thing = {
        "apiVersion": f"{group}/v1",
        "kind": "Thing",
        "metadata": {"name": "one", "namespace": on.mark},
        "spec": {"text": "hello"},
    }
    done = on.install(on.release(thing, crd(group, "Thing")))
    assert ObjectId.of(thing) in done.plan.unchecked
    on.cluster.forget()
    found = on.get(ObjectId.of(thing))
    assert found is not None
    assert found["spec"] == {"text": "hello"}
    again = on.install(on.release(thing, crd(group, "Thing")))
    assert again.plan.empty


def test_an_unknown_kind_is_found_before_anything_is_done(on: Field) -> None:
    stored = listing(on.registry)
    thing = {
        "apiVersion": "nowhere.example/v1",
        "kind": "Thing",
        "metadata": {"name": "one", "namespace": on.mark},
    }
    with pytest.raises(ClusterError, match=r"the cluster has no Thing in nowhere\.example/v1"):
        on.install(on.release(thing))
    assert on.get(ObjectId("v1", "Namespace", None, on.mark)) is None
    assert listing(on.registry) == stored


def test_a_field_that_the_server_does_not_know_is_refused(on: Field) -> None:
    on.write("kubectl", namespace(on.mark))
    odd = on.settings("one") | {"dtaa": {"key": "value"}}
    with pytest.raises(ClusterError, match="dtaa"):
        on.install(on.release(odd))


def test_an_object_without_a_namespace_is_refused(on: Field) -> None:
    nowhere = on.settings("one")
    del nowhere["metadata"]["namespace"]
    with pytest.raises(ClusterError, match="ConfigMap one: expected a namespace, found none"):
        on.install(on.release(nowhere))


def test_a_namespace_that_is_going_is_named(on: Field) -> None:
    space = namespace(on.mark)
    on.write("kubectl", space)
    live = on.get(ObjectId.of(space))
    assert live is not None
    on.cluster.delete(ObjectId.of(space), live["metadata"]["uid"])
    with pytest.raises(ClusterError, match="is being deleted since"):
        on.install(on.release(on.settings("one")))


def test_restricted_admits_the_pods_of_a_release(on: Field) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "one", "namespace": on.mark},
        "spec": pod_spec(),
    }
    on.write("kubectl", namespace(on.mark))
    # No controller makes the service account that pods fall back to.
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "default", "namespace": on.mark},
    }
    on.write("kubectl", account)
    done = on.install(on.release(pod))
    assert on.id("one", "Pod") in done.plan.created


def test_an_install_that_was_killed_is_finished_by_the_next(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    on.install(on.release(on.settings("old"), on.settings("stays", key="1")))
    upgrade = on.release(on.settings("new"), on.settings("stays", key="2"), version="1.1.0")
    real = Cluster.apply

    def dying(self: Cluster, obj: JsonObject, *, dry_run: bool = False) -> JsonObject:
        if not dry_run and obj["metadata"]["name"] == "stays":
            raise KeyboardInterrupt
        return real(self, obj, dry_run=dry_run)

    monkeypatch.setattr(Cluster, "apply", dying)
    with pytest.raises(KeyboardInterrupt):
        on.install(upgrade)
    monkeypatch.undo()
    halfway = on.record()
    assert halfway.version == "1.0.0"
    assert halfway.journal.startswith("applying sha256:")
    assert Owned(on.id("new"), True) in halfway.inventory
    on.install(upgrade)
    assert on.get(on.id("old")) is None
    assert on.record().journal == "applied"
    assert Owned(on.id("new"), True) in on.record().inventory
    assert on.install(upgrade).plan.empty


def test_parameters_are_set_recorded_and_checked_again(on: Field) -> None:
    parameter = Parameter(
        name="mode",
        type="string",
        default="quiet",
        description="How much is said",
        pattern="[a-z:/.]{1,40}",
        targets=(ParameterTarget("ConfigMap", "one", "/data/mode", None),),
    )
    release = on.release(on.settings("one", mode="quiet"))
    release.parameters = (parameter,)
    on.install(release, mode="loud")
    found = on.get(on.id("one"))
    assert found is not None
    assert found["data"] == {"mode": "loud"}
    assert on.record().parameters == {"mode": "loud"}
    with pytest.raises(PolicyError, match="external-host"):
        on.install(release, mode="https://elsewhere.com/x")
    with pytest.raises(UsageError, match="isn't one of this bundle"):
        on.install(release, moed="loud")


def test_a_record_that_is_none_is_refused(on: Field) -> None:
    release = on.release(on.settings("one"))
    on.install(release)
    secret = on.get(record_id(release.name, on.home))
    assert secret is not None
    broken = {key: secret[key] for key in ("apiVersion", "kind", "type")} | {
        "metadata": {"name": secret["metadata"]["name"], "namespace": on.home},
        "data": {"inventory": base64.b64encode(b"[3]").decode()},
    }
    on.write("kubectl", broken)
    with pytest.raises(ClusterError, match="expected the record of a release"):
        on.install(release)


def test_a_record_may_live_in_a_namespace_of_the_bundle(on: Field) -> None:
    release, site = on.release(on.settings("one")), replace(on.site(), release_namespace=on.mark)
    with release.opened(on.folder) as bundle:
        first = install(bundle, site, SILENT)
        again = install(bundle, site, SILENT)
    assert first.plan.created == (ObjectId("v1", "Namespace", None, on.mark),)
    assert on.get(record_id(release.name, on.mark)) is not None
    assert again.plan.empty


def test_the_command_shows_the_plan_and_then_does_it(
    on: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    file = on.release(on.settings("one")).write(on.folder / "demo.tar")
    arguments = ["install", str(file), "--target", TARGET, "--registry", on.site().registry]
    arguments += ["--kubeconfig", str(on.kubeconfig), "--release-namespace", on.home]
    arguments += ["--allow-unsigned"]
    assert run([*arguments, "--dry-run"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert f"+ Namespace {on.mark}" in said
    assert said[-1] == f"would be installed    app-{on.mark} 1.0.0, target dev"
    assert run(arguments) == 0
    done = capsys.readouterr().out.splitlines()
    assert done[:-1] == said[:-1]
    assert run([*arguments, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["status"], again["plan"]["created"], again["push"]["blobs"]) == (
        "UNTRUSTED",
        [],
        0,
    )


def test_a_cluster_cannot_pull_from_a_folder(on: Field, tmp_path: Path) -> None:
    site = replace(on.site(), registry=f"oci:{tmp_path / 'layout'}")
    with (
        on.release(on.settings("one")).opened(on.folder) as bundle,
        pytest.raises(UsageError, match="can't pull from a folder"),
    ):
        install(bundle, site, SILENT)
