"""One install at a time, on the API server: who has the lease, who gets it, who loses it."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from bundler.cluster.client import Cluster, ConflictError
from bundler.cluster.release import lease as room
from bundler.cluster.release.lease import LASTS, Held, held, holder_of, lease_id
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject
from tests.parts.registry import Registry
from tests.releases import namespace
from tests.site import Field, field_of_work

NOBODY = cast(Cluster, None)

pytestmark = pytest.mark.needs("apiserver")


@pytest.fixture(name="on")
def working(tmp_path: Path, kubeconfig: Path, registry: Registry) -> Iterator[Field]:
    with field_of_work(tmp_path, kubeconfig, registry) as on:
        on.write("tests", namespace(on.mark))
        yield on


def never(seconds: float) -> None:
    raise AssertionError("waited")


def write(on: Field, holder: str) -> JsonObject:
    return on.cluster.create(room._lease(lease_id("app", on.mark), holder))


def holder(on: Field) -> str:
    found = on.get(lease_id("app", on.mark))
    return "" if found is None else str(found["spec"]["holderIdentity"])


def test_it_is_held_in_the_block_and_gone_after_it(on: Field) -> None:
    with held(on.cluster, "app", on.mark, never) as mine:
        found = on.get(lease_id("app", on.mark))
        assert found is not None
        assert holder_of(found) == f"{platform.node()}, process {os.getpid()}"
        mine.require()
    assert on.get(lease_id("app", on.mark)) is None


def test_it_is_gone_after_an_error_too(on: Field) -> None:
    with pytest.raises(ZeroDivisionError), held(on.cluster, "app", on.mark, never):
        raise ZeroDivisionError
    assert on.get(lease_id("app", on.mark)) is None


def test_two_releases_have_two(on: Field) -> None:
    with held(on.cluster, "app", on.mark, never), held(on.cluster, "other", on.mark, never):
        assert holder(on)


def test_the_second_is_refused_while_the_first_renews(on: Field) -> None:
    theirs = write(on, "elsewhere/17/boot/mark")
    looks = []

    def renewing(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            on.cluster.replace(
                room._lease(lease_id("app", on.mark), "elsewhere/17/boot/mark", theirs)
            )

    with (
        pytest.raises(
            ClusterError,
            match="another install of this release is going on: elsewhere, "
            "process 17 holds the lease, and renews it",
        ),
        held(on.cluster, "app", on.mark, renewing),
    ):
        pytest.fail("held twice")
    assert len(looks) == 3
    assert holder(on) == "elsewhere/17/boot/mark"


def test_one_that_nobody_renews_is_taken_over_after_as_long_as_it_lasts(on: Field) -> None:
    write(on, "elsewhere/17/boot/mark")
    looks: list[float] = []
    with held(on.cluster, "app", on.mark, looks.append):
        assert holder(on).startswith(f"{platform.node()}/{os.getpid()}/")
    assert sum(looks) == LASTS


def ended() -> int:
    """The id of a process that has ended, and was waited for."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child


def test_one_of_a_process_of_this_machine_that_was_killed_is_taken_at_once(on: Field) -> None:
    write(on, f"{platform.node()}/{ended()}/{room._boot()}/mark")
    with held(on.cluster, "app", on.mark, never):
        assert holder(on).startswith(f"{platform.node()}/{os.getpid()}/")


@pytest.mark.parametrize("refusal", [PermissionError, OverflowError])
def test_one_of_a_process_that_is_hidden_from_us_is_not(
    on: Field, monkeypatch: pytest.MonkeyPatch, refusal: type[Exception]
) -> None:
    """Another user's, where /proc is mounted with hidepid."""

    def kill(process: int, signal: int) -> None:
        assert signal == 0
        raise refusal

    write(on, f"{platform.node()}/{ended()}/{room._boot()}/mark")
    monkeypatch.setattr(os, "kill", kill)
    with pytest.raises(AssertionError, match="waited"), held(on.cluster, "app", on.mark, never):
        pytest.fail("held twice")


