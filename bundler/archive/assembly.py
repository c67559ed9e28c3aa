"""A bundle's index and metadata, as a pure function of what was locked, rendered and reported.

Layers are read once, while they are written to their final place, so their digests are known last.
`assemble` therefore runs twice: with stand-ins, which gives every size and so every place, and
with the digests; whatever is derived here has the same size both times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bundler.archive import format as fmt
from bundler.archive.layers import Layer, model_layers
from bundler.core import strictjson
from bundler.core.config import BundleConfig
from bundler.core.digest import Descriptor, Digest
from bundler.core.lock import Lock, LockedFileSet, LockedModel
from bundler.core.model_signing import model_statement

Json = dict[str, Any]


@dataclass(frozen=True)
class Draft:
    """All that a bundle is made of but the bytes of layers.

    `sources` is the tar of the spec and its manifests; `targets` gives the rendered objects of each
    target for the digests of the models' images; `image_metadata` is every manifest and config of
    the locked images; `bom` is CycloneDX.
    """

    lock: Lock
    config: BundleConfig
    sources: bytes
    targets: Callable[[Mapping[str, Digest]], Mapping[str, bytes]]
    report: bytes
    bom: bytes
    image_metadata: Mapping[Digest, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Assembly:
    """The index, and the bytes of every metadata blob that it reaches."""

    index: bytes
    metadata: Mapping[Digest, bytes]


def stand_ins(lock: Lock) -> dict[str, Digest]:
    """Each model's digest as `assemble` has it while nothing is read yet."""
    found = {}
    for model in lock.models:
        stack = _Stack(model, model_layers(model.files), {})
        found[model.name] = Digest.parse(_image(stack, lock.platforms, _Store({}))["digest"])
    return found


def layers_of(lock: Lock) -> dict[Digest, Layer]:
    """Every distinct model layer by its stand-in for a digest."""
    layers = (layer for model in lock.models for layer in model_layers(model.files))
    return {layer.key: layer for layer in layers}


def assemble(draft: Draft, digests: Mapping[Digest, Digest]) -> Assembly:
    """The index and metadata of `draft`, with `digests` of model layers by their stand-ins.

    A stand-in that `digests` lacks stands for itself.
    """
    store = _Store(dict(draft.image_metadata))
    lock = draft.lock
    models = sorted(lock.models, key=lambda model: model.name)
    stacks = [_Stack(model, model_layers(model.files), digests) for model in models]
    tops = {stack.model.name: _image(stack, lock.platforms, store) for stack in stacks}
    found = {name: Digest.parse(top["digest"]) for name, top in tops.items()}
    entries = [_bundle(draft, draft.targets(found), store)]
    images = {image.entry: image for image in lock.images}
    for name in sorted(images, key=str.encode):
        image = images[name]
        descriptor = Descriptor(image.media_type, image.digest, image.size)
        entries.append(_entry(name, descriptor.to_json()))
    entries += [_entry(f"models/{name}", top) for name, top in tops.items()]
    entries += [_entry(f"modelpacks/{s.model.name}", _modelpack(s, store)) for s in stacks]
    for files in sorted(lock.files, key=lambda item: item.name):
        entries.append(_entry(f"files/{files.name}", _file_set(files, store)))
    index = {"schemaVersion": 2, "mediaType": fmt.OCI_INDEX, "manifests": entries}
    return Assembly(strictjson.canonical(index), store.blobs)


@dataclass(frozen=True)
class _Store:
    """Keeps what is put into it by digest, and gives the descriptor back."""

    blobs: dict[Digest, bytes]

    def put(self, media_type: str, value: bytes | Json) -> Json:
        data = value if isinstance(value, bytes) else strictjson.canonical(value)
        descriptor = Descriptor.of(media_type, data)
        self.blobs[descriptor.digest] = data
        return descriptor.to_json()

    def artifact(self, artifact_type: str, config: Json, layers: Sequence[Json]) -> Json:
        manifest = _manifest(config, layers) | {"artifactType": artifact_type}
        return self.put(fmt.OCI_MANIFEST, manifest) | {"artifactType": artifact_type}


