"""`airbundle status`, on a real API server and a real registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bundler.cli.main import run
from bundler.cluster.release import lease
from bundler.cluster.release.record import Journal
from bundler.core.errors import ClusterError, UsageError
from bundler.core.objects.differences import Difference
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.status import ReleaseStatus, status
from tests.listing import listing
from tests.parts.registry import Registry
from tests.releases import deployment
from tests.site import Field, field_of_work

pytestmark = pytest.mark.needs("apiserver", "docker-registry")

UNWELL = ClusterError.exit_code


@pytest.fixture(name="on")
def installing(tmp_path: Path, kubeconfig: Path, registry: Registry) -> Iterator[Field]:
    with field_of_work(tmp_path, kubeconfig, registry) as on:
        yield on


def one(on: Field) -> ReleaseStatus:
    (found,) = status(f"app-{on.mark}", on.access).releases
    return found


def told(on: Field, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    """The exit code, and what is printed."""
    kubeconfig = ("--kubeconfig", str(on.kubeconfig), "--release-namespace", on.home)
    code = run(["status", *kubeconfig, *more])
    return code, capsys.readouterr().out


def secret(on: Field, **data: str) -> JsonObject:
    metadata = {"name": "token", "namespace": on.mark}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}


def noted(on: Field, **journal: Any) -> None:
    """The record says that something goes on."""
    start = Journal("install", "sha256:" + "0" * 64, "1.1.0", "dev", False, ())
    record = replace(on.record(), journal=replace(start, **journal))
    on.write(f"airbundle:{on.home}/app-{on.mark}", record.secret(on.home))


def test_a_release_that_is_well(on: Field, capsys: pytest.CaptureFixture[str]) -> None:
    on.install(on.release(on.settings("one", key="value")))
    everything = (on.id("one"), ObjectId("v1", "Namespace", None, on.mark))
    before, stored = on.versions(*everything), listing(on.registry)
    code, text = told(on, capsys)
    record = on.record()
    assert (code, text.splitlines()) == (
        0,
        [
            f"release      app-{on.mark} 1.0.0",
            "target       dev",
            f"registry     {on.registry.host}/{on.mark}",
            f"index        {record.index}",
            f"signed by    {record.installed.signers[0]}",
            "drift        nothing has drifted",
            "objects      2 of 2 objects ready",
        ],
    )
    assert (on.versions(*everything), listing(on.registry)) == (before, stored)


def test_the_inventory_names_what_is_well(on: Field, capsys: pytest.CaptureFixture[str]) -> None:
    on.install(on.release(on.settings("one")))
    text = told(on, capsys, f"app-{on.mark}", "--inventory")[1]
    assert f"= ConfigMap {on.mark}/one: is there\n" in text
    assert f"= Namespace {on.mark}: is there\n" in text


def test_what_others_changed_is_told_field_by_field(
    on: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    on.install(on.release(on.settings("one", key="ours", same="yes")))
    on.write("kubectl", on.settings("one", key="theirs", added="by others"))
    found = {each.id: each for each in one(on).objects}[on.id("one")]
    assert found.drift == (Difference("/data/key", "ours", "theirs"),)
    code, text = told(on, capsys)
    assert code == UNWELL
    assert f'~ ConfigMap {on.mark}/one: is there\n    /data/key: "ours" -> "theirs"\n' in text
    assert "2 of 2 objects ready, 1 changed by others" in text
    assert "nothing has drifted" not in text


def test_a_secret_that_others_changed_is_masked(
    on: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    on.install(on.release(secret(on, key="ours")))
    on.write("kubectl", secret(on, key="theirs"))
    for form in ((), ("--json",)):
        text = told(on, capsys, *form)[1]
        assert "/data/key" in text
        assert "***" in text
        assert not {"b3Vycw==", "dGhlaXJz", "theirs"} & set(text.split('"'))


def test_what_is_missing_is_named(on: Field, capsys: pytest.CaptureFixture[str]) -> None:
    on.install(on.release(on.settings("one"), on.settings("two")))
    live = on.get(on.id("two"))
    assert live is not None
    on.cluster.delete(on.id("two"), live["metadata"]["uid"])
    code, text = told(on, capsys)
    assert code == UNWELL
    assert f"! ConfigMap {on.mark}/two: is not there\n" in text
    assert "2 of 3 objects ready, 1 missing" in text


def test_what_is_not_ready_is_told_with_the_reason(
    on: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    on.install(on.release(deployment(on.mark, "web", 2)))
    code, text = told(on, capsys)
    assert code == UNWELL
    assert f"… Deployment {on.mark}/web: 0 of 2 replicas there\n" in text


def test_a_release_that_was_cut_off_says_how_to_go_on(
    on: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    on.install(on.release(on.settings("one")))
    noted(on)
    code, text = told(on, capsys)
    assert code == UNWELL
    assert (
        "under way    an install of 1.1.0 (dev) was cut off: `airbundle install` of the same file "
        f"again continues, `airbundle rollback app-{on.mark} --key PUB` goes back\n"
    ) in text
    assert "drift        can't be told: what is applied is between two releases\n" in text


def test_each_way_of_being_cut_off_has_its_way_on(on: Field) -> None:
    on.install(on.release(on.settings("one")))
    ways: tuple[tuple[dict[str, Any], str], ...] = (
        ({"first": True}, "`airbundle uninstall app"),
        ({"doing": "going back"}, "going back to 1.1.0 (dev) was cut off: `airbundle rollback"),
        ({"doing": "uninstall"}, "an uninstall was cut off: `airbundle uninstall app"),
    )
    for journal, says in ways:
        noted(on, **journal)
        found = one(on)
        assert says in str(found.under_way)
        assert (found.settled, found.well) == (not journal.get("first", False), False)


def test_who_holds_the_lease_is_named(on: Field) -> None:
    on.install(on.release(on.settings("one")))
    name = f"app-{on.mark}"
    made = lease._lease(lease.lease_id(name, on.home), "other-host/12/boot/1")
    on.cluster.create(made)
    assert str(one(on).under_way).startswith("other-host, process 12 holds the lease, renewed 20")
    noted(on)
    assert "is going on, or was cut off a moment ago: other-host" in str(one(on).under_way)


def test_without_the_registry_the_rest_is_told(
    on: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    on.install(on.release(on.settings("one")))
    record = on.record()
    elsewhere = replace(record.installed, registry="127.0.0.1:1/nothing")
    manager = f"airbundle:{on.home}/app-{on.mark}"
    on.write(manager, replace(record, installed=elsewhere).secret(on.home))
    code, text = told(on, capsys)
    assert code == UNWELL
    assert "drift        can't be told: registry 127.0.0.1:1" in text
    assert "--registry-ca" in text
    assert "nothing has drifted" not in text
    assert "2 of 2 objects ready\n" in text


def test_a_site_overlay_that_the_record_no_longer_has_is_told(on: Field) -> None:
    on.install(on.release(on.settings("one")))
    record = on.record()
    past = replace(record.installed, overlay="sha256:" + "0" * 64)
    manager = f"airbundle:{on.home}/app-{on.mark}"
    on.write(manager, replace(record, installed=past).secret(on.home))
    assert "the overlay of the release" in str(one(on).undrifted)


def test_drift_that_the_server_can_not_say_is_no_silence(on: Field) -> None:
    on.install(on.release(on.settings("one", key="ours")))
    on.write("kubectl", on.settings("one", key="theirs") | {"immutable": True})
    found = {each.id: each for each in one(on).objects}[on.id("one")]
    assert "field is immutable" in str(found.unknown)
    assert (found.state, found.well) == ("current", False)


def test_all_releases_are_told(on: Field, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(on, capsys) == (0, f"releases     none in the namespace {on.home}\n")
    on.install(on.release(on.settings("one")))
    on.install(replace(on.release(on.settings("two"), name="other"), objects=[on.settings("two")]))
    releases = json.loads(told(on, capsys, "--json")[1])["releases"]
    assert [each["name"] for each in releases] == [f"app-{on.mark}", f"other-{on.mark}"]
    assert [each["well"] for each in releases] == [True, True]
    assert releases[0]["objects"][1]["id"] == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "namespace": on.mark,
        "name": "one",
    }


def test_an_unknown_release_is_named_with_those_there(on: Field) -> None:
    on.install(on.release(on.settings("one")))
    with pytest.raises(UsageError, match=f"there is app-{on.mark}"):
        status("nothing", on.access)
