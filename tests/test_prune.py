"""What no release needs goes from a real registry; all else, by a real API server, stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest

from bundler import prune as verb
from bundler.cli.main import run
from bundler.cluster.access import Access
from bundler.cluster.client import Cluster, open_cluster
from bundler.cluster.push import plan_push, push_artifact, push_bundle
from bundler.cluster.release import lease
from bundler.cluster.release.needed import Needed, needed
from bundler.cluster.release.record import Journal, Past, Record
from bundler.core.digest import Digest
from bundler.core.errors import ClusterError, SourceError, UsageError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.progress import SILENT, Progress
from bundler.prune import Pruned, prune
from bundler.tools.registry import RegistryDestination
from tests.cluster.apiserver import Ports, running_apiserver
from tests.fakes.registry.front import front_of, instead, well
from tests.listing import listing
from tests.making import Contents
from tests.parts.needs import require
from tests.parts.registry import Registry, running_registry
from tests.parts.service import free_ports
from tests.releases import Release, config_map, namespace

pytestmark = pytest.mark.needs("apiserver", "docker-registry")

HOME = "airbundle-system"


@pytest.fixture(scope="module", name="lonely")
def lonely_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cluster of its own: records of other tests, some of them cut off, would count."""
    require("apiserver")
    with running_apiserver(tmp_path_factory.mktemp("cluster"), Ports(*free_ports(3))) as path:
        yield path


@dataclass
class Told:
    """What was said of the progress."""

    phases: list[tuple[str, int | None]] = field(default_factory=list)

    def phase(self, label: str, total: int | None) -> None:
        self.phases.append((label, total))

    def advance(self, count: int) -> None:
        raise AssertionError("a count of bytes")


@dataclass
class Place:
    """A registry that deletes, a cluster without releases, and bundles between them."""

    folder: Path
    registry: Registry
    kubeconfig: Path
    cluster: Cluster
    prefix: str = "team"
    applied: list[ObjectId] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"{self.registry.host}/{self.prefix}"

    def push(self, version: str, *, name: str = "app", artifact: bool = True) -> Past:
        """A bundle with one image of its own and a model that all have, in the registry."""
        images = {f"registry.corp_5000/{name}": (f"layer of {version}".encode(),)}
        contents = Contents(images=images)
        release = Release(name, [config_map("s", "c", v=version)], version, contents=contents)
        with release.opened(self.folder) as bundle:
            with closing(RegistryDestination(self.address)) as destination:
                pushed = push_bundle(bundle, destination, SILENT)
                if artifact:
                    push_artifact(pushed, destination)
            index = str(bundle.release.index)
        return Past(index, version, "dev", self.address, {}, ())

    def lacks(self, version: str, name: str = "app") -> int:
        """How many manifests and artifacts of a bundle are not in the registry."""
        images = {f"registry.corp_5000/{name}": (f"layer of {version}".encode(),)}
        contents = Contents(images=images)
        release = Release(name, [config_map("s", "c", v=version)], version, contents=contents)
        with (
            release.opened(self.folder) as bundle,
            closing(RegistryDestination(self.address)) as destination,
        ):
            plan = plan_push(bundle, destination)
        return len(plan.entries) + plan.artifact

    def record(
        self, installed: Past, *history: Past, name: str = "app", home: str = HOME
    ) -> Record:
        record = Record(name, installed, (), history)
        self.apply(namespace(home))
        self.apply(record.secret(home))
        return record

    def apply(self, obj: JsonObject) -> None:
        self.cluster.apply(obj)
        if obj["kind"] != "Namespace":
            self.applied.append(ObjectId.of(obj))

    def prune(self, *, yes: bool = False, progress: Progress = SILENT) -> Pruned:
        return prune(self.address, Access(self.kubeconfig), progress, yes=yes)


