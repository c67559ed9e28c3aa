"""What a preflight as a whole comes to."""

from __future__ import annotations

import pytest

from bundler.core.errors import PreflightError
from bundler.core.preflight.checked import Checked, ignoring, or_fine, require_passed


def test_warnings_and_what_was_not_seen_stop_nothing() -> None:
    require_passed([])
    require_passed(
        [Checked("a", "ok", "x"), Checked("b", "warning", "x"), Checked("c", "skipped", "x")]
    )


def test_all_failures_are_named_at_once_with_their_remedies() -> None:
    found = [
        Checked("rights", "failed", "may not", "ask"),
        Checked("clock", "warning", "is wrong", "set it"),
        Checked("storage", "failed", "no class", "make one\nor name another"),
        Checked("storage", "failed", "no class at all", "make one"),
    ]
    with pytest.raises(PreflightError) as caught:
        require_passed(found)
    assert caught.value.exit_code == 8
    assert caught.value.message.splitlines() == [
        "preflight: 3 of 4 checks failed, nothing was changed:",
        "  rights: may not",
        "  storage: no class",
        "  storage: no class at all",
    ]
    assert str(caught.value.hint).splitlines() == [
        "rights: ask",
        "storage: make one",
        "storage: or name another",
        "where a check is wrong about this site: --ignore-preflight-errors CHECK",
    ]
    assert [each["outcome"] for each in caught.value.checks] == [
        "failed", "warning", "failed", "failed",
    ]  # fmt: skip
    assert caught.value.checks[1]["remedy"] == "set it"


def test_only_failures_are_ignored_and_stay_in_sight() -> None:
    found = [Checked("a", "failed", "x", "mend it"), Checked("b", "failed", "y")]
    found += [Checked("a", "warning", "z")]
    assert ignoring(found, ["a"]) == (Checked("a", "ignored", "x", "mend it"), *found[1:])
    with pytest.raises(PreflightError, match="1 of 3 checks failed"):
        require_passed(ignoring(found, ["a"]))
    require_passed(ignoring(found, ["a", "b"]))


def test_where_nothing_is_found_all_is_well() -> None:
    assert list(or_fine([], "a", "fine")) == [Checked("a", "ok", "fine")]
    bad = Checked("a", "failed", "x")
    assert list(or_fine([bad], "a", "fine")) == [bad]
