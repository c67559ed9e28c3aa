"""Devices, their memory and drivers, from what NVIDIA's plugin and feature discovery write."""

from __future__ import annotations

from fractions import Fraction

import pytest

from bundler.core.preflight.cuda import Cuda, cuda_of, judge
from bundler.core.preflight.devices import memory, memory_for, offered
from tests.core.preflight.things import a_node

# As feature discovery 0.17 writes them, the older names besides the newer ones.
OLD = {
    "nvidia.com/cuda.driver.major": "535",
    "nvidia.com/cuda.driver.minor": "104",
    "nvidia.com/cuda.driver.rev": "05",
    "nvidia.com/cuda.runtime.major": "12",
    "nvidia.com/cuda.runtime.minor": "2",
    "nvidia.com/gpu.compute.major": "8",
    "nvidia.com/gpu.compute.minor": "0",
}
NEW = {
    "nvidia.com/cuda.driver-version.major": "570",
    "nvidia.com/cuda.driver-version.minor": "86",
    "nvidia.com/cuda.driver-version.revision": "15",
    "nvidia.com/cuda.runtime-version.major": "12",
    "nvidia.com/cuda.runtime-version.minor": "8",
}


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({"PATH": "/bin"}, None),
        ({"CUDA_VERSION": "12.4.1"}, Cuda("12.4.1", None)),
        ({"NVIDIA_REQUIRE_CUDA": "cuda>=12.4"}, Cuda(None, "cuda>=12.4")),
        (
            {
                "CUDA_VERSION": "12.4.1",
                "NVIDIA_REQUIRE_CUDA": "cuda>=13",
                "NVIDIA_DISABLE_REQUIRE": "true",
            },
            Cuda("12.4.1", None),
        ),
        ({"CUDA_VERSION": ""}, None),
    ],
)
def test_an_image_says_its_cuda_in_its_environment(
    environment: dict[str, str], found: Cuda | None
) -> None:
    assert cuda_of(environment) == found


@pytest.mark.parametrize(
    ("cuda", "labels", "verdict"),
    [
        (Cuda("12.2.0"), OLD, "fits"),
        (Cuda("11.8.0"), OLD, "fits"),
        (Cuda("12.4.1"), OLD, "perhaps"),
        (Cuda("13.0.0"), OLD, "refused"),
        (Cuda("12.8.0"), NEW, "fits"),
        (Cuda("12.9.0"), NEW, "perhaps"),
        (Cuda("12.4.1"), {}, "perhaps"),
        (Cuda("twelve"), OLD, "perhaps"),
        (Cuda("12.4.1", "cuda>=12.4"), OLD, "refused"),
        (Cuda("12.4.1", "cuda>=12.2"), OLD, "fits"),
        (Cuda(None, "cuda>=12.4 driver>=535,driver<536"), OLD, "fits"),
        (Cuda(None, "cuda>=12.4 brand=tesla,driver>=535,driver<536"), OLD, "perhaps"),
        (Cuda(None, "cuda>=12.4 brand=tesla,driver>=470,driver<471"), OLD, "refused"),
        (Cuda(None, "driver!=535"), OLD, "refused"),
        (Cuda(None, "driver=535"), OLD, "fits"),
        (Cuda(None, "driver<=535"), OLD, "fits"),
        (Cuda(None, "driver>535"), OLD, "refused"),
        (Cuda(None, "arch>=9.0"), OLD, "refused"),
        (Cuda(None, "arch>=8.0"), OLD, "fits"),
        (Cuda(None, "arch>=8.0"), NEW, "perhaps"),
        (Cuda(None, "whatever"), OLD, "perhaps"),
    ],
)
def test_a_driver_runs_what_it_is_new_enough_for(
    cuda: Cuda, labels: dict[str, str], verdict: str
) -> None:
    found, _ = judge(cuda, a_node(labels=labels))
    assert found == verdict


def test_the_driver_is_said_in_words() -> None:
    _, words = judge(Cuda("13.0"), a_node(labels=OLD))
    assert words == "driver 535.104.5, which has CUDA 12.2"
    assert judge(Cuda("13.0"), a_node())[1] == "no labels of GPU feature discovery"


def test_devices_are_counted_over_nodes() -> None:
    nodes = [
        a_node("one", offers={"nvidia.com/gpu": "8"}),
        a_node("two", offers={"nvidia.com/gpu": "4", "nvidia.com/mig-1g.10gb": "7"}),
        a_node("three", offers={"nvidia.com/gpu": "0"}),
    ]
    assert offered(nodes) == {
        "nvidia.com/gpu": (Fraction(12), 2),
        "nvidia.com/mig-1g.10gb": (Fraction(7), 1),
    }


@pytest.mark.parametrize(
    ("resource", "labels", "size"),
    [
        ("nvidia.com/gpu", {"nvidia.com/gpu.memory": "81920"}, 80 * 2**30),
        ("nvidia.com/gpu.shared", {"nvidia.com/gpu.memory": "81920"}, 80 * 2**30),
        ("nvidia.com/gpu", {}, None),
        ("nvidia.com/mig-1g.10gb", {"nvidia.com/mig-1g.10gb.memory": "9856"}, 9856 * 2**20),
        ("nvidia.com/mig-1g.10gb", {"nvidia.com/gpu.memory": "81920"}, 10 * 10**9),
        ("nvidia.com/mig-1c.3g.40gb", {}, 40 * 10**9),
        ("nvidia.com/mig-1g.10gb.me", {}, 10 * 10**9),
        ("nvidia.com/mig-odd", {}, None),
    ],
)
def test_the_memory_of_a_device(resource: str, labels: dict[str, str], size: int | None) -> None:
    assert memory(a_node(labels=labels), resource) == size


def test_the_memory_of_several_devices_is_together() -> None:
    asked = {"nvidia.com/gpu": Fraction(2), "rdma/hca": Fraction(1)}
    assert memory_for(a_node(labels={"nvidia.com/gpu.memory": "1024"}), asked) == 2 * 2**30
    assert memory_for(a_node(), asked) is None
    assert memory_for(a_node(), {"rdma/hca": Fraction(1)}) is None
