"""Behaviours 16 and 20: an install that fails, or is killed, leaves one whole release behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from bundler import install as verb
from bundler.cluster.client import Cluster
from bundler.cluster.release import lease
from bundler.cluster.release.lease import lease_id
from bundler.cluster.release.record import Record, record_id
from bundler.cluster.transaction.apply import Checks
from bundler.cluster.transaction.transact import Manner
from bundler.core.errors import BundlerError, ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.progress import SILENT
from bundler.uninstall import uninstall
from tests.killedwrites import Killed, writes
from tests.listing import listing
from tests.parts.registry import Registry
from tests.releases import Release, crd, namespace
from tests.site import AT_ONCE, Field, field_of_work

pytestmark = pytest.mark.needs("apiserver", "docker-registry")


@pytest.fixture(name="on")
def installing(tmp_path: Path, kubeconfig: Path, registry: Registry) -> Iterator[Field]:
    with field_of_work(tmp_path, kubeconfig, registry) as on:
        yield on


class Unready:
    """What is applied doesn't get ready, the first `times` that it is asked."""

    def __init__(self, times: int = 1) -> None:
        self.times = times

    def wait(self, ids: Sequence[ObjectId]) -> None:
        self.times -= 1
        if self.times >= 0:
            raise ClusterError("Deployment web: 0 of 1 replicas are available")


@pytest.fixture
def unready(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Unready]:
    def failing(times: int = 1) -> Unready:
        made = Unready(times)
        monkeypatch.setattr(verb, "checks_of", lambda *_: Checks(wait=made.wait))
        return made

    return failing


def claim(on: Field, name: str) -> JsonObject:
    """A claim of a storage class that is there."""
    place: JsonObject = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass"}
    place |= {"metadata": {"name": "tests"}, "provisioner": "example.org/none"}
    on.write("tests", place)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": on.mark},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "tests",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


def state(on: Field, *names: str) -> list[dict[str, str] | None]:
    """The data of ConfigMaps; None for one that is not there."""
    found = (on.get(on.id(name)) for name in names)
    return [None if each is None else each.get("data", {}) for each in found]


def earlier(on: Field) -> Release:
    return on.release(on.settings("one", key="1"), on.settings("old"))


def later(on: Field) -> Release:
    return on.release(on.settings("one", key="2"), on.settings("new"), version="1.1.0")


def test_an_upgrade_that_fails_goes_back(on: Field, unready: Callable[[int], Unready]) -> None:
    on.install(earlier(on))
    before, versions = on.record(), on.versions(on.id("old"))
    unready(1)
    with pytest.raises(ClusterError) as caught:
        on.install(later(on))
    assert caught.value.message == (
        f"Deployment web: 0 of 1 replicas are available; app-{on.mark} 1.0.0 is what runs, as "
        "before"
    )
    assert state(on, "one", "old", "new") == [{"key": "1"}, {}, None]
    assert on.record() == before
    assert on.versions(on.id("old")) == versions
    assert on.get(lease_id(f"app-{on.mark}", on.home)) is None


def test_after_it_went_back_the_same_command_ends_well(
    on: Field, unready: Callable[[int], Unready]
) -> None:
    on.install(earlier(on))
    unready(1)
    with pytest.raises(ClusterError):
        on.install(later(on))
    on.install(later(on))
    assert state(on, "one", "old", "new") == [{"key": "2"}, None, {}]
    assert on.record().version == "1.1.0"


def test_what_an_upgrade_brought_goes_with_it_even_namespaces_volumes_and_kinds(
    on: Field, unready: Callable[[int], Unready]
) -> None:
    on.install(on.release(claim(on, "kept")))
    group, other = f"{on.mark}.example.org", namespace(f"{on.mark}-new")
    brought = (claim(on, "new"), crd(group, "Thing"), other)
    unready(1)
    with pytest.raises(ClusterError, match=r"1\.0\.0 is what runs"):
        on.install(on.release(claim(on, "kept"), *brought, version="1.1.0"))
    for obj in brought:
        assert on.gone(ObjectId.of(obj))
    assert not on.gone(ObjectId.of(claim(on, "kept")))


