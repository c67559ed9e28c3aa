"""Nodes that a release's pods may be sent to, as device plugins and kubelets describe them.

No GPU was seen: these are objects with the capacity and labels that NVIDIA's device plugin and
GPU feature discovery write.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.preflight.cuda import Cuda
from tests.cluster_room.preflight.scene import Scene
from tests.core.preflight.test_devices import OLD
from tests.core.preflight.things import DIGEST, OTHER
from tests.releases import namespace

pytestmark = pytest.mark.needs("etcd", "kube-apiserver")

GPU = {"nvidia.com/gpu": "2"}
MODEL = {"volumes": [{"name": "m", "image": {"reference": f"registry.site/m@sha256:{OTHER}"}}]}


def carrying(scene: Scene, digest: str, **said: Any) -> None:
    """The release's image or model is one of which this is known."""
    scene.images = dict(scene.images) | {digest: replace(scene.images[digest], **said)}


def asking(name: str) -> dict[str, Any]:
    """One device of this name."""
    return {name: "1"}


@contextmanager
def growing(scene: Scene) -> Iterator[None]:
    """The cluster autoscaler is there."""
    status = {"name": "cluster-autoscaler-status", "namespace": "kube-system"}
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": status}
    made = scene.cluster.create(obj)
    yield
    scene.cluster.delete(ObjectId.of(obj), made["metadata"]["uid"])


def test_without_nodes_no_pod_runs(scene: Scene) -> None:
    found = scene.one("nodes", scene.web())
    assert (found.outcome, found.message) == ("failed", "none of 0 nodes takes pods")
    assert scene.one("nodes").outcome == "warning"
    with growing(scene):
        found = scene.one("nodes", scene.web())
        assert found.outcome == "warning"
        assert "the cluster autoscaler may make more" in found.message


def test_one_node_is_one(scene: Scene) -> None:
    scene.node("one")
    assert scene.one("nodes", scene.web()).message == "1 node, which is ready"


def test_nodes_in_trouble_are_named(scene: Scene) -> None:
    scene.node("one")
    scene.node("two", cordoned=True)
    scene.node("three", conditions={"Ready": "False", "DiskPressure": "True"})
    found = scene.one("nodes", scene.web())
    assert found.outcome == "warning"
    assert found.message.startswith("1 of 3 nodes take pods: ")
    assert f"{scene.mark}-two is cordoned" in found.message
    assert f"{scene.mark}-three is not ready and DiskPressure" in found.message


def test_pods_that_find_no_room_are_found_with_the_reason(scene: Scene) -> None:
    scene.node("one")
    scene.node("two", cordoned=True)
    found = scene.one("room for pods", scene.web(20))
    assert found.outcome == "failed"
    assert "16 of 20 pods find room: " in found.message
    assert "1 node is cordoned" in found.message
    assert scene.one("room for pods", scene.web(16)).message == "16 pods find room"
    with growing(scene):
        assert scene.one("room for pods", scene.web(20)).outcome == "warning"


def test_a_node_with_another_label_or_taint_is_none(scene: Scene) -> None:
    scene.node(taints=[{"key": "dedicated", "value": "db", "effect": "NoSchedule"}])
    found = scene.one("room for pods", scene.web())
    assert found.outcome == "failed"
    assert "taint dedicated=db:NoSchedule, which is not tolerated" in found.message
    elsewhere = scene.web(spec={"nodeSelector": {"pool": "gpu"}})
    assert "has no label pool=gpu" in scene.one("room for pods", elsewhere).message


