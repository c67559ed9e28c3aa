"""`airbundle lock`: every input by digest, in one file made for review.

Parse the spec, render every target, find the images, resolve them. What was read on the way is
kept in `Inputs`, out of which `build` makes the bundle.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from bundler.core.digest import Digest
from bundler.core.documents.bundle import Bundle, parse_bundle
from bundler.core.documents.places import Places
from bundler.core.documents.policy import Policy, parse_policy
from bundler.core.documents.structure import nearest
from bundler.core.errors import (
    DocumentError,
    IntegrityError,
    PolicyError,
    SourceError,
    UsageError,
)
from bundler.core.findings import Finding
from bundler.core.lock import Lock, LockedFile, LockedFileSet, LockedImage, LockedModel, parse
from bundler.core.lockdiff import changes, differences
from bundler.core.objects import manifests
from bundler.core.objects.images import references
from bundler.core.objects.manifests import JsonObject, apply_order, parse_manifests
from bundler.core.progress import Progress
from bundler.core.reference import ImageReference
from bundler.core.rules import RULES_VERSION
from bundler.core.yamltext import Path as YamlPath
from bundler.core.yamltext import spell
from bundler.scan.models import versions
from bundler.sources import model as model_source
from bundler.sources.files import SourceFile, list_source
from bundler.sources.images import SourceImage, check_source, resolve_image
from bundler.sources.model import ResolvedModel
from bundler.sources.steady import read_steady
from bundler.sources.tree import below, check_name
from bundler.tools.kustomize import check_tree, copy_tree, find_kustomize

SPEC = "bundle.yaml"
LOCK = "bundle.lock"
OVERLAYS = "overlays"
_MAX_DOCUMENT = 1024**2
_MAX_LOCK = 64 * 1024**2
# Half of what a bundle has room for beside its layers; rendered manifests need the rest.
_MAX_TREE = 32 * 1024**2
_SHOWN = 12

Objects = tuple[JsonObject, ...]


@dataclass(frozen=True)
class Inputs:
    """Everything that goes into a bundle, resolved: what was read, and how to read the rest.

    `sources` holds the spec, the policy and every file below base and overlays, by path;
    `objects` each target's objects as rendered, images and models still as they were written;
    `references` every image reference in them, with the image of the spec that it means.
    """

    spec: Bundle
    policy: Policy
    lock: Lock
    sources: Mapping[str, bytes]
    objects: Mapping[str, Objects]
    references: Mapping[str, LockedImage]
    models: tuple[ResolvedModel, ...]
    files: Mapping[str, tuple[SourceFile, ...]]
    images: Mapping[str, SourceImage]


@dataclass(frozen=True)
class Locked:
    """The lock that was written, and where; `changes` says what is another than before."""

    path: Path
    name: str
    version: str
    models: int
    images: int
    files: int
    targets: tuple[str, ...]
    changes: tuple[str, ...]
    warnings: tuple[Finding, ...]


def lock(spec_path: Path, progress: Progress) -> Locked:
    """Resolve every input of `spec_path` and write `bundle.lock` beside it.

    DocumentError, SourceError, PolicyError or ToolError when an input can't be resolved; then
    nothing is written. A lock that can't be read is replaced.
    """
    noted: tuple[str, ...] = ()
    try:
        before = read_lock(spec_path)
    except UsageError:
        before, noted = None, ("the lock before was no lock",)
    inputs = resolve(spec_path, progress)
    path = write_lock(spec_path, inputs.lock)
    found = inputs.lock
    return Locked(
        path,
        found.name,
        found.version,
        len(found.models),
        len(found.images),
        len(found.files),
        tuple(found.targets),
        changes(before, found) if before else noted,
        warnings(inputs),
    )


def warnings(inputs: Inputs) -> tuple[Finding, ...]:
    """What there is to say of `inputs` though nothing is wrong with them."""
    found = [finding for model in inputs.models for finding in model.findings]
    if inputs.spec.registries:
        problem = "spec.registries is set, and registries are not read by this version"
        found.append(Finding("registries", "warning", SPEC, problem))
    return tuple(found)


def read_lock(spec_path: Path) -> Lock | None:
    """The lock beside `spec_path`; None when there is none, UsageError when it is no lock."""
    path = spec_path.with_name(LOCK)
    try:
        return parse(read_steady(path, _MAX_LOCK), str(path)) if os.path.lexists(path) else None
    except IntegrityError as error:
        raise UsageError(error.message, "run `airbundle lock` to write it anew") from error


def write_lock(spec_path: Path, found: Lock) -> Path:
    """Write `found` beside `spec_path`, in one move."""
    path = spec_path.with_name(LOCK)
    partial = path.with_name(f".{LOCK}.{os.getpid()}")
    try:
        partial.write_bytes(found.dump())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UsageError(f"{path}: can't be written: {error.strerror}") from error
    return path


def require_fit(locked: Lock, found: Lock, spec_path: Path) -> None:
    """UsageError that names every input in which `found` is not what was `locked`."""
    changed = differences(locked, found)
    if changed:
        more = [f"  … and {len(changed) - _SHOWN} more"] if len(changed) > _SHOWN else []
        lines = [f"  {line}" for line in changed[:_SHOWN]] + more
        raise UsageError(
            "\n".join([f"{spec_path.with_name(LOCK)}: does not fit any more:", *lines]),
            "run `airbundle lock` when the change is wanted, and look at what it changes",
        )


def resolve(spec_path: Path, progress: Progress, known: Lock | None = None) -> Inputs:
    """Everything that the spec at `spec_path` names.

    Files whose path and size stand in the lock `known` are not hashed: they take its digest, and
    whoever packs them compares.
    """
    text = read_steady(spec_path, _MAX_DOCUMENT)
    spec = parse_bundle(_decode(text, spec_path), str(spec_path))
    root, places = spec_path.parent, Places(text, str(spec_path))
    _check_sources(spec, places)
    policy, policies = _policy(spec, root, places)
    kustomize, tree, objects = _render(spec, root, places)
    models = _models(spec, root, progress, known, places)
    files: dict[str, tuple[SourceFile, ...]] = {}
    for number, item in enumerate(spec.files):
        with places.at(("spec", "files", number, "source"), item.name):
            digests = _digests(known, "", item.name)
            files[item.name] = list_source(below(root, item.source), (), progress, digests)
    images = {}
    for number, image in enumerate(spec.images):
        with places.at(("spec", "images", number, "source"), image.name):
            images[image.name] = resolve_image(image.source, root, spec.platforms, progress)
    locked_images = _locked_images(spec, images)
    found = Lock(
        name=spec.name,
        version=spec.version,
        spec=Digest.of(text),
        platforms=spec.platforms,
        sources={path: Digest.of(data) for path, data in tree.items()},
        policies={path: Digest.of(data) for path, data in policies.items()},
        models=tuple(_locked_model(model) for model in models),
        files=tuple(
            LockedFileSet(item.name, item.source, item.kind, _locked(files[item.name]))
            for item in sorted(spec.files, key=lambda item: item.name)
        ),
        images=locked_images,
        targets={name: Digest.of(manifests.dump(objects[name])) for name in objects},
        tools=_tools(kustomize, known),
    )
    sources = {SPEC: text, **policies, **tree}
    references = _match(spec, objects, locked_images)
    return Inputs(spec, policy, found, sources, objects, references, models, files, images)


def _tools(kustomize: str, known: Lock | None) -> dict[str, str]:
    return {
        "core-rules": RULES_VERSION,
        "format": "1",
        # Its data decides what is an external host, and so what the report says.
        "publicsuffixlist": version("publicsuffixlist"),
        "kustomize": known.tools.get("kustomize", kustomize) if known else kustomize,
        **versions(),
    }


def _decode(data: bytes, path: Path) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise DocumentError(str(path), "", f"is not UTF-8 at byte {error.start}") from error


def _check_sources(spec: Bundle, places: Places) -> None:
    """What can be said of the sources as they are written, before an hour of hashing."""
    for number, model in enumerate(spec.models):
        with places.at(("spec", "models", number, "source"), model.name):
            model_source.check_scheme(model)
    for number, image in enumerate(spec.images):
        with places.at(("spec", "images", number, "source"), image.name):
            check_source(image.source)


def _policy(spec: Bundle, root: Path, places: Places) -> tuple[Policy, dict[str, bytes]]:
    if spec.policy is None:
        return Policy(), {}
    path = below(root, spec.policy)
    with places.at(("spec", "policy")):
        data = read_steady(path, _MAX_DOCUMENT)
    return parse_policy(_decode(data, path), str(path)), {spec.policy: data}


def _render(
    spec: Bundle, root: Path, places: Places
) -> tuple[str, dict[str, bytes], dict[str, Objects]]:
    """Kustomize's name and version, every file that it may read, the objects of each target."""
    kustomize = find_kustomize()
    folders = [f"{OVERLAYS}/{name}" for name in spec.manifests.overlays]
    with TemporaryDirectory(prefix="airbundle-") as name:
        tree = Path(name)
        with places.at(("spec", "manifests", "base")):
            copy_tree(root, [spec.manifests.base], tree)
        with places.at(("spec", "manifests", "overlays")):
            copy_tree(root, [OVERLAYS], tree)
        _require_overlays(spec, tree, places)
        check_tree(tree, folders)
        read = _read_tree(tree, root)
        objects = {
            target: apply_order(parse_manifests(kustomize.render(tree, folder), folder))
            for target, folder in zip(spec.manifests.overlays, folders, strict=True)
        }
    return f"{kustomize.name} {kustomize.version}", read, objects


