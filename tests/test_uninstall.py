"""`airbundle uninstall`, on a real API server: what goes, and what is somebody else's, or data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bundler import uninstall as verb
from bundler.cli.main import run
from bundler.cluster.client import Cluster
from bundler.cluster.release.lease import Held, held, lease_id
from bundler.cluster.release.record import record_id
from bundler.cluster.transaction import removal
from bundler.core.errors import ClusterError, UsageError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.progress import SILENT
from bundler.install import install
from bundler.tools.http import Answer, Session
from bundler.uninstall import Uninstalled, uninstall
from tests.parts.registry import Registry
from tests.releases import crd, namespace
from tests.site import AT_ONCE, Field, field_of_work
from tests.test_transaction import claim

pytestmark = pytest.mark.needs("apiserver", "docker-registry")


@pytest.fixture(name="on")
def installing(tmp_path: Path, kubeconfig: Path, registry: Registry) -> Iterator[Field]:
    with field_of_work(tmp_path, kubeconfig, registry) as on:
        yield on


def away(on: Field, *, delete_data: bool = False, dry_run: bool = False) -> Uninstalled:
    """No controller takes namespaces away here, so that nothing waits for it."""
    return uninstall(
        f"app-{on.mark}",
        on.access,
        SILENT,
        delete_data=delete_data,
        dry_run=dry_run,
        timeout=0,
    )


def space(name: str) -> ObjectId:
    return ObjectId("v1", "Namespace", None, name)


def test_it_leaves_nothing(on: Field) -> None:
    on.install(on.release(on.settings("one"), on.settings("two")))
    record = record_id(f"app-{on.mark}", on.home)
    done = away(on)
    objects = (on.id("two"), on.id("one"), space(on.mark), record, space(on.home))
    assert (done.removed, done.kept) == (objects, ())
    assert all(on.gone(each) for each in objects)
    assert on.get(lease_id(f"app-{on.mark}", on.home)) is None


def test_what_has_but_a_name_goes_too(on: Field) -> None:
    account: dict[str, Any] = {"apiVersion": "v1", "kind": "ServiceAccount"}
    account |= {"metadata": {"name": "web", "namespace": on.mark, "creationTimestamp": None}}
    on.install(on.release(account))
    assert on.install(on.release(account)).plan.empty
    assert away(on).kept == ()
    assert on.gone(on.id("web", "ServiceAccount"))
    assert on.gone(space(on.mark))


def test_a_dry_run_takes_nothing_and_says_what_then_goes(on: Field) -> None:
    on.install(on.release(on.settings("one"), claim(on, "data")))
    objects = (on.id("one"), space(on.mark), record_id(f"app-{on.mark}", on.home), space(on.home))
    before = on.versions(*objects)
    said = away(on, dry_run=True)
    assert on.versions(*objects) == before
    done = away(on)
    assert (said.removed, said.kept) == (done.removed, done.kept)


def test_volumes_stay_unless_they_are_to_go(on: Field) -> None:
    on.install(on.release(on.settings("one"), claim(on, "data")))
    done = away(on)
    data = ObjectId.of(claim(on, "data"))
    assert {each.id: each.why for each in done.kept} == {
        data: "it holds data",
        space(on.mark): f"holds {data}, which is kept",
    }
    assert not on.gone(data)
    assert not on.gone(space(on.mark))
    assert on.get(on.id("one")) is None


def test_volumes_go_when_that_is_said(on: Field) -> None:
    on.install(on.release(on.settings("one"), claim(on, "data")))
    done = away(on, delete_data=True)
    assert done.kept == ()
    assert on.gone(ObjectId.of(claim(on, "data")))
    assert on.gone(space(on.mark))


def test_what_was_there_before_stays(on: Field) -> None:
    on.write("kubectl", namespace(on.mark))
    on.write("kubectl", on.settings("found", key="theirs"))
    release = on.release(on.settings("found", key="theirs"), on.settings("ours"))
    on.install(release, take_ownership=True)
    before = on.versions(space(on.mark))
    done = away(on)
    assert {each.why for each in done.kept} == {"it was there before the release"}
    assert on.get(on.id("found")) is not None
    assert on.get(on.id("ours")) is None
    assert on.versions(space(on.mark)) == before


def test_a_namespace_with_something_of_others_in_it_stays(on: Field) -> None:
    on.install(on.release(on.settings("one")))
    on.write("kubectl", on.settings("theirs"))
    done = away(on)
    assert [(each.id, each.why) for each in done.kept] == [
        (space(on.mark), f"{on.id('theirs')} is not of this release")
    ]
    assert not on.gone(space(on.mark))
    assert on.get(on.id("theirs")) is not None


def test_what_only_follows_holds_no_namespace(on: Field) -> None:
    on.install(on.release(on.settings("one")))
    one = on.get(on.id("one"))
    assert one is not None
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "one", "uid": one["metadata"]["uid"]}
    owned = on.settings("owned")
    owned["metadata"]["ownerReferences"] = [owner]
    event = {"apiVersion": "v1", "kind": "Event", "metadata": on.settings("told")["metadata"]}
    event |= {"involvedObject": {"namespace": on.mark}}
    account: dict[str, Any] = {"apiVersion": "v1", "kind": "ServiceAccount"}
    account |= {"metadata": on.settings("default")["metadata"]}
    for each in (owned, event, account, on.settings("kube-root-ca.crt")):
        on.write("cluster", each)
    assert away(on).kept == ()
    assert on.gone(space(on.mark))


def test_what_somebody_made_anew_stays(on: Field) -> None:
    on.install(on.release(on.settings("one")))
    live = on.get(on.id("one"))
    assert live is not None
    on.cluster.delete(on.id("one"), live["metadata"]["uid"])
    on.write("kubectl", on.settings("one", key="theirs"))
    done = away(on)
    assert done.kept[0].why == "somebody else made it anew"
    assert on.get(on.id("one")) is not None


def test_a_kind_that_others_use_stays(on: Field) -> None:
    group = f"{on.mark}.example.org"
    kind = crd(group, "Thing")
    thing: JsonObject = {
        "apiVersion": f"{group}/v1",
        "kind": "Thing",
        "metadata": {"name": "one", "namespace": on.mark},
        "spec": {"text": "ours"},
    }
    on.install(on.release(kind, thing))
    on.cluster.forget()
    theirs = thing | {"metadata": {"name": "theirs", "namespace": "default"}}
    on.write("kubectl", theirs)
    done = away(on)
    assert [each.id for each in done.kept] == [ObjectId.of(kind)]
    assert "default/theirs" in done.kept[0].why
    on.cluster.forget()
    assert on.get(ObjectId.of(theirs)) is not None
    assert on.get(ObjectId.of(thing)) is None


def test_a_kind_that_nobody_else_uses_goes(on: Field) -> None:
    kind = crd(f"{on.mark}.example.org", "Thing")
    on.install(on.release(kind))
    assert away(on).kept == ()
    assert on.gone(ObjectId.of(kind))


def test_the_record_s_namespace_stays_for_another_release(on: Field) -> None:
    on.install(on.release(on.settings("one")))
    other = on.release(name="other")
    other.objects = [namespace(f"{on.mark}-other")]
    on.install(other)
    assert space(on.home) not in away(on).removed
    done = uninstall(f"other-{on.mark}", on.access, SILENT, timeout=0)
    assert done.removed[-1] == space(on.home)


def test_a_namespace_that_somebody_made_for_the_records_stays(on: Field) -> None:
    on.write("kubectl", namespace(on.home))
    on.install(on.release(on.settings("one")))
    assert space(on.home) not in away(on).removed
    assert not on.gone(space(on.home))


def test_the_record_s_namespace_stays_for_things_of_others(on: Field) -> None:
    on.install(on.release(on.settings("one")))
    theirs = on.settings("theirs")
    theirs["metadata"]["namespace"] = on.home
    on.write("kubectl", theirs)
    assert space(on.home) not in away(on, dry_run=True).removed
    assert space(on.home) not in away(on).removed
    assert not on.gone(space(on.home))


def test_it_does_not_get_into_an_install(on: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    on.install(on.release(on.settings("one")))

    class NeverError(Exception):
        """It would be waited for."""

    def never(seconds: float) -> None:
        raise NeverError

    lease = lease_id(f"app-{on.mark}", on.home)
    on.cluster.create(
        {
            "apiVersion": lease.api_version,
            "kind": lease.kind,
            "metadata": {"name": lease.name, "namespace": lease.namespace},
            "spec": {"holderIdentity": "elsewhere/17/boot/mark"},
        }
    )
    monkeypatch.setattr(verb, "time", SimpleNamespace(sleep=never))
    with pytest.raises(NeverError):
        away(on)
    assert not on.gone(on.id("one"))


def test_an_install_that_ended_meanwhile_is_taken_away_too(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    on.install(on.release(on.settings("one")))

    def late(*asked: Any) -> Any:
        on.install(on.release(on.settings("one"), on.settings("two"), version="1.1.0"))
        return held(*asked)

    monkeypatch.setattr(verb, "held", late)
    done = away(on)
    assert done.version == "1.1.0"
    assert on.gone(on.id("two"))


def test_what_hangs_keeps_its_record(on: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    on.install(on.release(on.settings("one")))
    held = on.settings("one")
    held["metadata"]["finalizers"] = ["example.org/hold"]
    del held["data"]
    on.write("kubectl", held)
    monkeypatch.setattr(verb, "time", SimpleNamespace(sleep=lambda seconds: None))
    with pytest.raises(ClusterError, match=r"one: is still being deleted .*example\.org/hold"):
        uninstall(f"app-{on.mark}", on.access, SILENT, timeout=2)
    journal = on.record().journal
    assert journal is not None
    assert journal.doing == "uninstall"


def test_a_record_in_a_namespace_of_the_bundle_goes_before_it(on: Field) -> None:
    release = on.release(on.settings("one"))
    access = replace(on.access, release_namespace=on.mark)
    with release.opened(on.folder) as bundle:
        install(bundle, replace(on.site(), access=access), SILENT, manner=AT_ONCE)
    done = uninstall(release.name, access, SILENT, timeout=0)
    assert done.removed[-2:] == (record_id(release.name, on.mark), space(on.mark))


def test_killed_at_any_moment_it_goes_on(on: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    on.install(on.release(on.settings("one"), on.settings("two")))
    left = {"at": 1}
    real = Cluster.delete

    def dying(self: Cluster, object_id: ObjectId, uid: str, **how: Any) -> None:
        if object_id.kind != "Lease":
            left["at"] -= 1
            if left["at"] < 0:
                raise KeyboardInterrupt
        real(self, object_id, uid, **how)

    with monkeypatch.context() as patched:
        patched.setattr(Cluster, "delete", dying)
        for at in (0, 1):
            left["at"] = at
            with pytest.raises(KeyboardInterrupt):
                away(on)
            journal = on.record().journal
            assert journal is not None
            assert journal.doing == "uninstall"
    away(on)
    assert all(on.gone(each) for each in (on.id("one"), on.id("two"), space(on.mark)))
    assert on.get(record_id(f"app-{on.mark}", on.home)) is None


def test_what_hangs_is_named_with_what_holds_it(on: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    on.install(on.release(on.settings("one")))
    waited: list[float] = []
    record = on.record()
    plan = removal.plan_removal(on.cluster, record, on.home, data=False)
    held = {"metadata": {"name": "one", "uid": "one", "finalizers": ["example.org/hold"]}}
    monkeypatch.setattr(Cluster, "get", lambda self, object_id: held)
    with pytest.raises(ClusterError, match=r"still being deleted after 2 .*example\.org/hold"):
        removal._await_gone(on.cluster, {plan.removed[0]: "one"}, 2, waited.append)
    assert sum(waited) >= 2


def test_one_that_is_not_there_is_told(on: Field) -> None:
    with pytest.raises(UsageError, match=f"app-{on.mark}: is not installed"):
        away(on)


def test_the_command_says_what_went_and_what_stays(
    on: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    on.install(on.release(on.settings("one"), claim(on, "data")))
    arguments = ["uninstall", f"app-{on.mark}", "--kubeconfig", str(on.kubeconfig)]
    arguments += ["--release-namespace", on.home, "--timeout", "0s"]
    assert run(arguments) == 0
    said = capsys.readouterr().out.splitlines()
    assert f"- {on.id('one')}" in said
    assert f"! {ObjectId.of(claim(on, 'data'))}  (kept: it holds data)" in said
    assert said[-1] == f"uninstalled  app-{on.mark} 1.0.0: 3 objects removed, 2 kept"


def test_what_was_kept_is_the_release_s_again(on: Field) -> None:
    on.write("kubectl", namespace(on.home))
    data = ObjectId.of(claim(on, "data"))
    release = on.release(claim(on, "data"))
    on.install(release)
    away(on)
    on.install(release)
    done = away(on, delete_data=True)
    assert done.kept == ()
    assert on.gone(data)
    assert on.gone(space(on.mark))


def test_what_was_taken_over_stays_also_the_second_time(on: Field) -> None:
    for each in (namespace(on.home), namespace(on.mark), on.settings("found", key="theirs")):
        on.write("kubectl", each)
    release = on.release(on.settings("found", key="theirs"))
    on.install(release, take_ownership=True)
    away(on)
    on.install(release)
    done = away(on, delete_data=True)
    assert {each.id: each.why for each in done.kept}[on.id("found")] == (
        "it was there before the release"
    )
    assert on.get(on.id("found")) is not None


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Has something happen right before the first object is deleted."""

    def happening(deed: Callable[[], object]) -> None:
        real, left = removal.delete, [deed]

        def delete(cluster: Cluster, object_id: ObjectId, uid: str, *, foreground: bool) -> str:
            if left:
                left.pop()()
            return real(cluster, object_id, uid, foreground=foreground)

        monkeypatch.setattr(removal, "delete", delete)

    return happening


