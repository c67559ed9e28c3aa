"""Installs on a real API server and a real registry: what happens, and happens once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bundler import install as verb
from bundler.cli.main import run
from bundler.cluster.client import Cluster
from bundler.cluster.release.record import record_id
from bundler.cluster.transaction.apply import Checks
from bundler.core.documents.bundle import Parameter, ParameterTarget
from bundler.core.errors import ClusterError, PolicyError, UsageError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.objects.plan import Owned
from bundler.core.progress import SILENT
from bundler.install import install
from tests.listing import listing
from tests.parts.registry import Registry
from tests.releases import TARGET, crd, deployment, namespace, pod_spec
from tests.site import AT_ONCE, Field, field_of_work

pytestmark = pytest.mark.needs("apiserver", "docker-registry")


@pytest.fixture(name="on")
def installing(tmp_path: Path, kubeconfig: Path, registry: Registry) -> Iterator[Field]:
    with field_of_work(tmp_path, kubeconfig, registry) as on:
        yield on


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
    made = (on.id("one"), on.id("web", "Deployment", "apps/v1"))
    assert done.plan.created == (home, space, *made, record_id(f"app-{on.mark}", on.home))
    assert done.plan.unchecked == ()
    record = on.record()
    assert (record.version, record.journal, record.history) == ("1.0.0", None, ())
    assert record.installed.target == TARGET
    assert record.installed.registry == f"{on.registry.host}/{on.mark}"
    assert len(record.installed.signers) == 1
    assert set(record.inventory) == {
        Owned(each, True) for each in (space, on.id("one"), on.id("web", "Deployment", "apps/v1"))
    }


def test_installed_again_nothing_changes(on: Field) -> None:
    release = on.release(on.settings("one", key="value"), deployment(on.mark, "web"))
    first = on.install(release)
    everything = first.plan.created
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
    # What a preflight measures, the clock for instance, may differ.
    assert replace(said, dry_run=False, preflight=done.preflight) == done
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
    release = on.release(on.settings("gone"), on.settings("stays"), *adopted)
    on.install(release, take_ownership=True)
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


def test_custom_resources_come_after_their_kind_is_served(on: Field) -> None:
    group = f"{on.mark}.example.org"
    thing = {
        "apiVersion": f"{group}/v1",
        "kind": "Thing",
        "metadata": {"name": "one", "namespace": on.mark},
        "spec": {"text": "hello"},
    }
    said = on.install(on.release(thing, crd(group, "Thing")), dry_run=True)
    assert ObjectId.of(thing) in said.plan.unchecked
    done = on.install(on.release(thing, crd(group, "Thing")))
    assert ObjectId.of(thing) in done.plan.created
    on.cluster.forget()
    found = on.get(ObjectId.of(thing))
    assert found is not None
    assert found["spec"] == {"text": "hello"}
    again = on.install(on.release(thing, crd(group, "Thing")))
    assert again.plan.empty


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
    done = on.install(on.release(pod), take_ownership=True)
    assert on.id("one", "Pod") in done.plan.created


def test_an_install_that_was_killed_is_finished_by_the_next(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    on.install(on.release(on.settings("old"), on.settings("stays", key="1")))
    upgrade = on.release(on.settings("new"), on.settings("stays", key="2"), version="1.1.0")
    real = Cluster.apply

    def dying(
        self: Cluster, obj: JsonObject, *, dry_run: bool = False, force: bool = False
    ) -> JsonObject:
        if not dry_run and obj["metadata"]["name"] == "stays":
            raise KeyboardInterrupt
        return real(self, obj, dry_run=dry_run, force=force)

    monkeypatch.setattr(Cluster, "apply", dying)
    with pytest.raises(KeyboardInterrupt):
        on.install(upgrade)
    monkeypatch.undo()
    halfway = on.record()
    assert halfway.version == "1.0.0"
    assert halfway.journal is not None
    assert (halfway.journal.doing, halfway.journal.version) == ("install", "1.1.0")
    assert halfway.journal.fresh == (on.id("new"),)
    assert Owned(on.id("new"), True) in halfway.inventory
    on.install(upgrade)
    assert on.get(on.id("old")) is None
    assert on.record().journal is None
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
    assert on.record().installed.parameters == {"mode": "loud"}
    with pytest.raises(PolicyError, match="external-host"):
        on.install(release, mode="https://elsewhere.com/x")
    with pytest.raises(UsageError, match="isn't one of this bundle"):
        on.install(release, moed="loud")


def test_an_upgrade_tells_which_parameters_fall_back(
    on: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ParameterTarget("Deployment", "web", "/spec/replicas", None)
    parameter = Parameter(
        name="replicas", type="integer", default=2, description="How many", targets=(place,)
    )
    release = on.release(deployment(on.mark, "web", 2))
    release.parameters = (parameter,)
    on.install(release, replicas="3")
    upgrade = replace(release, version="1.1.0")
    file = upgrade.write(on.folder / "upgrade.tar")
    arguments = ["install", str(file), "--target", TARGET, "--registry", on.site().registry]
    arguments += ["--kubeconfig", str(on.kubeconfig), "--release-namespace", on.home]
    arguments += ["--timeout", "0s"]
    assert run([*arguments, "--allow-unsigned", "--dry-run"]) == 0
    said = capsys.readouterr().out.splitlines()
    start = said.index("release      1.0.0 -> 1.1.0")
    assert said[start + 1] == "parameter    replicas: 3 -> 2 (default)"
    assert said[said.index(f"~ Deployment {on.mark}/web") + 1] == "    /spec/replicas: 3 -> 2"
    assert run([*arguments, "--allow-unsigned", "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["release"]["parameters"] == [
        {"name": "replicas", "before": 3, "after": 2, "default": True}
    ]
    web = done["plan"]["changed"][0]
    assert web["differences"] == [{"pointer": "/spec/replicas", "before": 3, "after": 2}]
    assert on.install(upgrade).release.change == "again"


def test_what_nobody_of_ours_made_is_adopted_once(on: Field) -> None:
    on.write("kubectl", namespace(on.mark))
    on.write("kubectl", on.settings("found", key="theirs"))
    release = on.release(on.settings("found", key="theirs", more="ours"))
    done = on.install(release, take_ownership=True)
    space = ObjectId("v1", "Namespace", None, on.mark)
    assert done.plan.adopted == (space, on.id("found"))
    found = done.plan.differences[on.id("found")]
    assert [(each.pointer, each.before, each.after) for each in found] == [
        ("/data/more", None, "ours")
    ]
    again = on.install(release)
    assert again.plan.empty
    assert Owned(on.id("found"), False) in on.record().inventory


def test_a_record_may_live_in_a_namespace_of_the_bundle(on: Field) -> None:
    release, site = (
        on.release(on.settings("one")),
        replace(on.site(), access=replace(on.access, release_namespace=on.mark)),
    )
    with release.opened(on.folder) as bundle:
        first = install(bundle, site, SILENT, manner=AT_ONCE)
        again = install(bundle, site, SILENT, manner=AT_ONCE)
    assert first.plan.created[0] == ObjectId("v1", "Namespace", None, on.mark)
    assert on.get(record_id(release.name, on.mark)) is not None
    assert again.plan.empty


def test_the_command_shows_the_plan_and_then_does_it(
    on: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    file = on.release(on.settings("one")).write(on.folder / "demo.tar")
    arguments = ["install", str(file), "--target", TARGET, "--registry", on.site().registry]
    arguments += ["--kubeconfig", str(on.kubeconfig), "--release-namespace", on.home]
    arguments += ["--timeout", "0s"]
    arguments += ["--allow-unsigned"]
    assert run([*arguments, "--dry-run"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert f"+ Namespace {on.mark}" in said
    assert f"? ConfigMap {on.mark}/one" in said
    assert "plan         2 to create, 2 not checked yet" in said
    assert "release      1.0.0 (new)" in said
    assert said[-1] == f"dry run      app-{on.mark} 1.0.0, target dev: nothing was installed"
    assert run(arguments) == 0
    done = capsys.readouterr().out.splitlines()
    assert f"+ ConfigMap {on.mark}/one" in done
    assert "plan         4 created" in done
    assert done[-1] == f"installed    app-{on.mark} 1.0.0, target dev"
    assert run([*arguments, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["status"], again["plan"]["created"], again["push"]["blobs"]) == (
        "UNTRUSTED",
        [],
        0,
    )


def job(on: Field, argument: str, stage: str) -> JsonObject:
    spec = pod_spec() | {"restartPolicy": "Never"}
    spec["containers"][0]["args"] = [argument]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "fill",
            "namespace": on.mark,
            "labels": {"airbundle.dev/stage": stage},
        },
        "spec": {"template": {"spec": spec}},
    }


def test_a_job_that_fills_volumes_is_made_anew_where_it_can_not_be_changed(on: Field) -> None:
    on.install(on.release(job(on, "one", "load")))
    fill = on.id("fill", "Job", "batch/v1")
    before = on.get(fill)
    done = on.install(on.release(job(on, "two", "load"), version="1.1.0"))
    assert fill in done.plan.changed
    after = on.get(fill)
    assert before is not None
    assert after is not None
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["spec"]["template"]["spec"]["containers"][0]["args"] == ["two"]


def test_any_other_job_that_can_not_be_changed_is_refused(on: Field) -> None:
    on.install(on.release(job(on, "one", "other")))
    with pytest.raises(ClusterError, match="field is immutable"):
        on.install(on.release(job(on, "two", "other"), version="1.1.0"))


def test_what_fills_volumes_is_complete_before_what_mounts_them_is_applied(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[tuple[list[ObjectId], bool]] = []
    web = on.id("web", "Deployment", "apps/v1")

    def wait(ids: Sequence[ObjectId]) -> None:
        waits.append((list(ids), on.get(web) is not None))

    monkeypatch.setattr(verb, "checks_of", lambda *_: Checks(wait=wait))
    fill = on.id("fill", "Job", "batch/v1")
    space = ObjectId("v1", "Namespace", None, on.mark)
    on.install(on.release(deployment(on.mark, "web"), job(on, "one", "load")))
    assert waits == [([fill], False), ([space, fill, web], True)]