def test_what_runs_there_has_its_part_but_for_what_makes_way(scene: Scene) -> None:
    scene.node(offers={"cpu": "2"})
    scene.home()
    pod = scene.web()["spec"]["template"]
    metadata = {"name": "there", "namespace": scene.mark, "labels": {"app": "other"}}
    running = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
    scene.make(running | {"spec": pod["spec"] | {"nodeName": f"{scene.mark}-one"}})
    assert scene.one("room for pods", scene.web(2)).outcome == "failed"
    own = scene.web(2)
    own["spec"]["selector"]["matchLabels"] = {"app": "other"}
    own["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    assert scene.one("room for pods", own).outcome == "ok"


# --- GPUs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "remedy"),
    [
        ("nvidia.com/gpu", "NVIDIA's GPU operator"),
        ("nvidia.com/mig-1g.10gb", "nvidia.com/mig.config"),
        ("amd.com/gpu", "the device plugin that offers amd.com/gpu"),
    ],
)
def test_a_device_that_no_node_offers_is_found(scene: Scene, wanted: str, remedy: str) -> None:
    scene.node("one", offers={"nvidia.com/mig-3g.40gb": "2"})
    found = scene.one("GPU", scene.web(**asking(wanted)))
    assert found.outcome == "failed"
    assert found.message == (
        f"Deployment {scene.mark}/web: asks for 1 {wanted}, which no node offers; the nodes have "
        "2 nvidia.com/mig-3g.40gb on 1 nodes"
    )
    assert remedy in str(found.remedy)
    for name in ("room for pods", "GPU memory"):
        assert scene.one(name, scene.web(**asking(wanted))).outcome == "skipped"
    with growing(scene):
        scaled = scene.one("GPU", scene.web(**asking(wanted)))
        assert scaled.outcome == "warning"
        assert "scaled to zero" in str(scaled.remedy)


def test_gpus_that_are_there_pass_until_they_are_too_few(scene: Scene) -> None:
    scene.node("one", offers=GPU)
    assert (
        scene.one("GPU", scene.web(2, gpu="1")).message
        == "the nodes have 2 nvidia.com/gpu on 1 nodes"
    )
    assert scene.one("room for pods", scene.web(2, gpu="1")).outcome == "ok"
    found = scene.one("room for pods", scene.web(3, gpu="1"))
    assert found.outcome == "failed"
    assert "2 of 3 pods find room" in found.message


def test_a_gpu_behind_a_taint_needs_its_toleration(scene: Scene) -> None:
    taint = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
    scene.node("one", offers=GPU, taints=[taint])
    assert scene.one("room for pods", scene.web(gpu="1")).outcome == "failed"
    tolerating = {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}
    assert scene.one("room for pods", scene.web(spec=tolerating, gpu="1")).outcome == "ok"


def test_a_driver_that_is_too_old_is_found(scene: Scene) -> None:
    carrying(scene, DIGEST, cuda=Cuda("13.0.1"))
    scene.node("one", offers=GPU, labels=OLD)
    found = scene.one("GPU driver", scene.web(gpu="1"))
    assert found.outcome == "failed"
    assert "driver 535.104.5, which has CUDA 12.2; team/server has CUDA 13.0.1" in found.message
    assert "newer driver" in str(found.remedy)
    scene.node("two", offers=GPU, labels=OLD | {"nvidia.com/cuda.runtime.major": "13"})
    found = scene.one("GPU driver", scene.web(gpu="1"))
    assert found.outcome == "warning"
    assert "on 1 of 2 nodes" in found.message
    assert scene.one("GPU driver", scene.web()).message == "no image has CUDA"


def test_a_driver_of_the_same_major_version_may_do(scene: Scene) -> None:
    carrying(scene, DIGEST, cuda=Cuda("12.4.1"))
    scene.node("one", offers=GPU, labels=OLD)
    found = scene.one("GPU driver", scene.web(gpu="1"))
    assert found.outcome == "warning"
    assert "on 1 nodes it may not run" in found.message
    carrying(scene, DIGEST, cuda=Cuda("12.2.0"))
    assert scene.one("GPU driver", scene.web(gpu="1")).outcome == "ok"


def test_a_model_that_is_larger_than_the_device_is_found(scene: Scene) -> None:
    carrying(scene, OTHER, size=30 * 2**30)
    scene.node("one", offers=GPU, labels={"nvidia.com/gpu.memory": "24576"})
    found = scene.one("GPU memory", scene.web(spec=MODEL, gpu="1"))
    assert found.outcome == "failed"
    assert "the devices of a pod have 24 GiB, its models' weights 30 GiB" in found.message
    assert scene.one("GPU memory", scene.web(spec=MODEL, gpu="2")).outcome == "ok"
    assert scene.one("GPU memory", scene.web(spec=MODEL)).outcome == "ok"


