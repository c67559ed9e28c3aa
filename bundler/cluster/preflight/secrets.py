"""The Secrets that the bundle wants: there, with their keys. No value is kept or shown."""

from __future__ import annotations

from collections.abc import Iterator

from bundler.cluster.preflight.asked import Asked
from bundler.core.documents.secretrefs import SecretRef
from bundler.core.objects.manifests import ObjectId
from bundler.core.preflight.checked import Checked, or_fine

_NAME = "secrets"


def secrets(asked: Asked) -> Iterator[Checked]:
    """A failure for each Secret, or key of one, that is missing."""
    count = len(asked.needs.secret_refs)
    fine = f"{count} Secrets of the site are there" if count else "the bundle wants none"
    yield from or_fine(_problems(asked), _NAME, fine)


def _problems(asked: Asked) -> Iterator[Checked]:
    for each in asked.needs.secret_refs:
        if not _brought(asked, each):
            yield from _of(asked, each)


def _of(asked: Asked, wanted: SecretRef) -> Iterator[Checked]:
    found = asked.filled(ObjectId("v1", "Secret", wanted.namespace, wanted.name))
    name = f"Secret {wanted.namespace}/{wanted.name} ({wanted.description})"
    if found is None:
        yield Checked(_NAME, "failed", f"{name}: is not there", _remedy(asked, wanted))
        return
    missing = [key for key in wanted.keys if key not in found]
    if missing:
        yield Checked(
            _NAME,
            "failed",
            f"{name}: has no {' and no '.join(missing)}, or an empty one",
            f"add what is missing: kubectl -n {wanted.namespace} edit secret {wanted.name}",
        )


def _brought(asked: Asked, wanted: SecretRef) -> bool:
    wished = ("Secret", wanted.namespace, wanted.name)
    ids = (ObjectId.of(obj) for obj in asked.needs.objects)
    return any((each.kind, each.namespace, each.name) == wished for each in ids)


def _remedy(asked: Asked, wanted: SecretRef) -> str:
    files = " ".join(f"--from-file={key}=FILE" for key in wanted.keys)
    make = f"kubectl -n {wanted.namespace} create secret generic {wanted.name} {files}"
    if asked.namespace(wanted.namespace) is not None:
        return make
    return f"kubectl create namespace {wanted.namespace} && {make}"