def test_data_that_an_earlier_release_left_stays_when_its_return_fails(
    on: Field, unready: Callable[[int], Unready]
) -> None:
    data, place = claim(on, "data"), namespace(f"{on.mark}-new")
    on.install(on.release(on.settings("one"), data, place))
    on.install(on.release(on.settings("one"), version="1.1.0"))
    before = on.record()
    assert before.history
    unready(1)
    with pytest.raises(ClusterError, match=r"1\.1\.0 is what runs"):
        on.install(on.release(on.settings("one"), data, place, version="1.2.0"))
    assert on.record() == before
    for each in (data, place):
        assert not on.gone(ObjectId.of(each))


def test_an_empty_namespace_that_an_attempt_before_left_goes_when_this_one_fails(
    on: Field, unready: Callable[[int], Unready]
) -> None:
    on.install(earlier(on))
    place = namespace(f"{on.mark}-new")
    failed = on.release(on.settings("one", key="2"), place, version="1.1.0")
    unready(2)
    with pytest.raises(ClusterError):
        on.install(failed, manner=replace(AT_ONCE, keep_failed=True))
    with pytest.raises(ClusterError, match=r"1\.0\.0 is what runs"):
        on.install(failed)
    assert on.gone(ObjectId.of(place))


def test_a_failed_upgrade_that_another_replaces_leaves_its_data(
    on: Field, unready: Callable[[int], Unready]
) -> None:
    on.install(earlier(on))
    data, place = claim(on, "data"), namespace(f"{on.mark}-new")
    failed = on.release(on.settings("one", key="2"), data, place, version="1.1.0")
    unready(1)
    with pytest.raises(ClusterError):
        on.install(failed, manner=replace(AT_ONCE, keep_failed=True))
    done = on.install(on.release(on.settings("one", key="3"), version="1.2.0"))
    assert set(done.plan.kept) == {ObjectId.of(data), ObjectId.of(place)}
    for each in (data, place):
        assert not on.gone(ObjectId.of(each))


def test_a_first_install_that_was_left_failed_needs_no_way_back(
    on: Field, unready: Callable[[int], Unready]
) -> None:
    unready(1)
    with pytest.raises(ClusterError):
        on.install(earlier(on), manner=replace(AT_ONCE, keep_failed=True))
    assert on.record().journal is not None
    on.install(earlier(on))
    assert on.record().journal is None


def test_a_first_install_that_fails_leaves_nothing(
    on: Field, unready: Callable[[int], Unready]
) -> None:
    unready(1)
    with pytest.raises(ClusterError, match="what it made was removed again"):
        on.install(on.release(on.settings("one"), claim(on, "data")))
    assert state(on, "one") == [None]
    for name in (on.mark, on.home):
        live = on.get(ObjectId("v1", "Namespace", None, name))
        assert live is not None
        assert "deletionTimestamp" in live["metadata"]
    assert on.get(record_id(f"app-{on.mark}", on.home)) is None


def test_an_uninstall_leaves_the_data_of_what_failed(
    on: Field, unready: Callable[[int], Unready]
) -> None:
    data = claim(on, "data")
    unready(1)
    with pytest.raises(ClusterError):
        on.install(on.release(data), manner=replace(AT_ONCE, keep_failed=True))
    done = uninstall(f"app-{on.mark}", on.access, SILENT, timeout=0)
    assert (ObjectId.of(data), "it holds data") in {(each.id, each.why) for each in done.kept}
    assert not on.gone(ObjectId.of(data))


def test_a_first_install_that_fails_again_leaves_the_data_of_the_one_before(
    on: Field, unready: Callable[[int], Unready]
) -> None:
    data = claim(on, "data")
    unready(2)
    with pytest.raises(ClusterError):
        on.install(on.release(data), manner=replace(AT_ONCE, keep_failed=True))
    with pytest.raises(ClusterError, match=r"kept: PersistentVolumeClaim .*data"):
        on.install(on.release(on.settings("one"), data))
    assert state(on, "one") == [None]
    assert not on.gone(ObjectId.of(data))


