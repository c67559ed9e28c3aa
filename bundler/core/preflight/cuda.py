"""An image's CUDA against a node's driver, as NVIDIA's container runtime and driver judge it.

``NVIDIA_REQUIRE_CUDA`` is what the container runtime checks before a container starts: groups
between spaces of which one must hold, conditions between commas that must all hold
(https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html).
``CUDA_VERSION`` counts where there is none: a driver runs a newer minor version of its own major
one, with limits (https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bundler.core.preflight.nodes import Node

Verdict = Literal["fits", "perhaps", "refused"]
Numbers = tuple[int, ...]

_CONDITION = re.compile(r"([a-z]+)(>=|<=|!=|>|<|=)([\w.]+)")
_DIGITS = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_TRUE = frozenset({"1", "true", "yes"})

# Feature discovery's labels, the names since 0.17 first:
# https://github.com/NVIDIA/k8s-device-plugin/blob/main/docs/gpu-feature-discovery/README.md
_DRIVER = (
    ("cuda.driver-version.major", "cuda.driver-version.minor", "cuda.driver-version.revision"),
    ("cuda.driver.major", "cuda.driver.minor", "cuda.driver.rev"),
)
_RUNTIME = (
    ("cuda.runtime-version.major", "cuda.runtime-version.minor"),
    ("cuda.runtime.major", "cuda.runtime.minor"),
)
_COMPUTE = (("gpu.compute.major", "gpu.compute.minor"),)


@dataclass(frozen=True)
class Cuda:
    """What an image says of CUDA: the version it has, and what it requires."""

    version: str | None = None
    require: str | None = None

    @property
    def words(self) -> str:
        """It, in words."""
        return f"requires {self.require}" if self.require else f"has CUDA {self.version}"


def cuda_of(environment: Mapping[str, str]) -> Cuda | None:
    """What the environment in an image's config says; None when it is about no CUDA."""
    version = environment.get("CUDA_VERSION") or None
    require = environment.get("NVIDIA_REQUIRE_CUDA") or None
    if environment.get("NVIDIA_DISABLE_REQUIRE", "").lower() in _TRUE:
        require = None
    return Cuda(version, require) if version or require else None


def judge(cuda: Cuda, node: Node) -> tuple[Verdict, str]:
    """Whether the driver of `node` runs an image with `cuda`, and what is known of the driver."""
    driver, runtime = _numbers(node, _DRIVER), _numbers(node, _RUNTIME)
    words = f"driver {_spelled(driver)}, which has CUDA {_spelled(runtime)}"
    if runtime is None and driver is None:
        return "perhaps", "no labels of GPU feature discovery"
    if cuda.require:
        known = {"cuda": runtime, "driver": driver, "arch": _numbers(node, _COMPUTE)}
        return _required(cuda.require, known), words
    wanted = _parsed(str(cuda.version))
    if runtime is None or not wanted:
        return "perhaps", words
    if wanted[0] > runtime[0]:
        return "refused", words
    return ("perhaps" if wanted[:2] > runtime[:2] else "fits"), words


def _required(require: str, known: Mapping[str, Numbers | None]) -> Verdict:
    verdicts = {_group(group, known) for group in require.split()}
    return "fits" if "fits" in verdicts else "perhaps" if "perhaps" in verdicts else "refused"


def _group(group: str, known: Mapping[str, Numbers | None]) -> Verdict:
    verdict: Verdict = "fits"
    for condition in group.split(","):
        found = _CONDITION.fullmatch(condition)
        # Brands are in no label; what nobody understands may hold.
        value = known.get(found[1]) if found else None
        wanted = _parsed(found[3]) if found else ()
        if found is None or value is None or not wanted:
            verdict = "perhaps"
        elif not _compare(value, found[2], wanted):
            return "refused"
    return verdict


def _compare(value: Numbers, operator: str, wanted: Numbers) -> bool:
    """`value` against `wanted`, as far as that goes: driver 470.82 is 470, not above it."""
    length = len(wanted)
    found = (value + (0,) * length)[:length]
    return {
        ">=": found >= wanted,
        "<=": found <= wanted,
        ">": found > wanted,
        "<": found < wanted,
        "=": found == wanted,
        "!=": found != wanted,
    }[operator]


def _parsed(text: str) -> Numbers:
    found = _DIGITS.match(text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def _numbers(node: Node, names: tuple[tuple[str, ...], ...]) -> Numbers | None:
    for parts in names:
        texts = [node.labels.get(f"nvidia.com/{part}", "") for part in parts]
        if texts[0].isdecimal():
            return tuple(int(text) for text in texts if text.isdecimal())
    return None


def _spelled(numbers: Numbers | None) -> str:
    return ".".join(map(str, numbers)) if numbers else "unknown"
