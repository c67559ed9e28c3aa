"""Every input of a spec, asked of its source and locked by digest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from bundler.archive.store import Store
from bundler.core.digest import Digest
from bundler.core.lock import Lock, LockedFile, LockedFileSet, LockedImage, LockedModel
from bundler.core.objects import manifests
from bundler.core.progress import Progress
from bundler.core.reference import ImageReference
from bundler.core.rules import RULES_VERSION
from bundler.core.yamltext import Path as YamlPath
from bundler.inputs.inputs import Inputs
from bundler.inputs.loading import NAME as LOADER
from bundler.inputs.loading import arranged, wanted_loader
from bundler.inputs.matching import WantedImage, match, require_digest, wanted_images
from bundler.inputs.rendering import render
from bundler.inputs.spec import SPEC, Spec, read_policy, read_spec
from bundler.scan import checkov, models, packages
from bundler.sources import model as model_source
from bundler.sources.files import ModelFile, SourceFile, list_source
from bundler.sources.images import SourceImage, resolve_image
from bundler.sources.model import ResolvedModel
from bundler.sources.remote import Reach, fetch_all
from bundler.sources.tree import below


def resolve(
    spec_path: Path,
    store: Store,
    progress: Progress,
    known: Lock | None = None,
    *,
    packs: bool = False,
) -> Inputs:
    """Everything that the spec at `spec_path` names.

    What the lock `known` has is not asked for by tag or branch again. Whoever `packs` the files on
    disk compares each byte, so that those whose path and size are locked are not hashed here.
    """
    spec = read_spec(spec_path)
    policy = read_policy(spec)
    rendered = render(spec)
    mirrors = {host: each.mirror for host, each in spec.bundle.registries.items()}
    reach = Reach(spec.root, store, mirrors)
    models = _models(spec, reach, progress, known, packs)
    locked_models = tuple(_locked_model(model) for model in models)
    files = _files(spec, progress, known if packs else None)
    loaders = wanted_loader(spec)
    loader = _images(spec, loaders, reach, progress, known)
    pinned = loader[LOADER].descriptor.digest if LOADER in loader else None
    objects = arranged(spec.bundle, rendered.objects, locked_models, pinned)
    wanted = wanted_images(spec.bundle, objects, loaders)
    others = (item for item in wanted if item not in loaders)
    images = loader | _images(spec, others, reach, progress, known)
    locked_images = tuple(_locked_image(item, images[item.name]) for item in wanted)
    found = Lock(
        name=spec.bundle.name,
        version=spec.bundle.version,
        spec=Digest.of(spec.data),
        platforms=spec.bundle.platforms,
        sources={path: Digest.of(data) for path, data in rendered.tree.items()},
        policies={path: Digest.of(data) for path, data in policy.files.items()},
        models=locked_models,
        files=tuple(
            LockedFileSet(item.name, item.source, item.kind, _locked(files[item.name]))
            for item in sorted(spec.bundle.files, key=lambda item: item.name)
        ),
        images=locked_images,
        targets={name: Digest.of(manifests.dump(each)) for name, each in objects.items()},
        tools=_tools(rendered.kustomize, known),
    )
    return Inputs(
        spec.bundle,
        policy.policy,
        policy.checks,
        found,
        {SPEC: spec.data, **policy.files, **rendered.tree},
        objects,
        match(spec.bundle, objects, locked_images),
        models,
        files,
        images,
    )


def fetch(inputs: Inputs, store: Store, progress: Progress) -> None:
    """Get into `store` what is named and not here yet; whoever packs it compares."""
    fetch_all(inputs.remotes, store, progress)


def _tools(kustomize: str, known: Lock | None) -> dict[str, str]:
    return {
        "core-rules": RULES_VERSION,
        "format": "1",
        # Its data decides what is an external host, and so what the report says.
        "publicsuffixlist": version("publicsuffixlist"),
        "kustomize": known.tools.get("kustomize", kustomize) if known else kustomize,
        **models.versions(),
        **checkov.versions(),
        **packages.versions(),
    }


def _models(
    spec: Spec, reach: Reach, progress: Progress, known: Lock | None, packs: bool
) -> tuple[ResolvedModel, ...]:
    locked = {model.name: model for model in known.models} if known else {}
    found = []
    for number, model in enumerate(spec.bundle.models):
        place: YamlPath = ("spec", "models", number)
        with spec.places.at((*place, "source"), model.name, stated=(*place, "license")):
            digests = _digests(known if packs else None, model.name, "")
            before = locked.get(model.name)
            found.append(model_source.resolve(model, reach, progress, digests, before))
    return tuple(sorted(found, key=lambda model: model.name))


def _files(spec: Spec, progress: Progress, known: Lock | None) -> dict[str, tuple[SourceFile, ...]]:
    found = {}
    for number, item in enumerate(spec.bundle.files):
        with spec.places.at(("spec", "files", number, "source"), item.name):
            digests = _digests(known, "", item.name)
            found[item.name] = list_source(below(spec.root, item.source), (), progress, digests)
    return found


def _images(
    spec: Spec,
    wanted: Iterable[WantedImage],
    reach: Reach,
    progress: Progress,
    known: Lock | None,
) -> dict[str, SourceImage]:
    listed: dict[str, YamlPath] = {
        image.name: ("spec", "images", number, *(("source",) if image.source else ()))
        for number, image in enumerate(spec.bundle.images)
    }
    locked = known.images if known else ()
    resolved = {(image.name, image.source): image.resolved for image in locked}
    listed[LOADER] = ("spec", "loader", "image")
    found = {}
    for item in wanted:
        with spec.places.at(listed.get(item.name, ("spec", "manifests")), item.name):
            digest = resolved.get((item.name, item.source))
            platforms = spec.bundle.platforms
            found[item.name] = resolve_image(item.source, reach, platforms, progress, digest)
    return found


def _digests(known: Lock | None, model: str, file_set: str) -> dict[tuple[str, int], Digest]:
    """The digests of a lock by path and size, for one model or one file set.

    Without those that stand there more than once: the packer reads one of such files, so the others
    have to be hashed now.
    """
    if known is None:
        return {}
    count = Counter(file.digest for each in known.models for file in each.files)
    count += Counter(file.digest for each in known.files for file in each.files)
    groups = [m.files for m in known.models if m.name == model]
    groups += [s.files for s in known.files if s.name == file_set]
    return {
        (file.path, file.size): file.digest
        for group in groups
        for file in group
        if count[file.digest] == 1
    }


def _locked(files: Iterable[ModelFile]) -> tuple[LockedFile, ...]:
    return tuple(LockedFile(file.path, file.size, file.digest) for file in files)


def _locked_model(model: ResolvedModel) -> LockedModel:
    files = _locked(model.files)
    return LockedModel(model.name, model.source, model.revision, model.license, files)


def _locked_image(item: WantedImage, found: SourceImage) -> LockedImage:
    reference = ImageReference.parse(item.name)
    image = LockedImage(
        name=item.name,
        source=item.source,
        resolved=found.resolved,
        entry=f"{reference.placeholder_repository()}@{found.descriptor.digest}",
        media_type=found.descriptor.media_type,
        digest=found.descriptor.digest,
        size=found.descriptor.size,
        platforms=dict(found.platforms),
    )
    require_digest(item.name, image)
    return image