def test_what_somebody_makes_anew_meanwhile_stays(
    on: Field, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    on.install(on.release(on.settings("one"), on.settings("two")))

    def anew() -> None:
        live = on.get(on.id("one"))
        assert live is not None
        on.cluster.delete(on.id("one"), live["metadata"]["uid"])
        on.write("kubectl", on.settings("one", key="theirs"))

    meanwhile(anew)
    done = away(on)
    assert {each.id: each.why for each in done.kept} == {
        on.id("one"): "somebody else made it anew",
        space(on.mark): f"holds {on.id('one')}, which is kept",
    }
    assert on.id("one") not in done.removed
    assert not on.gone(on.id("one"))
    assert not on.gone(space(on.mark))


def test_a_namespace_that_others_come_to_meanwhile_stays(
    on: Field, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    on.install(on.release(on.settings("one")))
    meanwhile(lambda: on.write("kubectl", on.settings("theirs")))
    done = away(on)
    assert [(each.id, each.why) for each in done.kept] == [
        (space(on.mark), f"{on.id('theirs')} is not of this release")
    ]
    assert not on.gone(space(on.mark))


@pytest.mark.parametrize("kind", ["Secret", "Lease"])
def test_the_record_s_namespace_stays_for_a_release_that_comes_meanwhile(
    on: Field, meanwhile: Callable[[Callable[[], object]], None], kind: str
) -> None:
    on.install(on.release(on.settings("one")))
    theirs = {"Secret": record_id, "Lease": lease_id}[kind]("other", on.home)
    place = {"name": theirs.name, "namespace": theirs.namespace}
    obj: JsonObject = {"apiVersion": theirs.api_version, "kind": kind, "metadata": place}
    meanwhile(lambda: on.write("airbundle", obj | ({"type": "x"} if kind == "Secret" else {})))
    done = away(on)
    assert [each.id for each in done.kept] == [space(on.home)]
    assert not on.gone(space(on.home))


def test_without_the_lease_nothing_is_deleted(on: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    on.install(on.release(on.settings("one")))
    asked: list[Held] = []

    def require(lease: Held) -> None:
        asked.append(lease)
        if len(asked) > 1:
            raise ClusterError("the lease was lost")

    monkeypatch.setattr(Held, "require", require)
    with pytest.raises(ClusterError, match="the lease was lost"):
        away(on)
    assert not on.gone(on.id("one"))


def test_an_extension_that_is_down_only_holds_namespaces(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    on.install(on.release(on.settings("one")))
    down, asked = "/apis/metrics.example.org/v1", []
    real = Session.send

    def sending(self: Session, method: str, path: str, **more: Any) -> Answer:
        if path == down:
            assert more["attempts"] == 1
            asked.append(path)
            return Answer(503, {}, b"", path)
        answer = real(self, method, path, **more)
        if path != "/apis":
            return answer
        listed = json.loads(answer.body)
        version = {"groupVersion": "metrics.example.org/v1"}
        group: JsonObject = {"name": "metrics.example.org", "versions": [version]}
        group |= {"preferredVersion": version}
        listed["groups"].append(group)
        return replace(answer, body=json.dumps(listed).encode())

    monkeypatch.setattr(Session, "send", sending)
    plan = away(on, dry_run=True)
    assert [(each.id, each.why) for each in plan.kept] == [
        (space(on.mark), "its metrics.example.org/v1 can't be asked")
    ]
    assert len(asked) == 2  # once a namespace, and not again
    away(on)
    assert on.gone(on.id("one"))
    assert on.get(record_id(f"app-{on.mark}", on.home)) is None
