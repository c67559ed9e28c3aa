"""Killed at any moment, or two at a time: `lock` and `build` end with the same bytes.

Real processes, ended by SIGKILL; inputs come from a hub and a registry, both on loopback.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.killing import KILLED, End, Runs, running
from tests.origins import WEIGHTS, Origins, make_origins
from tests.parts.hub import Hub
from tests.parts.registry import Registry
from tests.project import listing, safetensors

pytestmark = pytest.mark.needs("docker-registry")

# Only what LFS keeps is there: the weights.
CDN = "/blobs/org/mini/"


@dataclass(frozen=True)
class Place:
    """A copy of the project in `folder`, with a store of its own, and what is run in there."""

    runs: Runs
    origins: Origins
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        # Whoever is killed leaves what is temporary behind; it is not to be counted either.
        temporary = self.folder.with_name("temporary")
        temporary.mkdir(exist_ok=True)
        store = str(self.folder / "store")
        return {**self.origins.environment, "AIRBUNDLE_STORE": store, "TMPDIR": str(temporary)}

    def arguments(self, command: str, output: str = "bundle.tar") -> list[str]:
        written = ["--unsigned", "-o", str(self.folder / output)] if command == "build" else []
        return [command, str(self.folder / "project" / "bundle.yaml"), *written]

    def do(self, command: str, kill: str = "") -> End:
        self.start(self.arguments(command), kill=kill)
        return self.runs.ends()[0]

    def start(self, *runs: list[str], kill: str = "") -> list[int]:
        environment = self.environment
        return self.runs.start(*runs, environment=environment, below=self.folder, kill=kill)

    def made(self) -> dict[str, bytes]:
        """The lock and the bundle, where they are; nothing unfinished is beside the bundle."""
        assert listing(self.folder / "store" / "partial") == []
        assert [path.name for path in self.folder.glob("*.partial")] == []
        paths = (self.folder / "project" / "bundle.lock", *self.folder.glob("*.tar"))
        return {path.name: path.read_bytes() for path in paths}

    def fresh(self, name: str) -> Place:
        """Another, as this one was before anything ran but `lock`."""
        folder = self.folder.with_name(name)
        shutil.copytree(self.folder / "project", folder / "project")
        return Place(self.runs, self.origins, folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with running(tmp_path_factory.mktemp("runs")) as process:
        yield process


@pytest.fixture
def place(runs: Runs, tmp_path: Path, hub: Hub, registry: Registry, kustomize: Path) -> Place:
    origins = make_origins(tmp_path / "first" / "project", hub, registry)
    return Place(runs, origins, tmp_path / "first")


def locked(place: Place) -> Place:
    """The same with a lock, and nothing in its store."""
    assert place.do("lock").code == 0
    return place.fresh("locked")


def points(moments: Sequence[str]) -> list[str]:
    """The moments to be killed at: every renaming; of other calls the first, middle and last one.

    Into how many pieces a download is written is never certain, so its last is left out.
    """
    counts = Counter(moment.partition(" ")[0] for moment in moments)
    chosen = [f"os.rename {number + 1}" for number in range(counts.pop("os.rename"))]
    for call, count in counts.items():
        several = call in ("pwrite", "write")
        found = {1, (count + 1) // 2} if several else {1, (count + 1) // 2, count}
        chosen += [f"{call} {number}" for number in sorted(found)]
    return chosen


@pytest.mark.parametrize("command", ["lock", "build"])
def test_killed_at_any_moment_it_is_run_again(place: Place, command: str) -> None:
    start = locked(place) if command == "build" else place
    whole = start.fresh("whole")
    end = whole.do(command)
    assert end.code == 0, end.said
    expected = whole.made()
    tried = points(end.moments)
    assert {"fsync 1", "open 1", "os.rename 1", "write 1"} < set(tried)
    for moment in tried:
        again = start.fresh(f"killed before {moment}")
        assert again.do(command, kill=moment).code == KILLED
        end = again.do(command)
        assert end.code == 0, f"killed before {moment}: {end.said}"
        assert again.made() == expected
        shutil.rmtree(again.folder)


def test_killed_while_it_downloads_it_goes_on_where_it_was(place: Place) -> None:
    """Behaviour 9: the bundle is that of a download which nothing interrupted."""
    place.origins.tag(b"small, so that what is written are the weights")
    start = locked(place)
    whole, again = start.fresh("whole"), start.fresh("again")
    moments = whole.do("build").moments
    writes = sum(moment.startswith("write ") for moment in moments)
    hub = place.origins.hub
    assert again.do("build", kill=f"write {writes // 2}").code == KILLED
    assert [asked.begin for asked in hub.asked(CDN)] == [0, 0]
    hub.forget()
    assert again.do("build").code == 0
    assert again.made() == whole.made()
    [asked] = hub.asked(CDN)
    assert asked.begin > 0
    assert asked.begin + asked.sent == len(safetensors(WEIGHTS))


def test_two_builds_at_the_same_time_share_a_store(place: Place) -> None:
    """Both have asked for the model while one of them is half way through its weights."""
    whole, both = place.fresh("whole"), place.fresh("both")
    assert whole.do("build").code == 0
    hub = place.origins.hub
    hub.forget()
    held = hub.fault(CDN, hold=1024**2)
    both.start(*(both.arguments("build", name) for name in ("one.tar", "two.tar")))
    assert held.reached.wait(60)
    hub.wait_asked("/api/models/org/mini/tree/", 2)
    hub.release()
    ends = place.runs.ends()
    assert [end.code for end in ends] == [0, 0], [end.said for end in ends]
    made, expected = both.made(), whole.made()
    assert made["one.tar"] == made["two.tar"] == expected["bundle.tar"]
    assert made["bundle.lock"] == expected["bundle.lock"]
    assert sum(asked.sent for asked in hub.asked(CDN)) == len(safetensors(WEIGHTS))