def test_what_was_there_stays_when_a_first_install_fails(
    on: Field, unready: Callable[[int], Unready]
) -> None:
    on.write("kubectl", namespace(on.mark))
    on.write("kubectl", on.settings("found", key="theirs"))
    before = on.versions(on.id("found"))
    unready(1)
    with pytest.raises(ClusterError, match=f"kept: .*Namespace {on.mark}"):
        on.install(on.release(on.settings("one")), take_ownership=True)
    assert state(on, "one", "found") == [None, {"key": "theirs"}]
    assert on.versions(on.id("found")) == before


def test_a_parameter_that_fails_goes_back_to_the_value_before(
    on: Field, unready: Callable[[int], Unready]
) -> None:
    from bundler.core.documents.bundle import Parameter, ParameterTarget

    release = on.release(on.settings("one", mode="quiet"))
    place = ParameterTarget("ConfigMap", "one", "/data/mode", None)
    release.parameters = (
        Parameter(
            name="mode",
            type="string",
            default="quiet",
            description="How much is said",
            pattern="[a-z]{1,40}",
            targets=(place,),
        ),
    )
    on.install(release, mode="loud")
    unready(1)
    with pytest.raises(ClusterError, match="is what runs, as before"):
        on.install(release, mode="silent")
    assert state(on, "one") == [{"mode": "loud"}]
    assert on.record().installed.parameters == {"mode": "loud"}


def test_kept_failed_it_is_left_and_continued(
    on: Field, unready: Callable[[int], Unready], monkeypatch: pytest.MonkeyPatch
) -> None:
    on.install(earlier(on))
    unready(1)
    with pytest.raises(ClusterError) as caught:
        on.install(later(on), manner=replace(AT_ONCE, keep_failed=True))
    assert f"; stopped half way, applied before: ConfigMap {on.mark}/one" in caught.value.message
    assert f"airbundle rollback app-{on.mark} --key PUB goes back" in str(caught.value.hint)
    assert state(on, "one", "old", "new") == [{"key": "2"}, {}, {}]
    halfway = on.record()
    assert halfway.journal is not None
    assert (halfway.version, halfway.journal.version) == ("1.0.0", "1.1.0")
    assert on.install(later(on)).release.interrupted
    assert state(on, "one", "old", "new") == [{"key": "2"}, None, {}]


def test_going_back_that_fails_says_both_and_is_continued(
    on: Field, unready: Callable[[int], Unready]
) -> None:
    on.install(earlier(on))
    unready(2)
    with pytest.raises(
        ClusterError, match=r"half way, .*going back failed, too: .*0 of 1"
    ) as caught:
        on.install(later(on))
    assert "the same command again continues" in str(caught.value.hint)
    journal = on.record().journal
    assert journal is not None
    assert (journal.doing, journal.version) == ("going back", "1.0.0")
    on.install(later(on))
    assert state(on, "one", "old", "new") == [{"key": "2"}, None, {}]


def test_without_a_way_back_nothing_is_begun(on: Field) -> None:
    on.install(earlier(on))
    repository = on.registry.storage / "docker/registry/v2/repositories" / on.mark / "bundles"
    repository.rename(repository.with_name("gone"))
    before, stored = on.versions(on.id("one")), listing(on.registry)
    with pytest.raises(ClusterError, match=r"there is no way back to 1\.0\.0") as caught:
        on.install(later(on))
    assert "--keep-failed" in str(caught.value.hint)
    assert (on.versions(on.id("one")), listing(on.registry)) == (before, stored)
    on.install(later(on), manner=replace(AT_ONCE, keep_failed=True))
    assert on.record().version == "1.1.0"


def never(seconds: float) -> None:
    raise AssertionError("waited")


def begun(field: Field, *, first: bool) -> Release:
    """What is to be installed next: the `first` release, or one over it."""
    if first:
        return earlier(field)
    field.install(earlier(field))
    return later(field)


def ended(field: Field, release: Release) -> tuple[list[dict[str, str] | None], str]:
    """What there is of `release`, which is installed: nothing is under way, or left to do."""
    record = field.record()
    found = state(field, "one", "old", "new"), record.version
    assert record.journal is None
    assert field.install(release).plan.empty
    return found


