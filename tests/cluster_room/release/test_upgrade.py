"""What becomes of a release: its version, its target, its parameters."""

from __future__ import annotations

from dataclasses import replace

from bundler.cluster.release.record import Journal, Past, Record
from bundler.cluster.release.upgrade import ParameterChange, release_change
from bundler.core.objects.parameters import Value


def past(version: str = "1.4.0", **parameters: Value) -> Past:
    return Past("sha256:0", version, "dev", "reg.example", parameters, ())


def record(version: str = "1.4.0", **parameters: Value) -> Record:
    return Record("app", past(version, **parameters), ())


def test_the_first_install_is_new_and_resets_nothing() -> None:
    change = release_change(None, past(replicas=2), ())
    assert (change.change, change.before, change.after) == ("new", None, "1.4.0")
    assert change.parameters == ()


def test_the_version_that_is_there_is_installed_again() -> None:
    change = release_change(record(replicas=2), past(replicas=2), ())
    assert (change.change, change.interrupted, change.parameters) == ("again", False, ())


def test_a_parameter_that_falls_back_is_told() -> None:
    before = record(replicas=3, mode="loud", old=True, same=1)
    after = replace(past("1.5.0", replicas=2, mode="quiet", new="x", same=1), target="site")
    change = release_change(before, after, {"mode"})
    assert (change.change, change.before, change.after) == ("upgrade", "1.4.0", "1.5.0")
    assert (change.target_before, change.target) == ("dev", "site")
    assert change.parameters == (
        ParameterChange("replicas", 3, 2, True),
        ParameterChange("mode", "loud", "quiet", False),
        ParameterChange("new", None, "x", True),
        ParameterChange("old", True, None, False),
    )


def test_an_install_that_was_stopped_is_told() -> None:
    going = Journal("install", "sha256:1", "1.5.0", "dev", False, ())
    change = release_change(replace(record(), journal=going), past("1.5.0"), ())
    assert (change.change, change.before, change.interrupted) == ("upgrade", "1.4.0", True)


def test_a_first_install_that_was_stopped_is_new() -> None:
    going = Journal("install", "sha256:0", "1.4.0", "dev", True, ())
    change = release_change(replace(record(), journal=going), past("1.3.0"), ())
    assert (change.change, change.before, change.interrupted) == ("new", None, True)


def test_an_earlier_version_that_was_asked_for_is_a_rollback() -> None:
    change = release_change(record("1.5.0"), past("1.4.0"), (), back=True)
    assert (change.change, change.before, change.after) == ("rollback", "1.5.0", "1.4.0")
