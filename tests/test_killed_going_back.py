"""Behaviour 16 on the way back: an install that failed, and is killed while it undoes that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bundler import install as verb
from bundler.cluster.transaction.apply import Checks
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import ObjectId
from tests.killedwrites import Killed, writes
from tests.parts.registry import Registry
from tests.releases import Release, namespace
from tests.site import Field, field_of_work
from tests.test_transaction import away, begun, ended

pytestmark = pytest.mark.needs("apiserver", "docker-registry")


@pytest.fixture(name="on")
def installing(tmp_path: Path, kubeconfig: Path, registry: Registry) -> Iterator[Field]:
    with field_of_work(tmp_path, kubeconfig, registry) as on:
        yield on


def failing_once(patched: pytest.MonkeyPatch, written: list[str]) -> list[int]:
    """What is installed doesn't get ready the first time; how much was `written` by then."""
    when: list[int] = []

    def wait(ids: Sequence[ObjectId]) -> None:
        if not when:
            when.append(len(written))
            raise ClusterError("Deployment web: 0 of 1 replicas are available")

    patched.setattr(verb, "checks_of", lambda *_: Checks(wait=wait))
    return when


@pytest.mark.parametrize("first", [True, False], ids=["first", "upgrade"])
def test_killed_on_its_way_back_it_is_run_again(
    first: bool, on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    def started(mark: str) -> tuple[Field, Release]:
        field = replace(on, mark=mark)
        # No controller takes namespaces away here: those of somebody else stay in any case.
        for name in (field.mark, field.home) if first else ():
            field.write("kubectl", namespace(name))
        return field, begun(field, first=first)

    whole, release = started(f"{on.mark}w")
    with monkeypatch.context() as patched:
        moments = writes(patched)
        failed = failing_once(patched, moments)
        with pytest.raises(ClusterError, match=r"removed again|1\.0\.0 is what runs"):
            whole.install(release)
    back = range(failed[0] + 1, len(moments) + 1)
    assert len(back) > 3
    whole.install(release)
    expected = ended(whole, release)
    for at in back:
        place, release = started(f"{on.mark}-{at}")
        with monkeypatch.context() as patched:
            failing_once(patched, writes(patched, at))
            with pytest.raises(Killed):
                place.install(release)
        place.install(release)
        assert ended(place, release) == expected, moments[at - 1]
        away(place)
    away(whole)
