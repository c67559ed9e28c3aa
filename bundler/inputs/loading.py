"""The loader of a spec: which image it is, and targets arranged for weights that it fetches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bundler.core.digest import Digest
from bundler.core.documents.bundle import Bundle
from bundler.core.lock import LockedModel
from bundler.core.objects.loaderpods import Access
from bundler.core.objects.weights import Loading, arrange
from bundler.inputs.inputs import Objects
from bundler.inputs.matching import WantedImage, source_of
from bundler.inputs.spec import Spec
from bundler.sources.loader import read_installers, spell

# As manifests name it. The number is that of the arguments that a loader takes.
NAME = "airbundle.local/loader:1"


def wanted_loader(spec: Spec) -> tuple[WantedImage, ...]:
    """The image of the loader, if a target of `spec` needs one; SourceError without its file."""
    loader = spec.bundle.loader
    if loader is None or not spec.bundle.weights:
        return ()
    with spec.places.at(("spec", "loader", "installer")):
        data = read_installers(spec.root, loader.installer, spec.bundle.platforms)
    base = source_of(spec.bundle, loader.image)
    return (WantedImage(NAME, spell(loader.installer, data, base)),)


def arranged(
    spec: Bundle,
    objects: Mapping[str, Objects],
    models: Sequence[LockedModel],
    loader: Digest | None,
) -> dict[str, Objects]:
    """Each target's objects with its models where ``spec.weights`` has them.

    `loader` is the digest of the loader's image; None when no target needs one.
    """
    if loader is None:
        return dict(objects)
    files = {model.name: model.files for model in models}
    loading = Loading(NAME, loader, files, spec.platforms, _access(spec))
    return {
        target: arrange(target, each, spec.weights[target], loading)
        if target in spec.weights
        else each
        for target, each in objects.items()
    }


def _access(spec: Bundle) -> Access:
    """What an installation makes of the site's files, where the spec says that it is to."""
    ca, login = (spec.site.ca, spec.site.pull_secret) if spec.site else (None, None)
    return Access(ca.name if ca else None, login.name if login else None)
