"""Image references in rendered objects: which images are wanted, and which one each means."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from bundler.core.documents.bundle import Bundle
from bundler.core.errors import PolicyError, SourceError
from bundler.core.lock import LockedImage
from bundler.core.objects.images import references
from bundler.core.reference import ImageReference
from bundler.inputs.inputs import Objects
from bundler.inputs.rendering import OVERLAYS


@dataclass(frozen=True)
class WantedImage:
    """An image that has to be in the bundle: its name as the lock has it, and its source."""

    name: str
    source: str


def wanted_images(
    spec: Bundle, objects: Mapping[str, Objects], derived: Collection[WantedImage] = ()
) -> tuple[WantedImage, ...]:
    """What `spec` lists, and `derived`; then what only manifests name, from its own registry.

    PolicyError for a model that the spec has not.
    """
    found = {
        image.name: WantedImage(image.name, image.source or _registry(image.name))
        for image in spec.images
    }
    found |= {image.name: image for image in derived}
    listed = {_plain(ImageReference.parse(name)) for name in found}
    for _, text in _named(spec, objects):
        reference = ImageReference.parse(text)
        if _plain(reference) not in listed:
            name = str(reference.with_default_tag())
            found[name] = WantedImage(name, _registry(name))
    return tuple(sorted(found.values(), key=lambda image: image.name))


def source_of(spec: Bundle, name: str) -> str:
    """Where the image `name` comes from: as `spec` lists it, or out of the registry in its name."""
    wanted = _plain(ImageReference.parse(name))
    for image in spec.images:
        if image.source and _plain(ImageReference.parse(image.name)) == wanted:
            return image.source
    return _registry(name)


def match(
    spec: Bundle, objects: Mapping[str, Objects], locked: Collection[LockedImage]
) -> dict[str, LockedImage]:
    """Each image reference in the objects, and the locked image that it means.

    PolicyError for one that is not locked; SourceError for a reference whose digest is not what its
    source holds.
    """
    by_plain = {_plain(ImageReference.parse(image.name)): image for image in locked}
    by_name = {image.name: image for image in locked}
    matched: dict[str, LockedImage] = {}
    for target, text in _named(spec, objects):
        reference = ImageReference.parse(text)
        image = by_name.get(str(reference.with_default_tag())) or by_plain.get(_plain(reference))
        if image is None:
            known = ", ".join(sorted(by_name)) or "no image"
            raise PolicyError(f"image {text}: {target} names it, and the bundle has {known}")
        require_digest(text, image)
        matched[text] = image
    return matched


def require_digest(text: str, image: LockedImage) -> None:
    """SourceError when the reference `text` has a digest that is not this image's."""
    digest = ImageReference.parse(text).digest
    if digest is not None and digest not in (image.resolved, image.digest):
        raise SourceError(
            f"image {text}: expected the digest that it names, its source holds {image.resolved}",
            "get the image that is meant, or name the other digest",
        )


def _named(spec: Bundle, objects: Mapping[str, Objects]) -> Iterator[tuple[str, str]]:
    """Every reference to an image, with its target; those to models are looked up only."""
    names = [item.name for item in spec.images]
    models = {model.name for model in spec.models}
    for target, rendered in objects.items():
        for text in references(rendered, names):
            model = ImageReference.parse(text).model
            if model is None:
                yield target, text
            elif model not in models:
                known = ", ".join(sorted(models)) or "none"
                raise PolicyError(
                    f"model {model!r}: {OVERLAYS}/{target} names it, the spec has {known}",
                    "list it under spec.models",
                )


def _registry(name: str) -> str:
    """The source of what its own registry has: `skopeo`'s word for it, and the whole name."""
    return f"docker://{ImageReference.parse(name).with_default_tag()}"


def _plain(reference: ImageReference) -> tuple[str, str, str | None]:
    """What names an image besides its digest."""
    tag = reference.with_default_tag().tag
    return reference.host, reference.repository, tag