@pytest.fixture(name="place")
def empty_place(tmp_path: Path, lonely: Path) -> Iterator[Place]:
    folder = tmp_path / "registry"
    storage = {
        "filesystem": {"rootdirectory": str(folder / "storage")},
        "delete": {"enabled": True},
    }
    with (
        running_registry(folder, free_ports(1)[0], settings={"storage": storage}) as registry,
        closing(open_cluster(lonely, None, "tests")) as cluster,
    ):
        place = Place(tmp_path, registry, lonely, cluster)
        yield place
        for each in place.applied:
            live = cluster.get(each)
            if live is not None:
                cluster.delete(each, live["metadata"]["uid"])


def test_what_no_release_needs_goes_and_all_else_stays(place: Place) -> None:
    first, second = place.push("1.0.0"), place.push("2.0.0")
    place.push("3.0.0")
    elsewhere = replace(place, prefix="other")
    elsewhere.push("1.0.0", name="theirs")
    place.record(second, first)
    before = listing(place.registry)
    shown = place.prune()
    assert [(each.name, each.version) for each in shown.removed] == [("app", "3.0.0")]
    assert {each.version for each in shown.kept} == {"1.0.0", "2.0.0"}
    assert (shown.dry_run, listing(place.registry)) == (True, before)
    told = Told()
    done = place.prune(yes=True, progress=told)
    # What is counted here is no bytes.
    assert told.phases == [("removing 2 manifests", None)]
    assert (done.removed, done.manifests, done.dry_run) == (shown.removed, shown.manifests, False)
    assert place.lacks("1.0.0") == place.lacks("2.0.0") == 0
    assert elsewhere.lacks("1.0.0", "theirs") == 0
    # Its image and its artifact; the model is also that of the others.
    assert place.lacks("3.0.0") == 2
    assert place.prune(yes=True).removed == ()


def test_a_prune_that_was_cut_off_goes_on(place: Place) -> None:
    place.push("1.0.0")
    counted = place.prune()
    with front_of(place.registry.host) as front:
        front.where, front.faults = "/manifests/sha256:", [well, instead(500)]
        behind = replace(place, registry=replace(place.registry, host=front.host))
        with pytest.raises(SourceError, match="answered 500"):
            behind.prune(yes=True)
    again = place.prune(yes=True)
    assert [each.version for each in again.removed] == ["1.0.0"]
    assert again.manifests == counted.manifests
    assert place.prune().removed == ()


def test_a_pod_keeps_what_it_names(place: Place) -> None:
    place.push("1.0.0")
    [published] = place.prune().removed
    repository, digest = published.manifests[0]
    place.apply(namespace("exported"))
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "exported"},
        "spec": {
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "web",
                    "image": f"{place.address}/{repository}@{digest}",
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }
    account = {"apiVersion": "v1", "kind": "ServiceAccount"}
    place.apply(account | {"metadata": {"name": "default", "namespace": "exported"}})
    place.apply(pod)
    done = place.prune(yes=True)
    assert (done.removed, done.in_use) == ((), (published,))
    assert place.lacks("1.0.0") == 0


def test_a_record_that_cannot_be_read_stops_it(place: Place) -> None:
    secret = place.record(place.push("1.0.0"), home="elsewhere").secret("elsewhere")
    place.apply(secret | {"data": {}})
    before = listing(place.registry)
    with pytest.raises(ClusterError, match="expected the record of a release"):
        place.prune(yes=True)
    assert listing(place.registry) == before


def test_an_install_that_was_cut_off_stops_it(place: Place) -> None:
    past = place.push("1.0.0")
    journal = Journal("install", past.index, "1.0.0", "dev", True, ())
    place.apply(namespace(HOME))
    place.apply(replace(Record("app", past, ()), journal=journal).secret(HOME))
    before = listing(place.registry)
    with pytest.raises(ClusterError, match="release app: its install goes on, or was cut off"):
        place.prune(yes=True)
    assert listing(place.registry) == before


def test_an_install_that_goes_on_stops_it(place: Place) -> None:
    place.push("1.0.0")
    place.apply(namespace(HOME))
    place.apply(lease._lease(lease.lease_id("other", HOME), "elsewhere/17/boot/mark"))
    before = listing(place.registry)
    with pytest.raises(
        ClusterError, match=r"airbundle\.other: elsewhere, process 17 installs"
    ) as caught:
        place.prune(yes=True)
    assert f"kubectl -n {HOME} delete lease airbundle.other" in str(caught.value.hint)
    assert listing(place.registry) == before


