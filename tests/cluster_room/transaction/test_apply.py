"""What applying refuses and says before any cluster is asked."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bundler.cluster.client import Cluster
from bundler.cluster.planning.present import Prepared
from bundler.cluster.push import PushedBundle
from bundler.cluster.transaction import apply as room
from bundler.cluster.transaction.apply import Checks, StoppedError, apply, with_more
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.objects.plan import Plan, Present
from bundler.core.progress import SILENT
from tests.releases import config_map, crd, namespace

INDEX = f"sha256:{'0' * 64}"


def pushed(index: str = INDEX) -> PushedBundle:
    release = SimpleNamespace(index=index)
    return cast(PushedBundle, SimpleNamespace(bundle=SimpleNamespace(release=release)))


def prepared(*objects: JsonObject) -> Prepared:
    """A plan that makes `objects`, as much of it as applying looks at."""
    home = (Present(namespace("home"), None, None),)
    found = SimpleNamespace(
        plan=Plan(created=(cast(Any, "something"),)),
        home=home,
        present=tuple(Present(each, None, None) for each in objects),
        intended=SimpleNamespace(index=INDEX, name="app"),
        namespace="home",
    )
    return cast(Prepared, found)


def never(seconds: float) -> None:
    raise AssertionError("waited")


def carried_out(found: Prepared, proof: PushedBundle, applying: Callable[..., None]) -> None:
    cluster = cast(Cluster, SimpleNamespace(apply=applying))
    apply(cluster, found, proof, Checks(), SILENT, never)


def test_what_was_not_pushed_is_not_applied() -> None:
    def reached(obj: JsonObject, *, force: bool) -> None:
        pytest.fail("applied what was not pushed")

    other = pushed(f"sha256:{'1' * 64}")
    with pytest.raises(AssertionError, match="another bundle was pushed than is applied"):
        carried_out(prepared(config_map("a", "one")), other, reached)


def test_what_failed_before_the_first_object_is_told_as_it_is() -> None:
    def lost(obj: JsonObject, *, force: bool) -> None:
        raise ClusterError("the lease was lost", "again")

    with pytest.raises(ClusterError) as caught:
        carried_out(prepared(config_map("a", "one")), pushed(), lost)
    assert (caught.value.message, caught.value.hint) == ("the lease was lost", "again")
    assert not isinstance(caught.value, StoppedError)


def test_kinds_are_waited_for_until_they_are_served() -> None:
    kind, thing = crd("example.org", "Thing"), config_map("a", "one")
    thing |= {"apiVersion": "example.org/v1", "kind": "Thing"}
    heads, rest = (Present(kind, None, None),), (Present(thing, None, None),)
    answers: list[object] = [None, None, "served"]
    forgotten: list[int] = []
    waited: list[float] = []
    cluster = SimpleNamespace(
        resource=lambda object_id: answers.pop(0), forget=lambda: forgotten.append(len(answers))
    )
    room._await_served(cast(Cluster, cluster), heads, rest, waited.append)
    assert (answers, waited, forgotten) == ([], [0.5, 0.5], [3, 2, 1])


def test_kinds_that_others_define_are_not_waited_for() -> None:
    asked: list[ObjectId] = []
    cluster = SimpleNamespace(resource=asked.append, forget=lambda: None)
    heads = (Present(crd("example.org", "Thing"), None, None),)
    rest = (Present(config_map("a", "one"), None, None),)
    room._await_served(cast(Cluster, cluster), heads, rest, never)
    assert asked == []


def test_what_follows_has_a_line_of_its_own_where_there_are_several() -> None:
    assert with_more("not ready", "went back") == "not ready; went back"
    assert with_more("not ready:\n  pod a\n  pod b", "went back") == (
        "not ready:\n  pod a\n  pod b\nwent back"
    )


def test_a_refusal_of_several_lines_says_how_far_it_came() -> None:
    deeds = room._Deeds(cast(Cluster, None))
    deeds.names |= {"ConfigMap a/one": None, "Secret home/airbundle.app": None}
    error = room._stopped(ClusterError("not ready:\n  pod a"), deeds, prepared())
    assert isinstance(error, StoppedError)
    assert error.message == "not ready:\n  pod a"
    assert error.halfway == (
        "not ready:\n  pod a\nstopped half way, applied before: ConfigMap a/one"
    )
