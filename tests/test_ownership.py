"""What is somebody else's: refused, and with --take-ownership the release's, on a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundler.cli.main import run
from bundler.cluster.release.record import record_id
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.objects.plan import Owned, Taken
from tests.parts.registry import Registry
from tests.releases import crd, deployment, namespace
from tests.site import Field, field_of_work

pytestmark = pytest.mark.needs("apiserver", "docker-registry")


@pytest.fixture(name="on")
def installing(tmp_path: Path, kubeconfig: Path, registry: Registry) -> Iterator[Field]:
    with field_of_work(tmp_path, kubeconfig, registry) as on:
        yield on


def test_what_others_made_and_own_is_refused_all_at_once(on: Field) -> None:
    on.write("kubectl", namespace(on.mark))
    on.write("helm", on.settings("found", key="theirs"))
    on.write("argocd", on.settings("same", key="ours"))
    before = on.versions(on.id("found"), on.id("same"))
    release = on.release(on.settings("found", key="ours"), on.settings("same", key="ours"))
    with pytest.raises(ClusterError, match="is there already, and no release made it") as caught:
        on.install(release)
    message = caught.value.message
    assert f"Namespace {on.mark}" not in message
    assert f"ConfigMap {on.mark}/found: is there already, and no release made it (helm)" in message
    assert 'found them owned by others: .data.key of "helm"' in message
    assert f"ConfigMap {on.mark}/same: is there already" in message
    assert "--take-ownership" in str(caught.value.hint)
    assert on.versions(on.id("found"), on.id("same")) == before
    assert on.get(ObjectId("v1", "Namespace", None, on.home)) is None


def test_a_namespace_that_somebody_made_is_used_and_never_removed(on: Field) -> None:
    space = ObjectId("v1", "Namespace", None, on.mark)
    on.write("kubectl", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": on.mark}})
    assert space in on.install(on.release(on.settings("one"))).plan.adopted
    assert Owned(space, False) in on.record().inventory
    live = on.get(space)
    assert live is not None
    assert live["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_a_namespace_whose_level_is_somebody_s_is_refused(on: Field) -> None:
    theirs = namespace(on.mark)
    theirs["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "baseline"
    on.write("kubectl", theirs)
    with pytest.raises(ClusterError, match=rf"Namespace {on.mark}: expected its fields to be ours"):
        on.install(on.release(on.settings("one")))


@pytest.mark.parametrize("labels", [{"app": "theirs"}, {"app": "theirs", "more": "yes"}])
def test_what_a_stranger_has_under_our_name_is_not_said_to_be_deleted(
    on: Field, labels: dict[str, str]
) -> None:
    on.write("kubectl", namespace(on.mark))
    theirs = deployment(on.mark, "web")
    theirs["spec"]["selector"]["matchLabels"] = labels
    theirs["spec"]["template"]["metadata"]["labels"] = labels
    on.write("helm", theirs)
    web = on.id("web", "Deployment", "apps/v1")
    before = on.versions(web)
    for taking in (False, True):
        with pytest.raises(ClusterError, match="field is immutable") as caught:
            on.install(on.release(deployment(on.mark, "web")), take_ownership=taking)
        assert "web: is there already, and no release made it (helm)" in caught.value.message
        assert "ask its owner, or choose another namespace" in str(caught.value.hint)
        assert "deleting" not in str(caught.value.hint)
    assert on.versions(web) == before


def test_what_is_taken_over_is_shown_done_and_not_ours_to_delete(on: Field) -> None:
    on.write("kubectl", namespace(on.mark))
    on.write("helm", on.settings("found", key="theirs"))
    release = on.release(on.settings("found", key="ours"), on.settings("new"))
    planned = on.install(release, dry_run=True, take_ownership=True).plan
    assert planned.taken == {on.id("found"): (Taken(".data.key", '"helm"'),)}
    done = on.install(release, take_ownership=True).plan
    assert done.taken == planned.taken
    found = on.get(on.id("found"))
    assert found is not None
    assert found["data"] == {"key": "ours"}
    assert Owned(on.id("found"), False) in on.record().inventory
    # From now on it is the release's: an upgrade asks no more, and removes what it made alone.
    upgrade = on.release(on.settings("other"), version="1.1.0")
    assert on.install(upgrade).plan.removed == (on.id("new"),)
    assert on.get(on.id("found")) is not None


def test_a_field_that_somebody_took_is_taken_back(on: Field) -> None:
    on.install(on.release(on.settings("one", key="ours")))
    on.write("kubectl-edit", on.settings("one", key="theirs"))
    release = on.release(on.settings("one", key="ours"))
    with pytest.raises(ClusterError, match=r"owned by others: \.data\.key of \"kubectl-edit\""):
        on.install(release)
    done = on.install(release, take_ownership=True).plan
    assert done.changed == (on.id("one"), *(each for each in done.changed if each.kind == "Secret"))
    assert done.taken[on.id("one")][0].field == ".data.key"
    assert on.install(release).plan.empty
    assert Owned(on.id("one"), True) in on.record().inventory


def test_the_command_shows_what_it_takes_over(
    on: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    on.install(on.release(on.settings("one", key="ours")))
    on.write("kubectl-edit", on.settings("one", key="theirs"))
    path = on.release(on.settings("one", key="ours"), version="1.1.0").write(on.folder / "b.tar")
    site = on.site()
    given = ["install", str(path), "--target", site.target, "--registry", site.registry]
    access = ["--kubeconfig", str(on.kubeconfig), "--release-namespace", on.home]
    arguments = [*given, *access, "--allow-unsigned", "--dry-run"]
    assert run(arguments) == 8
    assert "--take-ownership" in capsys.readouterr().err
    assert run([*arguments, "--take-ownership"]) == 0
    assert '    .data.key: taken over from "kubectl-edit"\n' in capsys.readouterr().out
    assert run([*arguments, "--take-ownership", "--json"]) == 0
    changed = json.loads(capsys.readouterr().out)["plan"]["changed"]
    [one] = [each for each in changed if each["name"] == "one"]
    assert one["taken"] == [{"field": ".data.key", "owner": '"kubectl-edit"'}]


def test_a_kind_of_somebody_else_is_refused(on: Field) -> None:
    definition = crd(f"{on.mark}.example.org", "Thing")
    on.write("helm", definition)
    with pytest.raises(ClusterError, match=r"CustomResourceDefinition .* no release made it"):
        on.install(on.release(definition))
    live = on.get(ObjectId.of(definition))
    assert live is not None
    on.cluster.delete(ObjectId.of(definition), live["metadata"]["uid"])


def test_a_record_that_somebody_wrote_back_is_the_release_s(on: Field) -> None:
    on.install(on.release(on.settings("one", key="1")))
    secret = on.get(record_id(f"app-{on.mark}", on.home))
    assert secret is not None
    again = {key: secret[key] for key in ("apiVersion", "kind", "type", "data")}
    metadata = {key: secret["metadata"][key] for key in ("name", "namespace")}
    on.write("backup", again | {"metadata": metadata})
    on.install(on.release(on.settings("one", key="2"), version="1.1.0"))
    assert on.record().version == "1.1.0"


def test_annotations_of_others_survive_an_object_that_had_but_a_name(on: Field) -> None:
    account: JsonObject = {"apiVersion": "v1", "kind": "ServiceAccount"}
    account |= {"metadata": {"name": "web", "namespace": on.mark}}
    theirs = {"annotations": {"example.org/by": "them"}}
    ours = {"annotations": {"example.org/ours": "us"}}

    def annotations() -> object:
        live = on.get(ObjectId.of(account))
        assert live is not None
        return live["metadata"].get("annotations")

    on.install(on.release(account))
    on.write("somebody", account | {"metadata": account["metadata"] | theirs})
    more = account | {"metadata": account["metadata"] | ours}
    on.install(on.release(more, version="1.1.0"))
    assert annotations() == {"example.org/by": "them", "example.org/ours": "us"}
    on.install(on.release(account, version="1.2.0"))
    assert annotations() == {"example.org/by": "them"}
