"""A plan as people read it."""

from __future__ import annotations

from dataclasses import replace

from bundler.cli.plan import plan_lines, release_lines
from bundler.cluster.release.upgrade import ParameterChange, ReleaseChange
from bundler.core.objects.differences import Difference
from bundler.core.objects.manifests import ObjectId
from bundler.core.objects.plan import Plan

WEB = ObjectId("apps/v1", "Deployment", "serving", "web")
UPGRADE = ReleaseChange("upgrade", "1.4.0", "1.5.0", "dev", "dev", False, ())


def shown(*found: Difference) -> list[str]:
    return list(plan_lines(Plan(changed=(WEB,), differences={WEB: found}), done=True))[1:-1]


def test_a_release_goes_from_version_to_version() -> None:
    changes = (
        ParameterChange("replicas", 3, 2, True),
        ParameterChange("mode", None, "loud", False),
        ParameterChange("old", True, None, False),
    )
    assert list(release_lines(replace(UPGRADE, target="site", parameters=changes))) == [
        "release      1.4.0 -> 1.5.0",
        "target       dev -> site",
        "parameter    replicas: 3 -> 2 (default)",
        'parameter    mode: (absent) -> "loud"',
        "parameter    old: true -> (absent)",
    ]


def test_a_release_that_is_there_is_again() -> None:
    again = replace(UPGRADE, change="again", after="1.4.0", interrupted=True)
    assert list(release_lines(again)) == [
        "release      1.4.0 (again), after an install that was stopped half way"
    ]


def test_what_changes_is_shown_by_pointer() -> None:
    found = Difference("/spec/replicas", 1, 2), Difference("/data/key", "***", None)
    assert shown(*found) == [
        "    /spec/replicas: 1 -> 2",
        "    /data/key: *** -> (absent)",
    ]


def test_the_data_of_a_record_is_no_news() -> None:
    record = ObjectId("v1", "Secret", "airbundle-system", "airbundle.app")
    found = Difference("/data/version", "***", "***"), Difference("/metadata/labels/a", "1", "2")
    lines = list(plan_lines(Plan(changed=(record,), differences={record: found}), done=True))
    assert lines[1:-1] == ['    /metadata/labels/a: "1" -> "2"']
    own = replace(record, name="login")
    lines = list(plan_lines(Plan(changed=(own,), differences={own: found}), done=True))
    assert lines[1] == "    /data/version: *** -> ***"


def test_long_values_are_cut_where_they_differ() -> None:
    same = "x" * 500
    (line,) = shown(Difference("/data/text", f"{same}old{same}", f"{same}new{same}"))
    assert len(line) < 170
    assert "…xxxxxxxxxxxxxxxold" in line
    assert "…xxxxxxxxxxxxxxxnew" in line


def test_what_is_adopted_says_so_and_nothing_is_counted_that_is_not_there() -> None:
    plan = Plan(adopted=(WEB,), unchecked=(ObjectId("v1", "ConfigMap", "new", "one"),))
    assert list(plan_lines(plan, done=True)) == [
        "? ConfigMap new/one",
        "~ Deployment serving/web  (taken over: it is there already, and no release made it)",
        "             ? can't be checked before the install brings its namespace or kind",
        "plan         1 not checked yet, 1 taken over",
    ]
    assert (
        list(plan_lines(plan, done=False))[-1] == "plan         1 not checked yet, 1 to take over"
    )


def test_what_is_made_anew_is_said() -> None:
    first, _ = plan_lines(Plan(changed=(WEB,), anew=(WEB,)), done=False)
    assert first == f"~ {WEB}  (can't be changed: is deleted and made anew)"


def test_a_volume_that_is_kept_is_said_to_hold_data() -> None:
    claim = ObjectId("v1", "PersistentVolumeClaim", "serving", "data")
    said = list(plan_lines(Plan(kept=(claim,)), done=False))
    assert said[0] == f"! {claim}  (no longer part of it, left in place: it holds data)"
