"""What counts as ready: by tables, and by the library whose rules these are."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from bundler.core.objects.kstatus import state
from bundler.core.objects.manifests import JsonObject
from tests.core.objects import kstatus_table as table

VERDICTS = {
    "Current": "current",
    "InProgress": "in progress",
    "Failed": "failed",
    "Terminating": "terminating",
}


def judged(program: Path, objects: Iterable[JsonObject]) -> list[str]:
    """The verdicts of kstatus itself."""
    lines = "".join(f"{json.dumps(each)}\n" for each in objects)
    done = subprocess.run([program], input=lines, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.needs("kstatus")
@pytest.mark.parametrize(
    "made",
    [
        table.deployments,
        table.replica_sets,
        table.stateful_sets,
        table.daemon_sets,
        table.pods,
        table.others,
    ],
)
def test_kstatus_itself_says_the_same(
    tool: Callable[[str], Path], made: Callable[[], Iterable[JsonObject]]
) -> None:
    objects = list(made())
    verdicts = [VERDICTS.get(each, each) for each in judged(tool("kstatus"), objects)]
    assert len(verdicts) == len(objects) > 20
    wrong = [
        (obj, state(obj), verdict)
        for obj, verdict in zip(objects, verdicts, strict=True)
        if state(obj).verdict != verdict
    ]
    assert wrong[:3] == []


@pytest.mark.needs("kstatus")
def test_what_differs_from_kstatus_does_so(tool: Callable[[str], Path]) -> None:
    objects = [each for each, _, _ in table.DIFFERENT]
    assert judged(tool("kstatus"), objects) == [verdict for _, _, verdict in table.DIFFERENT]


@pytest.mark.parametrize(("obj", "expected"), [each[:2] for each in table.DIFFERENT])
def test_what_differs_from_kstatus(obj: JsonObject, expected: tuple[str, str]) -> None:
    assert (state(obj).verdict, state(obj).words) == expected


@pytest.mark.parametrize(("obj", "expected"), table.SAID)
def test_a_state_is_told_in_words(obj: JsonObject, expected: tuple[str, str]) -> None:
    assert (state(obj).verdict, state(obj).words) == expected


@pytest.mark.parametrize("obj", table.ODD)
def test_what_no_server_sends_is_in_progress(obj: JsonObject) -> None:
    assert state(obj).verdict == "in progress"
