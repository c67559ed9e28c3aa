"""Volumes: their classes exist, have room, and the claims that pods name are there."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from bundler.cluster.preflight.asked import Asked, UnseenError
from bundler.core.objects.manifests import ObjectId
from bundler.core.preflight.checked import Checked, or_fine
from bundler.core.preflight.storage import (
    Claim,
    claimed,
    default_classes,
    fits_by_hand,
    shortage,
)

_NAME = "storage"


def storage(asked: Asked) -> Iterator[Checked]:
    """A failure for each claim that nobody can fulfil."""
    new = asked.claims
    fine = f"{len(new)} new volumes have a storage class" if new else "no new volumes are claimed"
    yield from or_fine(_problems(asked, new), _NAME, fine)


def _problems(asked: Asked, new: tuple[Claim, ...]) -> Iterator[Checked]:
    by_class: dict[str, list[Claim]] = {}
    for claim in new:
        name = yield from _class_of(asked, claim)
        if name is not None:
            by_class.setdefault(name, []).append(claim)
    for name, claims in by_class.items():
        capacities = asked.seen("storage.k8s.io/v1", "CSIStorageCapacity")
        problem = shortage(name, claims, capacities)
        if problem is not None:
            yield Checked(
                _NAME,
                "failed",
                f"storage class {name}: {problem}",
                "free or add storage behind this class, or choose another one or a smaller size "
                "(a parameter of the bundle, if it has one)",
            )
    yield from _missing_claims(asked)


def _class_of(asked: Asked, claim: Claim) -> Generator[Checked, None, str | None]:
    """The class that `claim` will have, as the generator's value; problems on the way."""
    classes = asked.listed("storage.k8s.io/v1", "StorageClass")
    names = {each["metadata"]["name"] for each in classes}
    known = f"the cluster has {', '.join(sorted(names)) or 'none'}"
    if claim.volume is not None or claim.storage_class == "":
        yield from _static(asked, claim)
        return None
    if claim.storage_class is None:
        default = default_classes(classes)
        if not default:
            perhaps = _perhaps_by_hand(asked, claim)
            yield Checked(
                _NAME,
                "warning" if perhaps else "failed",
                f"{claim.id}: names no storage class, and the cluster has no default one; "
                f"{known}{perhaps}",
                "mark one: kubectl annotate storageclass NAME "
                "storageclass.kubernetes.io/is-default-class=true",
            )
            return None
        return default[0]
    if claim.storage_class not in names and not asked.brings("StorageClass", claim.storage_class):
        yield Checked(
            _NAME,
            "failed",
            f"{claim.id}: storage class {claim.storage_class} is not there; {known}",
            "set the bundle's parameter for it to one that is there (--set), or make this one",
        )
        return None
    return claim.storage_class


def _perhaps_by_hand(asked: Asked, claim: Claim) -> str:
    """That a PersistentVolume without a class may do for `claim`, in words; empty if none does."""
    try:
        volumes = asked.listed("v1", "PersistentVolume")
    except UnseenError as error:
        return f"; a volume without a class may be there: {error.message}"
    coming = [obj for obj in asked.needs.objects if obj["kind"] == "PersistentVolume"]
    found = next((each for each in (*volumes, *coming) if fits_by_hand(claim, each)), None)
    return f"; the PersistentVolume {found['metadata']['name']} may do" if found else ""


def _static(asked: Asked, claim: Claim) -> Iterator[Checked]:
    """A claim that waits for a PersistentVolume which somebody makes by hand."""
    volumes = [each["metadata"]["name"] for each in asked.listed("v1", "PersistentVolume")]
    volumes += [
        o["metadata"]["name"] for o in asked.needs.objects if o["kind"] == "PersistentVolume"
    ]
    if claim.volume is not None and claim.volume not in volumes:
        problem = f"names the PersistentVolume {claim.volume}, which is not there"
    elif claim.volume is None and not volumes:
        problem = "wants a volume that was made by hand, and there is none"
    else:
        return
    yield Checked(
        _NAME,
        "failed",
        f"{claim.id}: {problem}",
        f"make a PersistentVolume of {float(claim.size) / 1024**3:.3g} GiB or more for it",
    )


def _missing_claims(asked: Asked) -> Iterator[Checked]:
    coming = {ObjectId.of(obj) for obj in asked.needs.objects}
    for workload, claim in claimed(asked.workloads):
        if claim not in coming and asked.get(claim) is None:
            yield Checked(
                _NAME,
                "failed",
                f"{workload.id}: mounts {claim}, which is neither there nor in the bundle",
                f"make it in {claim.namespace} first, with what the bundle expects to be in it",
            )
