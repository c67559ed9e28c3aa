"""What a pod of a model server owes to a cluster that is connected to nothing.

checkov loads this file; each class is a check, asked of every pod, in whatever kind it stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from checkov.common.models.enums import CheckCategories, CheckResult
from checkov.kubernetes.checks.resource.base_spec_check import BaseK8Check

# Pods of all other kinds, custom resources included, are shown to checkov as one of these.
_WORKLOADS = (
    "DaemonSet",
    "Deployment",
    "Job",
    "ReplicaSet",
    "ReplicationController",
    "StatefulSet",
)
_PLACES = dict.fromkeys(_WORKLOADS, "spec/template/spec") | {"Pod": "spec"}


class PodCheck(BaseK8Check):
    """Asks `wrong`, and says where in the object the first wrong thing stands."""

    def __init__(self, check_id: str, name: str) -> None:
        super().__init__(name, check_id, (CheckCategories.KUBERNETES,), tuple(_PLACES))

    def wrong(self, pod: dict[str, Any]) -> Iterator[str]:
        """Paths below the pod, as checkov writes them."""
        raise NotImplementedError

    def scan_spec_conf(self, conf: dict[str, Any]) -> CheckResult:
        """Fails with the first wrong thing."""
        place, pod = _PLACES[conf["kind"]], conf
        for step in place.split("/"):
            pod = pod.get(step) or {}
        for path in self.wrong(pod):
            self.evaluated_keys = [f"{place}/{path}"]
            return CheckResult.FAILED
        return CheckResult.PASSED


class StaysOffline(PodCheck):
    """A library that has its model's files still asks the hub, unless it is told not to.

    So every container that mounts a model, init containers too, has each of these variables.
    """

    switches = (
        "HF_HUB_OFFLINE",
        "TRANSFORMERS_OFFLINE",
        "HF_HUB_DISABLE_TELEMETRY",
        "DO_NOT_TRACK",
        "VLLM_NO_USAGE_STATS",
    )

    def __init__(self) -> None:
        """Policies name it by its id, which never changes."""
        switches = ", ".join(f"{name}=1" for name in self.switches)
        super().__init__("CKV_AIRBUNDLE_1", f"A container with a model sets {switches}")

    def wrong(self, pod: dict[str, Any]) -> Iterator[str]:
        """Containers that mount a model and lack a switch."""
        models = {
            volume.get("name")
            for volume in pod.get("volumes") or ()
            if "/models/" in str((volume.get("image") or {}).get("reference"))
        }
        for field in ("initContainers", "containers"):
            for index, container in enumerate(pod.get(field) or ()):
                mounted = {mount.get("name") for mount in container.get("volumeMounts") or ()}
                given = {
                    variable.get("name")
                    for variable in container.get("env") or ()
                    if variable.get("value") in ("1", "true")
                }
                if mounted & models and not given.issuperset(self.switches):
                    yield f"{field}/[{index}]/env"


class LimitsScratchSpace(PodCheck):
    """A volume without a limit fills the node's disk or, as shared memory, its memory."""

    def __init__(self) -> None:
        """Policies name it by its id, which never changes."""
        super().__init__("CKV_AIRBUNDLE_3", "An emptyDir has a sizeLimit")

    def wrong(self, pod: dict[str, Any]) -> Iterator[str]:
        """Volumes without a limit."""
        for index, volume in enumerate(pod.get("volumes") or ()):
            if "emptyDir" in volume and not (volume["emptyDir"] or {}).get("sizeLimit"):
                yield f"volumes/[{index}]/emptyDir"


offline = StaysOffline()
scratch = LimitsScratchSpace()