def test_a_mig_device_has_the_memory_of_its_profile(scene: Scene) -> None:
    carrying(scene, OTHER, size=15 * 2**30)
    labels = {"nvidia.com/gpu.memory": "81920", "nvidia.com/mig-1g.10gb.memory": "9856"}
    scene.node("one", offers={"nvidia.com/mig-1g.10gb": "7"}, labels=labels)
    found = scene.one("GPU memory", scene.web(spec=MODEL, **asking("nvidia.com/mig-1g.10gb")))
    assert found.outcome == "failed"
    assert "have 9.6 GiB" in found.message


# --- what nodes must be able to do ------------------------------------------------------------


def test_images_for_another_platform_are_found(scene: Scene) -> None:
    scene.node("one", architecture="arm64")
    found = scene.one("architecture", scene.web())
    assert found.outcome == "failed"
    assert "it is linux/arm64, an image is for linux/amd64 only" in found.message
    scene.node("two")
    found = scene.one("architecture", scene.web())
    assert found.outcome == "warning"
    assert "keep these pods from these nodes" in str(found.remedy)
    with_arch = {"nodeSelector": {"mark": scene.mark, "kubernetes.io/arch": "amd64"}}
    assert scene.one("architecture", scene.web(spec=with_arch)).outcome == "ok"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"runtime": "containerd://1.7.24"}, "containerd://1.7.24, expected 2.1 or later"),
        ({"runtime": "cri-o://1.30.1"}, "cri-o://1.30.1, expected 1.31 or later"),
        ({"kubelet": "v1.30.4"}, "kubelet v1.30.4, expected 1.35 or later"),
    ],
)
def test_nodes_that_mount_no_images_are_found(
    scene: Scene, said: dict[str, str], words: str
) -> None:
    scene.node("one", **said)
    found = scene.one("image volumes", scene.web(spec=MODEL))
    assert found.outcome == "failed"
    assert words in found.message
    assert "by a volume claim or an object store" in str(found.remedy)
    assert scene.one("image volumes", scene.web()).outcome == "ok"


def test_a_feature_that_may_be_off_is_a_warning(scene: Scene) -> None:
    scene.node("one", kubelet="v1.33.2")
    found = scene.one("image volumes", scene.web(spec=MODEL))
    assert found.outcome == "warning"
    assert "only with --feature-gates=ImageVolume=true" in found.message


def test_a_disk_that_is_smaller_than_the_images_is_found(scene: Scene) -> None:
    carrying(scene, OTHER, size=60 * 2**30)
    scene.node("one", offers={"ephemeral-storage": "100Gi"})
    found = scene.one("node disk", scene.web(spec=MODEL))
    assert found.outcome == "failed"
    assert "its disk has 100 GiB, images and models take 122 GiB" in found.message
    assert scene.one("node disk", scene.web()).outcome == "ok"


def test_images_that_are_there_take_no_room_again_and_others_do(scene: Scene) -> None:
    carrying(scene, OTHER, size=40 * 2**30)
    mine = {"names": [f"registry.site/m@sha256:{OTHER}"], "sizeBytes": 40 * 2**30}
    other = {"names": [f"registry.site/x@sha256:{'c' * 64}"], "sizeBytes": 40 * 2**30}
    scene.node("one", offers={"ephemeral-storage": "90Gi"}, images=[other])
    found = scene.one("node disk", scene.web(spec=MODEL))
    assert found.outcome == "warning"
    assert "there is room only once other images go" in found.message
    scene.node("two", offers={"ephemeral-storage": "60Gi"}, images=[mine])
    there = {"nodeSelector": {"kubernetes.io/hostname": f"{scene.mark}-two"}}
    assert scene.one("node disk", scene.web(spec=MODEL | there)).outcome == "ok"


def test_pods_without_a_known_image_are_judged_by_the_rest(scene: Scene) -> None:
    scene.images = {}
    scene.node("one")
    objects: tuple[JsonObject, ...] = (namespace(scene.mark), scene.web(spec=MODEL))
    found = [each for each in scene.examine(objects=objects) if each.name != "certificate"]
    assert {each.outcome for each in found} <= {"ok", "skipped"}
