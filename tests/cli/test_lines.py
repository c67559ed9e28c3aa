"""The lines that push and install share."""

from __future__ import annotations

from bundler.archive.entries import Entry
from bundler.cli.lines import sent_line, status_line
from bundler.cluster.push import PushPlan, Transfer
from bundler.core.digest import Descriptor

BLOB = Descriptor.of("application/octet-stream", b"x" * 2048)
ENTRY = Entry("images/a", "image", BLOB)


def test_a_status_names_who_signed() -> None:
    assert status_line("TRUSTED", ("jo", "kim")) == "status       TRUSTED, signed by jo, kim"
    assert status_line("UNSIGNED", ()) == "status       UNSIGNED"


def test_what_is_sent_has_sizes_for_people_and_words_for_one() -> None:
    one = PushPlan((Transfer("a", BLOB, None),), (ENTRY,), True)
    two = PushPlan((*one.transfers, *one.transfers, Transfer("b", BLOB, "a")), (ENTRY,) * 2, True)
    assert sent_line("sent", one) == (
        "sent         1 blob (2.0 KiB), 0 shared between repositories, 1 entry"
    )
    assert sent_line("sent", two) == (
        "sent         2 blobs (4.0 KiB), 1 shared between repositories, 2 entries"
    )


def test_nothing_to_send_is_said() -> None:
    assert sent_line("push", PushPlan((), (), True)).startswith("push         nothing")