def _require_overlays(spec: Bundle, tree: Path, places: Places) -> None:
    for number, name in enumerate(spec.manifests.overlays):
        if not (tree / OVERLAYS / name).is_dir():
            path: YamlPath = ("spec", "manifests", "overlays", number)
            there = sorted(found.name for found in (tree / OVERLAYS).iterdir() if found.is_dir())
            problem = f"{OVERLAYS}/{name}: expected a folder, found none"
            raise DocumentError(places.mark(path), spell(path), problem, nearest(name, there))


def _read_tree(tree: Path, root: Path) -> dict[str, bytes]:
    """Every file below `tree`, the copy of what is below `root`; they travel in the bundle."""
    read: dict[str, bytes] = {}
    left = _MAX_TREE
    for path in sorted(path for path in tree.rglob("*") if path.is_file()):
        name = path.relative_to(tree).as_posix()
        check_name(name, root)
        left -= path.stat().st_size
        if left < 0:
            raise SourceError(
                f"{root / name}: base and overlays hold more than {_MAX_TREE} bytes with it",
                "list large files under spec.models or spec.files",
            )
        read[name] = path.read_bytes()
    return read


def _models(
    spec: Bundle, root: Path, progress: Progress, known: Lock | None, places: Places
) -> tuple[ResolvedModel, ...]:
    found = []
    for number, model in enumerate(spec.models):
        with places.at(("spec", "models", number, "source"), model.name):
            digests = _digests(known, model.name, "")
            found.append(model_source.resolve(model, root, progress, digests))
    return tuple(sorted(found, key=lambda model: model.name))


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