@dataclass(frozen=True)
class _Stack:
    """A model and the layers that hold it."""

    model: LockedModel
    layers: tuple[Layer, ...]
    digests: Mapping[Digest, Digest]

    def digest(self, layer: Layer) -> Digest:
        return self.digests.get(layer.key, layer.key)

    def diff_ids(self) -> list[str]:
        """The digests of the uncompressed layers, which these are."""
        return [str(self.digest(layer)) for layer in self.layers]

    def descriptor(self, layer: Layer, media_type: str) -> Json:
        return Descriptor(media_type, self.digest(layer), layer.size).to_json()


def _entry(name: str, descriptor: Json) -> Json:
    return descriptor | {"annotations": {fmt.REF_NAME: name}}


def _manifest(config: Json, layers: Sequence[Json]) -> Json:
    return {
        "schemaVersion": 2,
        "mediaType": fmt.OCI_MANIFEST,
        "config": config,
        "layers": list(layers),
    }


def _bundle(draft: Draft, targets: Mapping[str, bytes], store: _Store) -> Json:
    def titled(title: str, media_type: str, data: bytes) -> Json:
        return store.put(media_type, data) | {"annotations": {fmt.TITLE: title}}

    layers = [
        titled("lock.json", fmt.LOCK, draft.lock.dump()),
        titled("sources.tar", fmt.SOURCES, draft.sources),
        *(titled(f"targets/{name}.json", fmt.MANIFESTS, targets[name]) for name in sorted(targets)),
        titled("report.json", fmt.REPORT, draft.report),
        titled("bom.cdx.json", fmt.BOM, draft.bom),
        *(
            titled(
                f"model-signing/{model.name}.json",
                fmt.STATEMENT,
                model_statement(model.name, model.files),
            )
            for model in sorted(draft.lock.models, key=lambda model: model.name)
        ),
    ]
    config = store.put(fmt.BUNDLE_CONFIG, draft.config.to_json())
    return _entry("bundle", store.artifact(fmt.BUNDLE, config, layers))


def _image(stack: _Stack, platforms: Sequence[str], store: _Store) -> Json:
    """The model as container image: one manifest, or an index of one for each platform."""
    manifests = []
    for text in platforms:
        platform = dict(zip(("os", "architecture", "variant"), text.split("/"), strict=False))
        rootfs = {"type": "layers", "diff_ids": stack.diff_ids()}
        config = store.put(fmt.OCI_CONFIG, platform | {"config": {}, "rootfs": rootfs})
        layers = [stack.descriptor(layer, fmt.OCI_LAYER) for layer in stack.layers]
        manifest = store.put(fmt.OCI_MANIFEST, _manifest(config, layers))
        manifests.append((manifest, platform))
    if len(manifests) == 1:
        return manifests[0][0]
    children = [manifest | {"platform": platform} for manifest, platform in manifests]
    index = {"schemaVersion": 2, "mediaType": fmt.OCI_INDEX, "manifests": children}
    return store.put(fmt.OCI_INDEX, index)


def _modelpack(stack: _Stack, store: _Store) -> Json:
    """The model as ModelPack (https://github.com/modelpack/model-spec, docs/spec.md)."""
    model = stack.model
    about = {"name": model.name, "licenses": [model.license]}
    if model.revision is not None:
        about["revision"] = model.revision
    config: Json = {
        "descriptor": about,
        "config": {},
        "modelfs": {"type": "layers", "diffIds": stack.diff_ids()},
    }
    layers = []
    for layer in stack.layers:
        kind = fmt.MODELPACK_SMALL if layer.small else fmt.MODELPACK_WEIGHT
        layers.append(stack.descriptor(layer, kind))
        if len(layer.files) == 1:
            path = layer.folder + layer.files[0].path
            layers[-1]["annotations"] = {"org.cncf.model.filepath": path}
    return store.artifact(fmt.MODELPACK, store.put(fmt.MODELPACK_CONFIG, config), layers)


def _file_set(files: LockedFileSet, store: _Store) -> Json:
    layers = [
        Descriptor(fmt.FILE, file.digest, file.size).to_json()
        | {"annotations": {fmt.TITLE: file.path}}
        for file in files.files
    ]
    return store.artifact(fmt.FILES, store.put(fmt.OCI_EMPTY, fmt.EMPTY_JSON), layers)
