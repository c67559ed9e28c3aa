"""A small release on a real node: it is asked when it is ready, and its status is told."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from bundler.cli.main import run
from bundler.core.objects.manifests import ObjectId
from bundler.status import status
from tests.cluster.node import Node
from tests.nodefield import Field, node_field


@pytest.fixture(scope="module")
def on(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    with node_field(tmp_path_factory.mktemp("release"), node) as on:
        assert run(on.command(on.release())) == 0
        yield on


def test_a_release_that_answered_is_well(on: Field, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--kubeconfig", str(on.node.kubeconfig), "--release-namespace", f"{on.mark}-system"]
    assert run(["status", *flags, "--inventory"]) == 0
    text = capsys.readouterr().out
    assert f"= Deployment {on.mark}/web: 1 of 1 replicas available\n" in text
    assert text.endswith("objects      3 of 3 objects ready\n")
    assert run(["status", *flags, "--json"]) == 0
    (release,) = json.loads(capsys.readouterr().out)["releases"]
    assert [each["state"] for each in release["objects"]] == ["current"] * 3


def test_an_upgrade_that_answers_otherwise_goes_back(
    on: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(on.command(on.release(length=3))) == 8
    message = capsys.readouterr().err
    where = f"smoke 1 of 1: GET {on.mark}/web:http/predict: /predictions"
    assert f"{where}: expected a length of 3, found one of 2" in message
    (found,) = status(None, on.access).releases
    assert (found.version, found.well) == ("1.1.0", True)


def test_what_somebody_changes_is_drift(on: Field) -> None:
    web = ObjectId("apps/v1", "Deployment", on.mark, "web")
    live = on.cluster.get(web)
    assert live is not None
    live["spec"]["replicas"] = 0
    on.cluster.replace(live)
    (found,) = status(None, on.access).releases
    drift = {each.id: each.drift for each in found.objects if each.drift}
    assert [(each.pointer, each.before, each.after) for each in drift[web]] == [
        ("/spec/replicas", 1, 0)
    ]
    assert not found.well
