"""What a preflight as a whole comes to."""

from __future__ import annotations

import pytest

from bundler.core.errors import PreflightError
from bundler.core.preflight.checked import Checked, or_fine, require_passed


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
    ]
    assert [each["outcome"] for each in caught.value.checks] == [
        "failed", "warning", "failed", "failed",
    ]  # fmt: skip
    assert caught.value.checks[1]["remedy"] == "set it"


def test_where_nothing_is_found_all_is_well() -> None:
    assert list(or_fine([], "a", "fine")) == [Checked("a", "ok", "fine")]
    bad = Checked("a", "failed", "x")
    assert list(or_fine([bad], "a", "fine")) == [bad]
