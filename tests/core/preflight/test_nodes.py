"""Nodes as their objects show them."""

from __future__ import annotations

from typing import Any

import pytest

from bundler.core.preflight.nodes import mounts_images, nodes_of
from tests.cluster.nodes import node
from tests.core.preflight.things import OTHER, a_node, requesting


def pod(phase: str = "Running", where: str | None = "one", **amounts: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "namespace": "elsewhere"},
        "spec": {"nodeName": where, "containers": [requesting(**amounts)]},
        "status": {"phase": phase},
    }


def test_pods_that_are_there_have_their_part() -> None:
    pods = [
        pod(cpu="4", memory="8Gi"),
        pod(cpu="2"),
        pod(phase="Succeeded", cpu="8"),
        pod(phase="Failed", cpu="8"),
        pod(where="another", cpu="8"),
        pod(where=None, cpu="8"),
    ]
    [found] = nodes_of([node("one")], pods, lambda each: False)
    assert [found.allocatable["cpu"], found.free["cpu"]] == [16, 10]
    assert found.free["memory"] == 56 * 2**30
    assert found.free["pods"] == 108


def test_pods_that_make_way_don_t_count() -> None:
    [found] = nodes_of([node("one")], [pod(cpu="4")], lambda each: True)
    assert found.free["cpu"] == 16


@pytest.mark.parametrize(
    ("said", "trouble"),
    [
        ({}, ()),
        ({"conditions": {"Ready": "False"}}, ("not ready",)),
        ({"conditions": {"Ready": "Unknown"}}, ("not ready",)),
        ({"conditions": {"DiskPressure": "True"}}, ("DiskPressure",)),
        ({"conditions": {"DiskPressure": "False"}}, ()),
        ({"cordoned": True}, ("cordoned",)),
        ({"cordoned": True, "conditions": {"Ready": "False"}}, ("not ready", "cordoned")),
    ],
)
def test_what_ails_a_node_is_said(said: dict[str, Any], trouble: tuple[str, ...]) -> None:
    assert a_node(**said).trouble == trouble


def test_images_that_a_node_has_are_known_by_digest() -> None:
    names = ["registry.site/x:1", f"registry.site/x@sha256:{OTHER}"]
    assert a_node(images=[{"names": names, "sizeBytes": 5}, {"names": None}]).stored == {OTHER: 5}


@pytest.mark.parametrize(
    ("kubelet", "runtime", "can", "words"),
    [
        ("v1.36.3", "containerd://2.1.4", True, None),
        ("v1.35.0", "cri-o://1.31.0", True, None),
        ("v1.34.1", "containerd://2.1.4", True, "feature-gates=ImageVolume=true"),
        ("v1.33.0-gke.1", "containerd://2.2.0", True, "feature-gates=ImageVolume=true"),
        ("v1.30.9", "containerd://2.1.4", False, "kubelet v1.30.9"),
        ("v1.36.3", "containerd://2.0.7", False, "containerd://2.0.7, expected 2.1"),
        ("v1.36.3", "containerd://1.7.20", False, "expected 2.1"),
        ("v1.36.3", "cri-o://1.30.2", False, "expected 1.31"),
        ("v1.36.3", "docker://27.0", False, "expected containerd or CRI-O"),
        ("", "", False, "unknown version"),
    ],
)
def test_image_volumes_hang_on_kubelet_and_runtime(
    kubelet: str, runtime: str, can: bool, words: str | None
) -> None:
    found, said = mounts_images(a_node(kubelet=kubelet, runtime=runtime))
    assert found is can
    assert said is None if words is None else words in str(said)
