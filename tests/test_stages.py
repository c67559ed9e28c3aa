"""What an install does one after another: loaders, the rest, waiting, smoke, removals, record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bundler import install as verb
from bundler.cluster.release import lease
from bundler.cluster.transaction import transact as transaction
from bundler.cluster.transaction.apply import Checks
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import STAGE_LABEL, STAGE_LOAD, JsonObject, ObjectId
from tests.parts.registry import Registry
from tests.releases import Release, deployment, pod_spec
from tests.site import AT_ONCE, Field, field_of_work

pytestmark = pytest.mark.needs("apiserver", "docker-registry")


@pytest.fixture(name="on")
def installing(tmp_path: Path, kubeconfig: Path, registry: Registry) -> Iterator[Field]:
    with field_of_work(tmp_path, kubeconfig, registry) as on:
        yield on


@dataclass
class Watch:
    """What was asked, in order, with the objects that were there; then `stop` may fail."""

    on: Field
    stop: Callable[[str], None] = lambda what: None
    seen: list[tuple[str, ...]] = field(default_factory=list)

    def there(self, what: str) -> None:
        """Notes `what` with the names of those that are there, the record as what goes on."""
        on = self.on
        ids = [on.id("one"), on.id("old"), on.id("web", "Deployment", "apps/v1")]
        found = [each.name for each in ids if on.get(each) is not None]
        journal = on.record().journal
        self.seen.append((what, *found, journal.doing if journal else "settled"))
        self.stop(what)

    def wait(self, ids: Sequence[ObjectId]) -> None:
        self.there(f"wait for {', '.join(each.name for each in ids)}")

    def smoke(self) -> None:
        self.there("smoke")


@pytest.fixture
def watch(on: Field, monkeypatch: pytest.MonkeyPatch) -> Watch:
    made = Watch(on)
    checks = Checks(wait=made.wait, smoke=made.smoke)
    monkeypatch.setattr(verb, "checks_of", lambda *_: checks)
    return made


def loader(on: Field, kind: str = "Job") -> JsonObject:
    """What fills a volume before pods start with it."""
    metadata = {"name": "load", "namespace": on.mark, "labels": {STAGE_LABEL: STAGE_LOAD}}
    if kind != "Job":
        return {"apiVersion": "v1", "kind": kind, "metadata": metadata}
    pod = pod_spec() | {"restartPolicy": "Never"}
    job = {"backoffLimit": 1, "template": {"spec": pod}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": job}


def failing(at: str, times: int = 1) -> Callable[[str], None]:
    """Fails the first `times` that it is asked `at`."""
    left = [at] * times

    def stop(what: str) -> None:
        if what.startswith(at) and left:
            left.pop()
            raise ClusterError(f"{at}: not so")

    return stop


def upgrade(on: Field) -> Release:
    return on.release(on.settings("one", key="2"), version="1.1.0")


def begun(on: Field) -> Release:
    return on.release(on.settings("one", key="1"), on.settings("old"))


def test_what_loads_is_complete_before_others_start(on: Field, watch: Watch) -> None:
    web = deployment(on.mark, "web")
    on.install(on.release(web, loader(on), on.settings("one")))
    everything = f"wait for {on.mark}, one, load, web"
    assert watch.seen == [
        ("wait for load", "one", "install"),
        (everything, "one", "web", "install"),
        ("smoke", "one", "web", "install"),
    ]


def test_only_jobs_that_load_are_waited_for(on: Field, watch: Watch) -> None:
    account = loader(on, "ServiceAccount")
    on.install(on.release(deployment(on.mark, "web"), account, on.settings("one")))
    assert [each[0] for each in watch.seen] == [f"wait for {on.mark}, load, one, web", "smoke"]


def test_what_does_not_load_starts_nothing(on: Field, watch: Watch) -> None:
    watch.stop = failing("wait for load")
    with pytest.raises(ClusterError, match="wait for load: not so; what it made was") as caught:
        on.install(on.release(deployment(on.mark, "web"), loader(on), on.settings("one")))
    assert "Deployment" not in caught.value.message
    assert len(watch.seen) == 1


def other(job: JsonObject) -> JsonObject:
    """The same Job with another pod, which no API server lets it have."""
    spec = job["spec"]["template"]["spec"]
    [container] = spec["containers"]
    pod = spec | {"containers": [container | {"args": ["other"]}]}
    return job | {"spec": job["spec"] | {"template": {"spec": pod}}}


def test_a_loader_that_changes_is_made_anew(on: Field, watch: Watch) -> None:
    on.install(on.release(loader(on)))
    name = ObjectId.of(loader(on))
    before, planned = on.get(name), on.release(other(loader(on)), version="1.1.0")
    plan = on.install(planned, dry_run=True).plan
    assert name in plan.changed
    assert plan.anew == (name,)
    assert on.get(name) == before
    watch.seen.clear()
    on.install(planned)
    after = on.get(name)
    assert before is not None
    assert after is not None
    assert before["metadata"]["uid"] != after["metadata"]["uid"]
    assert after["spec"]["template"]["spec"]["containers"][0]["args"] == ["other"]
    assert watch.seen[0][0] == f"wait for {on.mark}, load"


def test_a_job_that_does_not_load_is_not_made_anew(on: Field, watch: Watch) -> None:
    job = loader(on)
    del job["metadata"]["labels"]
    on.install(on.release(job))
    before = on.versions(ObjectId.of(job))
    with pytest.raises(ClusterError, match="field is immutable"):
        on.install(on.release(other(job), version="1.1.0"))
    assert on.versions(ObjectId.of(job)) == before


def test_what_is_no_job_is_not_made_anew(on: Field, watch: Watch) -> None:
    """Its data would be gone, or others that use it be without it."""

    def fixed(text: str) -> JsonObject:
        found = on.settings("fixed", text=text)
        labels = {STAGE_LABEL: STAGE_LOAD}
        return found | {"immutable": True, "metadata": found["metadata"] | {"labels": labels}}

    on.install(on.release(fixed("a")))
    with pytest.raises(ClusterError, match="field is immutable"):
        on.install(on.release(fixed("b"), version="1.1.0"))


def test_a_loader_that_is_none_is_refused_before_anything_is_done(on: Field, watch: Watch) -> None:
    on.install(on.release(loader(on)))
    before = on.versions(ObjectId.of(loader(on)))
    odd = loader(on)
    odd["spec"]["backoffLimits"] = 1
    with pytest.raises(ClusterError, match="backoffLimits"):
        on.install(on.release(odd, version="1.1.0"))
    assert on.versions(ObjectId.of(odd)) == before


def test_what_is_gone_is_removed_when_all_works(on: Field, watch: Watch) -> None:
    on.install(begun(on))
    watch.seen.clear()
    on.install(upgrade(on))
    assert watch.seen == [
        (f"wait for {on.mark}, one", "one", "old", "install"),
        ("smoke", "one", "old", "install"),
    ]
    assert (on.get(on.id("old")), on.record().journal) == (None, None)


def test_a_smoke_call_that_fails_goes_back_and_is_not_asked_again(on: Field, watch: Watch) -> None:
    on.install(begun(on))
    before = on.record()
    watch.seen.clear()
    watch.stop = failing("smoke", 2)
    with pytest.raises(ClusterError, match=r"smoke: not so; app-.* 1\.0\.0 is what runs"):
        on.install(upgrade(on))
    assert [each[0].partition(" ")[0] for each in watch.seen] == ["wait", "smoke", "wait"]
    assert watch.seen[-1][-1] == "going back"
    assert on.record() == before


def test_nothing_is_removed_without_the_lease(
    on: Field, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    on.install(begun(on))
    watch.seen.clear()

    def lost(self: lease.Held) -> None:
        if ("smoke", "one", "old", "install") in watch.seen[-1:]:
            raise ClusterError("the lease was lost")

    monkeypatch.setattr(lease.Held, "require", lost)
    with pytest.raises(ClusterError, match="going back failed, too: the lease was lost"):
        on.install(upgrade(on))
    assert on.get(on.id("old")) is not None
    journal = on.record().journal
    assert journal is not None
    assert journal.doing == "install"


def lose(on: Field, repository: str, part: str) -> None:
    """The registry has `part` of `repository` no longer."""
    folder = on.registry.storage / "docker/registry/v2/repositories" / on.mark / repository / part
    folder.rename(folder.with_name("gone"))


@pytest.mark.parametrize("part", ["_layers", "_manifests"])
def test_without_its_images_there_is_no_way_back(on: Field, part: str) -> None:
    on.install(begun(on))
    lose(on, "registry.corp_5000/team/server", part)
    before = on.versions(on.id("one"))
    with pytest.raises(
        ClusterError, match=r"no way back to 1\.0\.0, .* lacks \d+ blobs and \d+ images or models"
    ):
        on.install(upgrade(on))
    assert on.versions(on.id("one")) == before
    on.install(upgrade(on), manner=replace(AT_ONCE, keep_failed=True))
    assert on.record().version == "1.1.0"


def test_what_changes_nothing_needs_no_way_back_and_no_lease(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    on.install(begun(on))
    lose(on, "bundles", f"app-{on.mark}/_manifests/tags")
    monkeypatch.setattr(transaction, "held", lambda *_: pytest.fail("took the lease"))
    before = on.versions(on.id("one"))
    assert on.install(begun(on)).plan.empty
    assert on.versions(on.id("one")) == before