def _locked(files: Iterable[SourceFile]) -> tuple[LockedFile, ...]:
    return tuple(LockedFile(file.path, file.size, file.digest) for file in files)


def _locked_model(model: ResolvedModel) -> LockedModel:
    files = _locked(model.files)
    return LockedModel(model.name, model.source, model.revision, model.license, files)


def _locked_images(spec: Bundle, images: Mapping[str, SourceImage]) -> tuple[LockedImage, ...]:
    locked = []
    for item in sorted(spec.images, key=lambda item: item.name):
        found, reference = images[item.name], ImageReference.parse(item.name)
        _require_digest(reference, item.name, found.descriptor.digest)
        locked.append(
            LockedImage(
                name=item.name,
                source=item.source,
                entry=f"{reference.placeholder_repository()}@{found.descriptor.digest}",
                media_type=found.descriptor.media_type,
                digest=found.descriptor.digest,
                size=found.descriptor.size,
                platforms=dict(found.platforms),
            )
        )
    return tuple(locked)


def _match(
    spec: Bundle, objects: Mapping[str, Objects], locked: Collection[LockedImage]
) -> dict[str, LockedImage]:
    """Each image reference in the objects, and the locked image that it means."""
    names = [item.name for item in spec.images]
    models = {model.name for model in spec.models}
    by_name = {_plain(ImageReference.parse(image.name)): image for image in locked}
    matched: dict[str, LockedImage] = {}
    for target, rendered in objects.items():
        for text in references(rendered, names):
            reference = ImageReference.parse(text)
            if reference.model is not None:
                _require_model(reference.model, models, target)
                continue
            image = by_name.get(_plain(reference))
            if image is None:
                raise SourceError(
                    f"image {text}: {OVERLAYS}/{target} names it, the spec says not where it is",
                    "list it under spec.images with a source on disk "
                    "(oci:DIR or docker-archive:FILE); registries are not read by this version",
                )
            _require_digest(reference, text, image.digest)
            matched[text] = image
    return matched


def _plain(reference: ImageReference) -> tuple[str, str, str | None]:
    """What names an image besides its digest."""
    tag = reference.with_default_tag().tag
    return reference.host, reference.repository, tag


def _require_model(name: str, models: Collection[str], target: str) -> None:
    if name not in models:
        known = ", ".join(sorted(models)) or "none"
        raise PolicyError(
            f"model {name!r}: {OVERLAYS}/{target} names it, the spec has {known}",
            "list it under spec.models",
        )


def _require_digest(reference: ImageReference, text: str, found: Digest) -> None:
    if reference.digest is not None and reference.digest != found:
        raise SourceError(
            f"image {text}: expected the digest that it names, its source holds {found}",
            "get the image that is meant, or name the other digest",
        )