def test_where_no_boot_is_known_no_process_is_of_this_machine(
    on: Field, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(room, "_BOOT", tmp_path / "none")
    write(on, f"{platform.node()}/{ended()}/{room._boot()}/mark")
    with pytest.raises(AssertionError, match="waited"), held(on.cluster, "app", on.mark, never):
        pytest.fail("held twice")


@pytest.mark.parametrize("other", ["{host}/{gone}/another-boot/mark", "other/{gone}/{boot}/mark"])
def test_one_of_another_boot_or_machine_is_not(on: Field, other: str) -> None:
    write(on, other.format(host=platform.node(), gone=ended(), boot=room._boot()))
    with pytest.raises(AssertionError, match="waited"), held(on.cluster, "app", on.mark, never):
        pytest.fail("held twice")


def test_one_of_a_process_of_this_machine_that_lives_is_not(on: Field) -> None:
    write(on, f"{platform.node()}/{os.getpid()}/{room._boot()}/mark")
    with pytest.raises(AssertionError, match="waited"), held(on.cluster, "app", on.mark, never):
        pytest.fail("held twice")


def test_one_that_nobody_holds_is_taken_at_once(on: Field) -> None:
    write(on, "")
    with held(on.cluster, "app", on.mark, never):
        assert holder(on).startswith(f"{platform.node()}/{os.getpid()}/")


def test_two_that_take_it_over_get_it_once(on: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    write(on, "")
    real = Cluster.replace

    def late(self: Cluster, obj: JsonObject) -> JsonObject:
        monkeypatch.setattr(Cluster, "replace", real)
        assert took(on)
        return real(self, obj)

    monkeypatch.setattr(Cluster, "replace", late)
    with pytest.raises(AssertionError, match="waited"), held(on.cluster, "app", on.mark, never):
        pytest.fail("held twice")
    assert holder(on) == "elsewhere/17/b/m"


def test_two_that_see_it_free_get_it_once(on: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Cluster.create

    def late(self: Cluster, obj: JsonObject, *, dry_run: bool = False) -> JsonObject:
        monkeypatch.setattr(Cluster, "create", real)
        write(on, "elsewhere/17/boot/mark")
        return real(self, obj, dry_run=dry_run)

    monkeypatch.setattr(Cluster, "create", late)
    with pytest.raises(AssertionError, match="waited"), held(on.cluster, "app", on.mark, never):
        pytest.fail("held twice")
    assert holder(on) == "elsewhere/17/boot/mark"


def test_it_is_renewed(on: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_RENEWED", 0.01)
    with held(on.cluster, "app", on.mark, never) as mine:
        first = version(on)
        assert until(lambda: version(on) != first)
        mine.require()


def test_a_renewal_of_which_the_answer_was_lost_is_ours(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was written; asked again with the version of before, the server says that it changed."""
    with held(on.cluster, "app", on.mark, never) as mine:
        on.cluster.replace(room._lease(lease_id("app", on.mark), holder(on), mine.lease))
        first = version(on)
        mine.renew()
        assert not mine.lost.is_set()
        assert version(on) != first
        mine.renew()
        mine.require()


def test_one_that_somebody_took_is_lost(on: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_RENEWED", 0.01)
    with held(on.cluster, "app", on.mark, never) as mine:
        assert until(lambda: took(on))
        assert mine.lost.wait(30)
        with pytest.raises(ClusterError, match="the lease was lost"):
            mine.require()
    assert holder(on) == "elsewhere/17/b/m"


def test_one_that_can_not_be_renewed_is_lost(on: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(self: Cluster, obj: JsonObject) -> JsonObject:
        raise ClusterError("the API server is away")

    monkeypatch.setattr(room, "_RENEWED", LASTS)
    monkeypatch.setattr(Cluster, "replace", away)
    told = pytest.raises(ClusterError, match=r"^the API server is away$")
    with held(on.cluster, "app", on.mark, never) as mine, told:
        mine.require()


def test_one_whose_renewal_took_too_long_is_lost(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Cluster.replace
    monkeypatch.setattr(room, "_RENEWED", LASTS / 2)
    with held(on.cluster, "app", on.mark, never) as mine:
        moments = iter(mine.renewed + LASTS * n for n in range(1, 9))

        def slow(self: Cluster, obj: JsonObject) -> JsonObject:
            next(moments)
            return real(self, obj)

        monkeypatch.setattr(room, "_now", lambda: next(moments))
        monkeypatch.setattr(Cluster, "replace", slow)
        with pytest.raises(ClusterError, match="the lease was lost: it was not renewed for 10"):
            mine.require()


def test_one_that_is_renewed_late_is_kept(on: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    real, tries = Cluster.replace, []

    def once(self: Cluster, obj: JsonObject) -> JsonObject:
        tries.append(obj)
        if len(tries) == 1:
            raise ClusterError("the API server is away")
        return real(self, obj)

    monkeypatch.setattr(room, "_RENEWED", 0.01)
    monkeypatch.setattr(Cluster, "replace", once)
    with held(on.cluster, "app", on.mark, never) as mine:
        first = version(on)
        assert until(lambda: version(on) != first or mine.lost.is_set())
        mine.require()


def test_what_is_held_is_not_refused_until_it_is_lost() -> None:
    mine = Held(NOBODY, room._lease(lease_id("app", "n"), "me"), room._now())
    mine.require()
    mine.lost.set()
    with pytest.raises(ClusterError, match=r"Lease n/airbundle\.app: the lease was lost"):
        mine.require()


def test_one_that_somebody_took_while_the_machine_slept_is_lost(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held(on.cluster, "app", on.mark, never) as mine:
        assert took(on)
        asleep = mine.renewed + LASTS - room._RENEWED
        monkeypatch.setattr(room, "_now", lambda: asleep - 0.1)
        mine.require()
        monkeypatch.setattr(room, "_now", lambda: asleep)
        with pytest.raises(ClusterError, match=r"was not renewed for 15 seconds \(was this"):
            mine.require()


def test_one_that_somebody_took_unseen_is_not_taken_away(on: Field) -> None:
    """The machine slept, and wakes with nothing left to write."""
    with held(on.cluster, "app", on.mark, never):
        assert took(on)
    assert holder(on) == "elsewhere/17/b/m"


def test_one_that_nobody_took_while_the_machine_slept_is_held_on(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held(on.cluster, "app", on.mark, never) as mine:
        first, asleep = version(on), mine.renewed + 1000
        monkeypatch.setattr(room, "_now", lambda: asleep)
        mine.require()
        assert version(on) != first
        assert mine.renewed == asleep


def test_one_that_was_taken_away_is_lost_and_not_made_anew(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an API server does with a PUT of a Lease that is not there, unless it has a uid."""
    monkeypatch.setattr(room, "_RENEWED", 0.01)
    with held(on.cluster, "app", on.mark, never) as mine:
        found = on.get(lease_id("app", on.mark))
        assert found is not None
        on.cluster.delete(lease_id("app", on.mark), found["metadata"]["uid"])
        assert mine.lost.wait(30)
        assert on.get(lease_id("app", on.mark)) is None


def took(on: Field) -> bool:
    """Somebody takes it, unless it was renewed in the same moment."""
    try:
        there = on.get(lease_id("app", on.mark))
        on.cluster.replace(room._lease(lease_id("app", on.mark), "elsewhere/17/b/m", there))
    except ConflictError:
        return False
    return True


def version(on: Field) -> str:
    found = on.get(lease_id("app", on.mark))
    assert found is not None
    return str(found["metadata"]["resourceVersion"])


def until(true: Callable[[], bool]) -> bool:
    return any(true() for _ in range(1000))
