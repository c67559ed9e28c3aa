"""What an install refuses, on a real API server and a real registry, with nothing changed."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bundler import install as verb
from bundler.cluster.planning import present
from bundler.cluster.push import push_bundle
from bundler.cluster.release.record import (
    SECRET_TYPE,
    find_record,
    managers,
    read_records,
    record_id,
)
from bundler.core.errors import ClusterError, SourceError, UsageError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.progress import SILENT
from bundler.install import install
from tests.listing import listing
from tests.parts.registry import Registry
from tests.releases import Release, config_map, crd, deployment, namespace
from tests.site import AT_ONCE, Field, field_of_work

pytestmark = pytest.mark.needs("apiserver", "docker-registry")


@pytest.fixture(name="on")
def installing(tmp_path: Path, kubeconfig: Path, registry: Registry) -> Iterator[Field]:
    with field_of_work(tmp_path, kubeconfig, registry) as on:
        yield on


def test_somebody_else_s_field_is_not_overwritten(on: Field) -> None:
    release = on.release(on.settings("one", key="ours"))
    on.install(release)
    on.write("kubectl-edit", on.settings("one", key="theirs"))
    stored = listing(on.registry)
    changed = on.release(on.settings("one", key="new"), version="1.1.0")
    with pytest.raises(
        ClusterError, match=r'ConfigMap .*/one: .*\.data\.key of "kubectl-edit"'
    ) as caught:
        on.install(changed)
    assert "--take-ownership gives them the bundle's values again" in str(caught.value.hint)
    found = on.get(on.id("one"))
    assert found is not None
    assert found["data"] == {"key": "theirs"}
    assert listing(on.registry) == stored


def test_an_object_of_a_new_kind_without_its_namespace_is_refused(on: Field) -> None:
    group = f"{on.mark}.example.org"
    thing = {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": {"name": "one"}}
    stored = listing(on.registry)
    with pytest.raises(ClusterError, match="Thing one: expected a namespace, found none"):
        on.install(on.release(on.settings("one"), thing, crd(group, "Thing")))
    assert on.get(ObjectId.of(crd(group, "Thing"))) is None
    assert on.get(ObjectId("v1", "Namespace", None, on.mark)) is None
    assert listing(on.registry) == stored


def test_an_object_that_its_new_kind_would_not_take_is_refused(on: Field) -> None:
    group = f"{on.mark}.example.org"
    metadata = {"name": "one", "namespace": on.mark}
    thing = {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": metadata}
    wrong = thing | {"spec": {"text": 5, "txet": "x"}}
    stored = listing(on.registry)
    with pytest.raises(ClusterError, match=r"spec\.text: expected type string") as caught:
        on.install(on.release(crd(group, "Thing"), wrong))
    assert f"Thing {on.mark}/one: spec.txet: expected a field that" in caught.value.message
    assert on.get(ObjectId.of(crd(group, "Thing"))) is None
    assert listing(on.registry) == stored


def test_an_older_version_is_refused(on: Field) -> None:
    on.install(on.release(on.settings("one", key="new"), version="1.10.0"))
    with pytest.raises(
        ClusterError, match=r"1\.10\.0 is installed, and this bundle is the older"
    ) as caught:
        on.install(on.release(on.settings("one", key="old"), version="1.9.0"))
    assert f"airbundle rollback app-{on.mark}" in str(caught.value.hint)
    found = on.get(on.id("one"))
    assert found is not None
    assert found["data"] == {"key": "new"}


def test_an_object_of_another_release_is_refused(on: Field) -> None:
    on.install(on.release(on.settings("one")))
    with pytest.raises(ClusterError, match=f"app-{on.mark} 1.0.0, and rival-{on.mark} has it"):
        on.install(on.release(name="rival"))


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
def test_another_release_namespace_takes_nothing_over(on: Field, version: str) -> None:
    release = on.release(on.settings("one", key="new"), version="1.1.0")
    on.install(release)
    before, stored = on.versions(on.id("one")), listing(on.registry)
    other = replace(on.site(), access=replace(on.access, release_namespace=f"{on.mark}-rival"))
    rival = on.release(on.settings("one", key="old"), version=version)
    with rival.opened(on.folder) as bundle, pytest.raises(ClusterError) as caught:
        install(bundle, replace(other, registry=f"{on.registry.host}/{on.mark}-2"), SILENT)
    assert caught.value.message == (
        f"Namespace {on.mark}: belongs to the release app-{on.mark} 1.1.0, whose record is in "
        f"the namespace {on.home}"
    )
    assert f"--release-namespace {on.home}" in str(caught.value.hint)
    assert (on.versions(on.id("one")), listing(on.registry)) == (before, stored)
    assert on.get(ObjectId("v1", "Namespace", None, f"{on.mark}-rival")) is None


def test_fields_of_another_release_are_refused_by_the_server_itself(on: Field) -> None:
    release = on.release(on.settings("one", key="new"), version="1.1.0")
    on.install(release)
    record = record_id(release.name, on.home)
    secret = on.get(record)
    assert secret is not None
    on.cluster.delete(record, secret["metadata"]["uid"])
    before = on.versions(on.id("one"))
    other = replace(on.site(), access=replace(on.access, release_namespace=f"{on.mark}-rival"))
    rival = on.release(on.settings("one", key="old"))
    manager = f"airbundle:{on.home}/app-{on.mark}"
    with (
        rival.opened(on.folder) as bundle,
        pytest.raises(ClusterError, match=f'data.key of "{manager}"'),
    ):
        install(bundle, other, SILENT, dry_run=True)
    assert on.versions(on.id("one")) == before


def test_what_the_server_stops_half_way_says_how_far_it_came(on: Field) -> None:
    broken = on.settings("two") | {"data": {"not a key": "x"}}
    release = on.release(on.settings("one"), broken)
    with pytest.raises(ClusterError, match="422 Invalid") as caught:
        on.install(release, manner=replace(AT_ONCE, keep_failed=True))
    assert caught.value.message.endswith(
        f"; stopped half way, applied before: Namespace {on.home}, Namespace {on.mark}, "
        f"ConfigMap {on.mark}/one"
    )


def test_what_the_server_stops_half_way_is_removed_again(on: Field) -> None:
    broken = on.settings("two") | {"data": {"not a key": "x"}}
    release = on.release(on.settings("one"), broken)
    with pytest.raises(ClusterError, match="422 Invalid") as caught:
        on.install(release)
    assert "; what it made was removed again" in caught.value.message
    assert "half way" not in caught.value.message
    assert on.get(on.id("one")) is None
    assert on.get(record_id(release.name, on.home)) is None


def team(on: Field, *objects: JsonObject) -> Callable[..., object]:
    """A push during which somebody else makes objects."""

    def pushing(*rest: Any) -> object:
        done = push_bundle(*rest)
        for obj in objects:
            on.write("other-team", obj)
        return done

    return pushing


def test_what_others_make_since_the_plan_is_neither_taken_nor_removed(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    on.install(on.release(on.settings("one", key="1")))
    before = on.record()
    theirs = on.settings("shared", key="same", more="theirs")
    monkeypatch.setattr(verb, "push_bundle", team(on, theirs))
    wanted = (on.settings("one", key="2"), on.settings("shared", key="same"))
    with pytest.raises(
        ClusterError, match=f"ConfigMap {on.mark}/shared: was made by somebody else since the plan"
    ):
        on.install(on.release(*wanted, version="1.1.0"))
    found, one = on.get(on.id("shared")), on.get(on.id("one"))
    assert found is not None
    assert one is not None
    assert (found["data"], managers(found)) == (theirs["data"], ("other-team",))
    assert (one["data"], on.record()) == ({"key": "1"}, before)


def test_a_namespace_of_the_record_that_others_make_since_the_plan_is_not_ours(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "push_bundle", team(on, namespace(on.home)))
    with pytest.raises(ClusterError, match=f"Namespace {on.home}: was made by somebody else"):
        on.install(on.release(on.settings("one")))
    found = on.get(ObjectId("v1", "Namespace", None, on.home))
    assert found is not None
    assert managers(found) == ("other-team",)
    assert on.get(on.id("one")) is None


def test_a_namespace_of_the_record_that_another_release_makes_is_for_both(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pushing(*rest: Any) -> object:
        monkeypatch.setattr(verb, "push_bundle", push_bundle)
        on.install(other)
        return push_bundle(*rest)

    place = f"{on.mark}b"
    other = Release(f"other-{on.mark}", [namespace(place), config_map(place, "one")])
    monkeypatch.setattr(verb, "push_bundle", pushing)
    on.install(on.release(on.settings("one")))
    assert (on.record().name, on.record("other").name) == (f"app-{on.mark}", other.name)
    live = on.get(ObjectId("v1", "Namespace", None, place))
    assert live is not None
    on.cluster.delete(ObjectId.of(live), live["metadata"]["uid"])


def test_what_went_from_the_registry_since_it_was_pushed_is_noticed(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pushing(*rest: Any) -> object:
        done = push_bundle(*rest)
        tags = on.registry.storage / "docker/registry/v2/repositories" / on.mark
        for each in tags.rglob("_manifests"):
            shutil.rmtree(each)
        return done

    monkeypatch.setattr(verb, "push_bundle", pushing)
    with pytest.raises(SourceError, match="was pushed and is there no longer") as caught:
        on.install(on.release(on.settings("one"), deployment(on.mark, "web")))
    assert "run the same command again" in str(caught.value.hint)
    assert on.get(on.id("one")) is None
    assert on.get(record_id(f"app-{on.mark}", on.home)) is None


def test_a_bundle_that_can_not_be_published_is_installed_and_said_so(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*rest: Any) -> object:
        raise SourceError("registry: answered 503", "is it up?")

    release = on.release(on.settings("one"))
    with monkeypatch.context() as patched:
        patched.setattr(verb, "push_artifact", away)
        with pytest.raises(SourceError, match=r"1\.0\.0 is installed and runs, but its") as caught:
            on.install(release)
    assert caught.value.message.endswith("registry: answered 503")
    assert "run the same command again" in str(caught.value.hint)
    assert on.record().version == "1.0.0"
    bundles = on.registry.storage / "docker/registry/v2/repositories" / on.mark / "bundles"
    assert list(bundles.rglob("tags")) == []
    assert on.install(release).plan.empty
    assert len(list(bundles.rglob("tags"))) == 1


def test_more_objects_than_a_record_holds_are_refused_before_anything_is_done(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(present, "MOST_BYTES", 1000)
    stored = listing(on.registry)
    many = [on.settings(f"c{number}") for number in range(5)]
    with pytest.raises(ClusterError, match=r"a Secret holds 1000: it names 6 objects") as caught:
        on.install(on.release(*many))
    assert "several bundles" in str(caught.value.hint)
    assert listing(on.registry) == stored
    assert on.get(ObjectId("v1", "Namespace", None, on.home)) is None


def test_secrets_of_the_records_type_that_are_none_stop_no_other_release(on: Field) -> None:
    on.install(on.release(on.settings("one")))
    for name in ("somebody", "airbundle.other"):
        metadata = {"name": name, "namespace": on.home}
        secret = {"apiVersion": "v1", "kind": "Secret", "type": SECRET_TYPE}
        on.write("tests", secret | {"metadata": metadata})
    on.install(on.release(on.settings("one", key="2"), version="1.1.0"))
    assert on.record().version == "1.1.0"
    assert find_record(on.cluster, f"app-{on.mark}", on.home) == on.record()
    with pytest.raises(UsageError, match=f"there is app-{on.mark}, other$"):
        find_record(on.cluster, "none", on.home)
    with pytest.raises(ClusterError, match=r"airbundle\.other: expected the record") as caught:
        read_records(on.cluster, on.home, "other")
    hint = f"kubectl -n {on.home} get secret airbundle.other -o yaml"
    assert hint in str(caught.value.hint)
    with pytest.raises(ClusterError, match=r"airbundle\.other: expected the record"):
        read_records(on.cluster, on.home)


def test_a_version_with_other_content_is_refused_before_anything_is_done(on: Field) -> None:
    on.install(on.release(on.settings("one", key="first")))
    with pytest.raises(SourceError, match="already published with other content"):
        on.install(on.release(on.settings("one", key="second")))
    found = on.get(on.id("one"))
    assert found is not None
    assert found["data"] == {"key": "first"}


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


def test_a_cluster_cannot_pull_from_a_folder(on: Field, tmp_path: Path) -> None:
    site = replace(on.site(), registry=f"oci:{tmp_path / 'layout'}")
    with (
        on.release(on.settings("one")).opened(on.folder) as bundle,
        pytest.raises(UsageError, match="can't pull from a folder"),
    ):
        install(bundle, site, SILENT, manner=AT_ONCE)
