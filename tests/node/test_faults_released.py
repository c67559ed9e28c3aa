"""The life of a release on a real node: planned, installed again, brought back, taken away.

Behaviours 6, 16, 17, 18, 20, 22 and 23.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundler.cli.main import run
from bundler.core.objects.manifests import JsonObject, ObjectId
from tests.cluster.node import Node
from tests.heldcommand import held
from tests.making import image
from tests.nodefield import Field, node_field, until
from tests.releases import REPOSITORY, Release

Told = pytest.CaptureFixture[str]
# Layers that tell the images of two releases apart; they hold nothing.
LAYERS = (bytes(1024), bytes(2048))


@pytest.fixture(scope="module")
def on(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    with node_field(tmp_path_factory.mktemp("released"), node) as on:
        yield on


@pytest.fixture(scope="module")
def first(on: Field) -> tuple[Release, list[str]]:
    """A release that is installed, and the command that did it."""
    release = on.release(on.settings("settings", key="1"), layers=LAYERS[:1])
    command = on.command(release)
    assert run(command) == 0
    return release, command


@pytest.fixture(scope="module")
def second(on: Field, first: object) -> tuple[Release, list[str]]:
    """Its next version, of another image, not installed yet."""
    release = on.release(on.settings("settings", key="2"), layers=LAYERS)
    return release, on.command(release)


def digests(on: Field) -> set[str]:
    """What the pods' containers run, as the node says."""
    return {
        each["imageID"].partition("@")[2]
        for pod in on.pods()
        for each in pod["status"]["containerStatuses"]
    }


def digest_of(release: Release) -> str:
    return str(image(tuple(release.contents.images[REPOSITORY]))[0].digest)


def state(on: Field) -> tuple[dict[str, str], list[str]]:
    return on.versions(), on.stored()


def test_a_dry_run_changes_nothing_and_says_what_is_then_done(
    on: Field, second: tuple[Release, list[str]], capsys: Told
) -> None:
    """Behaviour 17."""
    release, command = second
    before = state(on)
    assert f"Deployment {on.mark}/web" in str(before[0])
    assert before[1]
    capsys.readouterr()
    assert run([*command, "--dry-run", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert state(on) == before
    assert run([*command, "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    differs = {key for key in said if said[key] != done[key]}
    # What is free, and when certificates end, moves on.
    assert differs - {"preflight"} == {"dryRun"}
    on.runs(release)
    assert digests(on) == {digest_of(release)}


def test_installed_twice_changes_nothing(
    on: Field, second: tuple[Release, list[str]], capsys: Told
) -> None:
    """Behaviour 18."""
    before = state(on)
    capsys.readouterr()
    assert run([*second[1], "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert state(on) == before
    assert (done["push"]["blobs"], done["push"]["entries"]) == (0, [])


def test_an_older_version_is_refused(
    on: Field, first: tuple[Release, list[str]], capsys: Told
) -> None:
    """Behaviour 6."""
    before = state(on)
    assert run(first[1]) == 8
    assert "airbundle rollback" in capsys.readouterr().err
    assert state(on) == before


def test_somebody_elses_field_is_not_overwritten(on: Field, capsys: Told) -> None:
    """Behaviour 22: a field that somebody took from the release."""
    theirs = on.settings("settings", key="theirs")
    on.cluster.apply(theirs, force=True)
    before = state(on)
    third = on.release(on.settings("settings", key="3"), layers=LAYERS)
    command = on.command(third)
    assert run(command) == 8
    said = capsys.readouterr().err
    assert "--take-ownership" in said
    assert "airbundle-tests" in said
    assert state(on) == before
    assert run([*command, "--take-ownership"]) == 0
    live = on.get("ConfigMap", "settings")
    assert live is not None
    assert live["data"] == {"key": "3"}


def test_a_rollback_runs_the_earlier_image_again(
    on: Field, first: tuple[Release, list[str]], capsys: Told
) -> None:
    """Behaviours 16, 20 and 23: also when it was killed on its way."""
    assert digests(on) != {digest_of(first[0])}
    back = ["rollback", on.name, f"--to={first[0].version}", f"--key={on.key}", *on.flags()]
    with held("after apply Deployment 1", back) as process:
        process.kill()
    assert on.installed().journal is not None
    assert run(back) == 0
    on.runs(first[0])
    assert digests(on) == {digest_of(first[0])}
    live = on.get("ConfigMap", "settings")
    assert live is not None
    assert live["data"] == {"key": "1"}


def claim(on: Field) -> JsonObject:
    spec = {
        "storageClassName": on.node.storage_class,
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Mi"}},
    }
    metadata = {"name": "data", "namespace": on.mark}
    kind = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    return kind | {"metadata": metadata, "spec": spec}


def test_uninstall_leaves_nothing_but_volumes_that_were_not_to_go(
    on: Field, first: object, capsys: Told
) -> None:
    """Behaviours 16 and 20, with what is on the node's disk."""
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    release = on.release(claim(on), volumes=[volume], volumeMounts=[_MOUNT])
    command = on.command(release)
    assert run(command) == 0
    everything = ["uninstall", on.name, *on.flags(), "--delete-data"]
    with held("before delete Namespace 1", everything) as process:
        process.kill()
    assert run(everything) == 0
    assert (_is_gone(on, on.mark), _is_gone(on, on.home)) == (True, True)
    assert run(command) == 0
    [pod] = on.pods()
    wrote = on.node.exec_in(pod, ["/bin/busybox", "touch", "/data/kept"])
    assert wrote.returncode == 0, wrote.stderr
    folder = _folder(on)
    capsys.readouterr()
    assert run(["uninstall", on.name, *on.flags()]) == 0
    assert "it holds data" in capsys.readouterr().out
    assert [each for each in on.versions() if not _is_native(each)] == [
        f"PersistentVolumeClaim {on.mark}/data"
    ]
    assert _is_gone(on, on.home)
    assert [each.name for each in folder.iterdir()] == ["kept"]


_MOUNT = {"name": "data", "mountPath": "/data"}
_VOLUMES = ObjectId("v1", "PersistentVolume", None, "any")


def _volumes(on: Field) -> list[JsonObject]:
    found = on.cluster.list(_VOLUMES)
    return [each for each in found if each["spec"]["claimRef"]["namespace"] == on.mark]


def _folder(on: Field) -> Path:
    """Where on the node's disk the claim's volume is; the one before it is gone by then."""
    until(lambda: len(_volumes(on)) == 1)
    [volume] = _volumes(on)
    return Path(volume["spec"]["local"]["path"])


def _is_native(name: str) -> bool:
    return name.endswith(("/kube-root-ca.crt", "/default")) or name.startswith("Endpoint")


def _is_gone(on: Field, name: str) -> bool:
    return on.cluster.get(ObjectId("v1", "Namespace", None, name)) is None