def test_an_install_that_ends_meanwhile_stops_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.record(place.push("1.1.0"))
    place.push("1.0.0")
    asked = []

    def late(cluster: Cluster) -> Needed:
        asked.append(cluster)
        found = needed(cluster)
        if len(asked) < 3:
            return found
        return replace(found, in_pods=found.in_pods | {Digest("0" * 64)})

    monkeypatch.setattr(verb, "needed", late)
    with pytest.raises(ClusterError, match="something was installed meanwhile"):
        place.prune(yes=True)
    assert place.lacks("1.0.0") == 0


def test_other_leases_and_one_that_nobody_holds_do_not(place: Place) -> None:
    place.push("1.0.0")
    place.apply(namespace(HOME))
    place.apply(lease._lease(lease.lease_id("other", HOME), ""))
    place.apply(lease._lease(replace(lease.lease_id("x", HOME), name="leader"), "somebody/1/b/m"))
    assert len(place.prune().removed) == 1


def test_tags_of_others_that_look_like_ours_are_passed_over(place: Place) -> None:
    place.push("1.0.0")
    url = f"{place.registry.url}/v2/{place.prefix}/bundles/app/manifests"
    kind = "application/vnd.oci.image.manifest.v1+json"
    found = httpx.get(f"{url}/1.0.0", headers={"Accept": kind})
    for tag in ("index-latest", f"index-{'0' * 63}g"):
        sent = httpx.put(f"{url}/{tag}", content=found.content, headers={"Content-Type": kind})
        assert sent.status_code == 201
    assert [each.version for each in place.prune().removed] == ["1.0.0"]


def test_a_release_whose_artifact_is_not_there_stops_it(place: Place) -> None:
    place.push("1.0.0")
    place.record(place.push("2.0.0", artifact=False))
    with pytest.raises(ClusterError, match=r"app 2\.0\.0: is installed from .*its artifact is not"):
        place.prune(yes=True)
    assert place.lacks("1.0.0") == 0


def test_a_release_from_elsewhere_is_no_reason(place: Place) -> None:
    place.record(replace(place.push("1.0.0"), registry="registry.example/x", index="sha256:0"))
    assert [each.version for each in place.prune().removed] == ["1.0.0"]


def test_a_registry_that_deletes_nothing_says_so(
    place: Place, registry: Registry, tmp_path: Path
) -> None:
    other = replace(place, registry=registry, prefix=f"t{tmp_path.name}".replace("_", "-").lower())
    other.push("1.0.0")
    with pytest.raises(SourceError, match="lets nobody") as caught:
        other.prune(yes=True)
    assert "storage.delete.enabled" in str(caught.value.hint)
    assert other.lacks("1.0.0") == 0


def test_a_registry_without_a_catalog_is_left_alone(place: Place) -> None:
    place.push("1.0.0")
    with front_of(place.registry.host) as front:
        front.where, front.faults = "_catalog", [instead(401)]
        behind = replace(place, registry=replace(place.registry, host=front.host))
        with pytest.raises(SourceError, match=r"does not say what it has \(401\)"):
            behind.prune(yes=True)


def test_a_folder_is_not_pruned(place: Place) -> None:
    with pytest.raises(UsageError, match="nothing pulls from a folder"):
        prune("oci:x", Access(place.kubeconfig), SILENT)


def test_the_command_shows_first(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.push("1.0.0")
    arguments = ["prune", "--registry", place.address, "--kubeconfig", str(place.kubeconfig)]
    assert run(arguments) == 0
    assert "--yes removes them" in capsys.readouterr().out
    assert run([*arguments, "--dry-run", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["dryRun"], [each["version"] for each in shown["removed"]]) == (True, ["1.0.0"])
    assert place.lacks("1.0.0") == 0
    assert run([*arguments, "--yes"]) == 0
    assert "garbage collection" in capsys.readouterr().out
    assert place.lacks("1.0.0") > 0
