"""A user who has just the rights that the preflight asks for: they suffice, and each counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bundler import install as verb
from bundler.cluster.access import Access
from bundler.cluster.preflight import needs_of
from bundler.cluster.preflight.asked import Asked
from bundler.cluster.preflight.rights import Right, _needed
from bundler.cluster.release.record import record_id
from bundler.cluster.transaction.apply import Checks
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.progress import SILENT
from bundler.install import install
from bundler.render import render, spec_of
from bundler.uninstall import uninstall
from tests.cluster.users import write_user
from tests.cluster_room.preflight.scene import now
from tests.parts.registry import Registry
from tests.releases import TARGET, Release, crd, namespace
from tests.site import AT_ONCE, Field, field_of_work

pytestmark = pytest.mark.needs("apiserver", "docker-registry")

User = Callable[[list[JsonObject]], Access]


@pytest.fixture(name="on")
def installing(tmp_path: Path, kubeconfig: Path, registry: Registry) -> Iterator[Field]:
    with field_of_work(tmp_path, kubeconfig, registry) as on:
        yield on


def asked_for(on: Field, release: Release, *, vital: bool) -> list[JsonObject]:
    """What the preflight wants to install `release`, as rules of a ClusterRole."""
    with release.opened(on.folder) as bundle:
        objects = render(bundle, TARGET, {}, on.site().registry).objects
        needs = needs_of(bundle, spec_of(bundle), objects, on.home)
    asked = Asked(on.cluster, needs, now)
    return [_rule(right) for right in _needed(asked) if right.vital or not vital]


def _rule(right: Right) -> JsonObject:
    return {
        "apiGroups": [right.object_id.group],
        "resources": [right.resource],
        "verbs": [right.verb],
    }


@pytest.fixture
def user(on: Field) -> Iterator[User]:
    """Somebody who has these rights, everywhere, and no others."""
    made: list[JsonObject] = [namespace(f"{on.mark}-users")]
    on.cluster.create(made[0])

    def make(obj: JsonObject) -> None:
        made.append(on.cluster.create(obj))

    def with_rights(rules: list[JsonObject]) -> Access:
        path = on.folder / "operator"
        write_user(path, on.kubeconfig, on.cluster, f"{on.mark}-users", [], rules, make)
        return replace(on.access, kubeconfig=path)

    yield with_rights
    for obj in reversed(made):
        object_id = ObjectId.of(obj)
        live = on.get(object_id)
        if live is not None:
            on.cluster.delete(object_id, live["metadata"]["uid"])


def installed(on: Field, release: Release, access: Access) -> None:
    with release.opened(on.folder) as bundle:
        install(bundle, replace(on.site(), access=access), SILENT, manner=AT_ONCE)


def test_what_is_asked_for_is_enough_for_an_install_an_upgrade_and_its_end(
    on: Field, user: User
) -> None:
    first = on.release(on.settings("one"), on.settings("two"))
    access = user(asked_for(on, first, vital=False))
    installed(on, first, access)
    installed(on, on.release(on.settings("one", key="2"), version="1.1.0"), access)
    assert on.get(on.id("two")) is None
    assert on.record().version == "1.1.0"
    done = uninstall(f"app-{on.mark}", access, SILENT, timeout=0)
    assert on.get(on.id("one")) is None
    assert on.get(record_id(f"app-{on.mark}", on.home)) is None
    kept = {each.id.name: each.why for each in done.kept}
    assert kept[on.mark].endswith("can't be asked")


def test_without_what_only_undoes_it_an_install_goes_through(on: Field, user: User) -> None:
    release = on.release(on.settings("one"))
    installed(on, release, user(asked_for(on, release, vital=True)))
    assert on.get(on.id("one")) is not None


def test_each_of_them_is_missed(on: Field, user: User) -> None:
    release = on.release(on.settings("one"))
    rules = asked_for(on, release, vital=True)
    access = user([])
    words = {f"{r['verbs'][0]} {r['resources'][0]}" for r in rules}
    with release.opened(on.folder) as bundle, pytest.raises(ClusterError) as caught:
        install(bundle, replace(on.site(), access=access), SILENT, manner=AT_ONCE)
    assert {each for each in words if each not in caught.value.message} == set()
    assert "patch namespaces" in words


def test_a_first_install_that_fails_is_taken_away_by_it(
    on: Field, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unready(ids: object) -> None:
        raise ClusterError("Deployment web: 0 of 1 replicas are available")

    monkeypatch.setattr(verb, "checks_of", lambda *_: Checks(wait=unready))
    group = f"{on.mark}.example.org"
    kind = crd(group, "Thing")
    place = {"name": "a", "namespace": on.mark}
    thing = {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": place}
    release = on.release(kind, thing, on.settings("one"))
    access = user(asked_for(on, release, vital=False))
    with pytest.raises(ClusterError, match="what it made was removed again") as caught:
        installed(on, release, access)
    assert caught.value.message.endswith(f"(kept: Namespace {on.mark})")
    assert on.get(on.id("one")) is None
    assert on.get(ObjectId.of(kind)) is None
    assert on.get(record_id(f"app-{on.mark}", on.home)) is None