@pytest.mark.parametrize("first", [True, False], ids=["first", "upgrade"])
def test_killed_at_any_moment_it_is_run_again(
    first: bool, on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behaviour 16, at every write of the journal, of objects and of removals."""
    whole = replace(on, mark=f"{on.mark}w")
    release = begun(whole, first=first)
    with monkeypatch.context() as patched:
        moments = writes(patched)
        whole.install(release)
    assert len(moments) > 4
    expected = ended(whole, release)
    tried = left = 0
    for at in range(1, len(moments) + 1):
        for after in (False, True):
            place = replace(on, mark=f"{on.mark}-{at}-{int(after)}")
            release = begun(place, first=first)
            with monkeypatch.context() as patched:
                writes(patched, at, after)
                with pytest.raises(Killed):
                    place.install(release)
            left += place.get(lease_id(f"app-{place.mark}", place.home)) is not None
            with monkeypatch.context() as patched:
                patched.setattr(
                    verb, "time", SimpleNamespace(sleep=never, monotonic=time.monotonic)
                )
                place.install(release)
            assert ended(place, release) == expected, moments[at - 1]
            tried += 1
            away(place)
    away(whole)
    # The namespace that a first install has its lease in is made before.
    assert (tried, left) == (2 * len(moments), 2 * (len(moments) - first))


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_moment_then_failing_it_goes_back(
    after: bool,
    on: Field,
    monkeypatch: pytest.MonkeyPatch,
    unready: Callable[[int], Unready],
) -> None:
    for at in (1, 2, 3, 4):
        place = replace(on, mark=f"{on.mark}-{at}")
        place.install(earlier(place))
        before = place.record()
        with monkeypatch.context() as patched:
            writes(patched, at, after)
            with pytest.raises(Killed):
                place.install(later(place))
        unready(1)
        with pytest.raises(ClusterError, match=r"1\.0\.0 is what runs"):
            place.install(later(place))
        assert state(place, "one", "old", "new") == [{"key": "1"}, {}, None]
        assert place.record() == before
        away(place)


def away(place: Field) -> None:
    for name in (place.mark, place.home):
        space = ObjectId("v1", "Namespace", None, name)
        if live := place.get(space):
            place.cluster.delete(space, live["metadata"]["uid"])


def test_another_install_since_the_plan_is_noticed(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bundler.cluster.transaction import transact as transaction

    on.install(earlier(on))
    real = lease.held

    def meanwhile(cluster: Cluster, *rest: object):  # type: ignore[no-untyped-def]
        monkeypatch.setattr(transaction, "held", real)
        on.install(later(on))
        return real(cluster, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(transaction, "held", meanwhile)
    third = on.release(on.settings("one", key="3"), version="1.2.0")
    with pytest.raises(ClusterError, match="another install went on since the plan was made"):
        on.install(third)
    assert state(on, "one", "new") == [{"key": "2"}, {}]


def test_a_lease_that_was_lost_stops_the_install(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    on.install(earlier(on))

    def lost(self: lease.Held) -> None:
        raise ClusterError("the lease was lost")

    with monkeypatch.context() as patched:
        patched.setattr(lease.Held, "require", lost)
        with pytest.raises(BundlerError, match="the lease was lost"):
            on.install(later(on))
    assert state(on, "one", "old", "new") == [{"key": "1"}, {}, None]


def test_a_manner_waits_ten_minutes_unless_told() -> None:
    assert Manner() == Manner(600.0, False)


def test_a_record_under_way_names_the_objects_of_both(
    on: Field, unready: Callable[[int], Unready]
) -> None:
    on.install(earlier(on))
    unready(1)
    with pytest.raises(ClusterError):
        on.install(later(on), manner=replace(AT_ONCE, keep_failed=True))
    secret = on.get(record_id(f"app-{on.mark}", on.home))
    assert secret is not None
    names = {each.id.name for each in Record.parse(secret).inventory}
    assert names == {on.mark, "one", "old", "new"}
