"""Small whole bundles, made in a moment: what most tests of the file and of trust stand on."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from bundler.archive import format as fmt
from bundler.archive.assembly import Draft
from bundler.archive.framing import END
from bundler.archive.layers import Layer
from bundler.archive.writer import Origins, write_bundle
from bundler.core import strictjson
from bundler.core.config import BundleConfig
from bundler.core.digest import Descriptor, Digest
from bundler.core.lock import Lock, LockedFile, LockedFileSet, LockedImage, LockedModel
from bundler.core.release import Release
from bundler.sign.envelope import PAYLOAD_TYPE, Envelope, Signature, pae
from bundler.sign.keys import Algorithm, PrivateKey

KEY = PrivateKey.generate(Algorithm.ED25519)
BOM = b'{"bomFormat":"CycloneDX","specVersion":"1.7"}'


@dataclass
class Contents:
    """What goes into a bundle: files of models and file sets by path, layers of images.

    `environment` is that of every image, as ``NAME=VALUE``.
    """

    models: Mapping[str, Mapping[str, bytes]] = field(
        default_factory=lambda: {
            "mini": {"config.json": b"{}\n", "vocab/words.txt": b"one\ntwo\n" * 300}
        }
    )
    files: Mapping[str, Mapping[str, bytes]] = field(
        default_factory=lambda: {"data": {"train.jsonl": b'{"text": "a"}\n'}}
    )
    images: Mapping[str, tuple[bytes, ...]] = field(
        default_factory=lambda: {"registry.corp_5000/team/server": (b"first layer", b"second")}
    )
    environment: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ("linux/amd64",)
    name: str = "movie-search"
    version: str = "1.4.0"


def tar_of(files: Mapping[str, bytes]) -> bytes:
    """The tar of `files` with the framing of the format."""
    layer = Layer("", locked(files))
    content = b"".join(
        placed.framing + files[file.path] + placed.filler
        for file, placed in zip(layer.files, layer.placed, strict=True)
    )
    return content + END


def locked(files: Mapping[str, bytes]) -> tuple[LockedFile, ...]:
    """The entries of a lock for `files`."""
    return tuple(
        LockedFile(path, len(files[path]), Digest.of(files[path]))
        for path in sorted(files, key=str.encode)
    )


def image(
    layers: tuple[bytes, ...], environment: tuple[str, ...] = ()
) -> tuple[Descriptor, dict[Digest, bytes]]:
    """A single-platform OCI image: its manifest's descriptor, and manifest and config by digest."""
    diff_ids = [str(Digest.of(layer)) for layer in layers]
    config = strictjson.canonical(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": list(environment)} if environment else {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
    )
    manifest = strictjson.canonical(
        {
            "schemaVersion": 2,
            "mediaType": fmt.OCI_MANIFEST,
            "config": Descriptor.of(fmt.OCI_CONFIG, config).to_json(),
            "layers": [Descriptor.of(fmt.OCI_LAYER, layer).to_json() for layer in layers],
        }
    )
    descriptor = Descriptor.of(fmt.OCI_MANIFEST, manifest)
    return descriptor, {descriptor.digest: manifest, Digest.of(config): config}


def draft_of(contents: Contents) -> tuple[Draft, Origins]:
    """What `write_bundle` takes for `contents`."""
    metadata: dict[Digest, bytes] = {}
    blobs: dict[Digest, Callable[[], BinaryIO]] = {}
    files: dict[Digest, Callable[[], BinaryIO]] = {}
    images = []
    for name, layers in contents.images.items():
        top, found = image(layers, contents.environment)
        metadata |= found
        blobs |= {Digest.of(layer): _opener(layer) for layer in layers}
        platforms = {"linux/amd64": top.digest}
        entry = f"{name}@{top.digest}"
        images.append(
            LockedImage(
                name.replace("_", ":") + ":1",
                "oci:image",
                top.digest,
                entry,
                top.media_type,
                top.digest,
                top.size,
                platforms,
            )
        )
    for group in contents.models.values():
        files |= {Digest.of(data): _opener(data) for data in group.values()}
    for group in contents.files.values():
        blobs |= {Digest.of(data): _opener(data) for data in group.values()}
    lock = Lock(
        name=contents.name,
        version=contents.version,
        spec=Digest.of(b"spec"),
        platforms=contents.platforms,
        models=tuple(
            LockedModel(name, "weights", None, "MIT", locked(group))
            for name, group in contents.models.items()
        ),
        files=tuple(
            LockedFileSet(name, "data", "dataset", locked(group))
            for name, group in contents.files.items()
        ),
        images=tuple(images),
        targets={"dev": Digest.of(b"[]")},
    )
    config = BundleConfig(contents.name, contents.version, ("dev",), (), (), {"format": "1"})
    sources = tar_of({"bundle.yaml": b"kind: Bundle\n"})
    return (
        Draft(lock, config, sources, lambda models: {"dev": b"[]"}, b"{}", BOM, metadata),
        Origins(files, blobs),
    )


def _opener(data: bytes) -> Callable[[], BinaryIO]:
    return lambda: io.BytesIO(data)


def signed(statement: bytes, *keys: PrivateKey) -> Envelope:
    """An envelope over `statement`, signed by each of `keys`."""
    signatures = [
        Signature(key.public.keyid, key.sign(pae(PAYLOAD_TYPE, statement))) for key in keys
    ]
    return Envelope(statement, tuple(sorted(signatures)))


def seal(contents: Contents, *keys: PrivateKey) -> Callable[[bytes], bytes]:
    """A function from an index to the slot with the signatures of `keys`; only spaces for none."""

    def sealed(index: bytes) -> bytes:
        if not keys:
            return b" " * fmt.SLOT_SIZE
        release = Release(contents.name, contents.version, Digest.of(index), len(index))
        return signed(release.statement(), *keys).slot()

    return sealed


def make_bundle(path: Path, contents: Contents | None = None, *keys: PrivateKey) -> Path:
    """A bundle at `path`, signed by `keys` (by `KEY` when none is given)."""
    contents = contents or Contents()
    draft, origins = draft_of(contents)
    write_bundle(path, draft, origins, seal(contents, *(keys or (KEY,))), lambda packed: None)
    return path
