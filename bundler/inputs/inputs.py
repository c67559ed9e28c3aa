"""What a spec turned out to name: the value that verbs pass on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bundler.core.digest import Digest
from bundler.core.documents.bundle import Bundle
from bundler.core.documents.policy import Policy
from bundler.core.findings import Finding
from bundler.core.lock import Lock, LockedImage
from bundler.core.objects.images import ImagePlace, rewrite
from bundler.core.objects.manifests import JsonObject
from bundler.core.reference import MODEL_PREFIX, PLACEHOLDER_HOST, ImageReference
from bundler.sources.files import SourceFile
from bundler.sources.images import SourceImage
from bundler.sources.model import ResolvedModel
from bundler.sources.remote import Remote

Objects = tuple[JsonObject, ...]


@dataclass(frozen=True)
class Inputs:
    """Everything that goes into a bundle, resolved: what was read, and how to read the rest.

    `checks` are the policy's checks for checkov, by name; `sources` holds the spec, the policy with
    these, and every file below base and overlays, by path; `objects` each target's objects as
    rendered, images and models still as they were written; `references` every image reference in
    them, with the locked image that it means.
    """

    spec: Bundle
    policy: Policy
    checks: Mapping[str, bytes]
    lock: Lock
    sources: Mapping[str, bytes]
    objects: Mapping[str, Objects]
    references: Mapping[str, LockedImage]
    models: tuple[ResolvedModel, ...]
    files: Mapping[str, tuple[SourceFile, ...]]
    images: Mapping[str, SourceImage]

    @property
    def remotes(self) -> tuple[Remote, ...]:
        """What may have to be fetched before it can be packed."""
        models = (remote for model in self.models for remote in model.remotes)
        images = (remote for image in self.images.values() for remote in image.remotes)
        return (*models, *images)

    def warnings(self) -> tuple[Finding, ...]:
        """What there is to say of them though nothing is wrong."""
        return tuple(finding for model in self.models for finding in model.findings)

    def rewritten(
        self, target: str, models: Mapping[str, Digest]
    ) -> tuple[Objects, tuple[ImagePlace, ...]]:
        """A target's objects under the names that travel, and the places of these.

        `models` has the digest of each model's image, which is known last.
        """
        return rewrite(target, self.objects[target], replacements(self.references, models))

    def carried(self, models: Mapping[str, Digest]) -> frozenset[str]:
        """The placeholder references of all images and models in the bundle."""
        images = {f"{PLACEHOLDER_HOST}/{image.entry}" for image in self.lock.images}
        return frozenset(images | set(replacements(self.references, models).values()))


def replacements(
    references: Mapping[str, LockedImage], models: Mapping[str, Digest]
) -> dict[str, str]:
    """For each reference as it is written, the name that stands in the bundle's manifests."""
    found = {text: f"{PLACEHOLDER_HOST}/{image.entry}" for text, image in references.items()}
    for name, digest in models.items():
        text = f"{MODEL_PREFIX}{name}"
        found[text] = ImageReference.parse(text).placeholder(digest)
    return found
