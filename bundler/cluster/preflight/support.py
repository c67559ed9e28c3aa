"""What nodes must be able to do for the release's pods: platform, image volumes, disk."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bundler.cluster.preflight.asked import Asked
from bundler.cluster.preflight.fitting import unfit
from bundler.core.preflight.checked import Checked, or_fine
from bundler.core.preflight.nodes import Node, mounts_images
from bundler.core.preflight.placing import eligible, runs_on
from bundler.core.preflight.quantity import in_bytes
from bundler.core.preflight.workloads import Workload

_PLATFORM = "ask for a bundle that has this platform (`platforms` in bundle.yaml)"
_MOUNT = (
    "upgrade these nodes (Kubernetes 1.35 or later, or 1.33 with the feature gate ImageVolume, and "
    "containerd 2.1 or CRI-O 1.31), or ask for a bundle whose weights arrive by a volume claim or "
    "an object store"
)
_DISK = (
    "give these nodes larger disks where kubelet and container runtime keep their files, or "
    "remove images there: crictl rmi --prune"
)


def architecture(asked: Asked) -> Iterator[Checked]:
    """Images against the platforms of the nodes that their pods may be sent to."""
    fine = "the images are for the platforms of the nodes"
    yield from or_fine(_platforms(asked), "architecture", fine)


def image_volumes(asked: Asked) -> Iterator[Checked]:
    """Whether kubelets and container runtimes mount images where pods want that."""
    fine = "where pods want them, nodes mount images"
    yield from or_fine(_mounts(asked), "image volumes", fine)


def disk(asked: Asked) -> Iterator[Checked]:
    """Each workload's images and models against the disks of nodes that it may be sent to."""
    fine = "the nodes' disks hold the images; installing needs none here, it streams"
    yield from or_fine(_disks(asked), "node disk", fine)


def _platforms(asked: Asked) -> Iterator[Checked]:
    platforms = asked.needs.platforms

    def problem(workload: Workload, node: Node) -> str | None:
        if runs_on(workload, node, platforms):
            return None
        has = sorted({each for image in workload.images for each in platforms.get(image, ())})
        return f"it is {node.platform}, an image is for {' and '.join(has)} only"

    for each in asked.workloads:
        yield from unfit(asked, "architecture", each, partial(problem, each), _PLATFORM)


def _mounts(asked: Asked) -> Iterator[Checked]:
    def problem(node: Node) -> str | None:
        can, words = mounts_images(node)
        return None if can else words

    users = [each for each in asked.workloads if each.has_image_volumes]
    for each in users:
        yield from unfit(asked, "image volumes", each, problem, _MOUNT)
    hanging = {
        node.name: words
        for each in users
        for node in eligible(each, asked.nodes)
        for can, words in [mounts_images(node)]
        if can and words is not None
    }
    if hanging:
        yield Checked(
            "image volumes",
            "warning",
            f"{len(hanging)} nodes: {next(iter(hanging.values()))}, and whether that is set can't "
            "be seen from here",
            "set the feature gate ImageVolume for the API server and these kubelets, or upgrade "
            "to 1.35",
        )


def _disks(asked: Asked) -> Iterator[Checked]:
    for each in asked.workloads:
        yield from unfit(asked, "node disk", each, partial(_too_small, asked, each), _DISK)
        tight = [
            node.name
            for node in eligible(each, asked.nodes)
            if _wanted(asked, each, node) > _disk(node) - sum(node.stored.values())
            and _too_small(asked, each, node) is None
        ]
        if tight:
            yield Checked(
                "node disk",
                "warning",
                f"{each.id}: on {len(tight)} nodes there is room only once other images go: "
                f"node {tight[0]}",
                "the kubelet removes images that nobody uses when its disk fills; crictl rmi "
                "--prune does it now",
            )


def _too_small(asked: Asked, workload: Workload, node: Node) -> str | None:
    wanted = _wanted(asked, workload, node)
    if wanted <= _disk(node):
        return None
    return (
        f"its disk has {in_bytes(int(_disk(node)))}, images and models take {in_bytes(wanted)}, as "
        "they came and once more unpacked"
    )


def _wanted(asked: Asked, workload: Workload, node: Node) -> int:
    """The bytes that pods of `workload` bring to `node`: kept as they came, and unpacked."""
    carried = asked.needs.images
    digests = (workload.images | workload.volumes) - node.stored.keys()
    return 2 * sum(carried[digest].size for digest in digests if digest in carried)


def _disk(node: Node) -> float:
    """The bytes that pods and images may have; where nobody says, there is no end to them."""
    return float(node.allocatable.get("ephemeral-storage", "inf"))
