"""``loader:FILE@DIGEST+SOURCE``: the image at SOURCE with one layer more, of airbundle itself.

FILE is what `airbundle installer` wrote, relative to the spec, and DIGEST that of its bytes; where
there is a file for each platform, FILE holds ``{platform}`` and the digests stand in their order.
The layer is an uncompressed tar with the one member ``airbundle.pyz``, framed as a model's layers
are; nothing in it, in config and manifest is of the moment: the same inputs give the same bytes.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from bundler.archive import format as fmt
from bundler.archive.layers import Layer
from bundler.archive.walk import parse_node
from bundler.core import strictjson
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import SourceError
from bundler.core.lock import LockedFile
from bundler.sources.source_image import LOADER, SourceImage
from bundler.sources.steady import read_steady
from bundler.sources.tree import below

PROGRAM = "airbundle.pyz"
MAX_INSTALLER = 128 * 1024**2
_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
_PLATFORM = "{platform}"
_SOURCE = re.compile(rf"{LOADER}(.+)@[0-9a-z:,]+\+(.+)")
# PKWARE's APPNOTE.TXT, 4.3.16: 22 bytes and a comment of at most 65,535.
_ZIP_END = b"PK\x05\x06"
_ZIP_END_WITHIN = 22 + 65_535
_HISTORY = {"created_by": "airbundle", "comment": f"/{PROGRAM}"}

Json = dict[str, Any]


def spell(installer: str, installers: Mapping[str, bytes], base: str) -> str:
    """The source that `resolve` takes apart."""
    digests = ",".join(dict.fromkeys(str(Digest.of(data)) for data in installers.values()))
    return f"{LOADER}{installer}@{digests}+{base}"


def resolve(
    source: str,
    root: Path,
    platforms: Sequence[str],
    resolve_base: Callable[[str], SourceImage],
) -> SourceImage:
    """The image at `source`; SourceError also when an installer is another one by now."""
    found = _SOURCE.fullmatch(source)
    assert found is not None, "only `spell` makes such a source"
    installer, base = found.groups()
    data = read_installers(root, installer, platforms)
    if (now := spell(installer, data, base)) != source:
        raise SourceError(
            f"{root / installer}: changed meanwhile: expected {source}, found {now}",
            "build again when nothing writes to it any more",
        )
    return derive(resolve_base(base), data)


def read_installers(root: Path, installer: str, platforms: Sequence[str]) -> dict[str, bytes]:
    """The bytes of the file for each platform.

    SourceError when one is not there, too large, or no zip archive; with several platforms one
    file has to do for all of them, unless its name has ``{platform}``.
    """
    return {
        platform: _read(root, installer.replace(_PLATFORM, platform.replace("/", "-")))
        for platform in platforms
    }


def _read(root: Path, installer: str) -> bytes:
    path = below(root, installer)
    data = read_steady(path, MAX_INSTALLER)
    # A zip file ends with its directory; what is before it (a line for the shell) is free.
    if _ZIP_END not in data[-_ZIP_END_WITHIN:]:
        raise SourceError(
            f"{path}: expected an installer, found no zip archive",
            f"write it: airbundle installer -o {installer}",
        )
    return data


@dataclass(frozen=True)
class _Bytes:
    """A layer that is here."""

    data: bytes

    def open(self, digest: Digest) -> BinaryIO:
        """The layer, whose digest was made from it."""
        assert digest == Digest.of(self.data), "it is looked up by its own digest"
        return io.BytesIO(self.data)


def derive(base: SourceImage, installers: Mapping[str, bytes]) -> SourceImage:
    """`base` with its platform's installer as /airbundle.pyz.

    A platform by itself is a manifest, several are an index of these alone; manifests of Docker
    stay what they are. SourceError for a base whose config does not list its layers.
    """
    packed = {platform: _pack(data) for platform, data in installers.items()}
    metadata: dict[Digest, bytes] = {}
    tops: dict[str, Descriptor] = {}
    layers: dict[Digest, Descriptor] = {}
    for platform, digest in base.platforms:
        added = Descriptor.of(fmt.OCI_LAYER, packed[platform])
        tops[platform] = _manifest(base, digest, added, metadata)
        node = parse_node(metadata[tops[platform].digest], tops[platform].media_type, platform)
        layers |= {each.descriptor.digest: each.descriptor for each in node.layers}
    top = next(iter(tops.values()))
    if len(tops) > 1:
        index = _index(base, tops)
        top = Descriptor.of(base.descriptor.media_type, index)
        metadata[top.digest] = index
    return SourceImage(
        base.resolved,
        top,
        tuple((platform, each.digest) for platform, each in tops.items()),
        metadata,
        tuple(layers.values()),
        {**base.places, **{Digest.of(data): _Bytes(data) for data in packed.values()}},
        tuple(each for each in base.remotes if each.digest in layers),
    )


def _pack(installer: bytes) -> bytes:
    layer = Layer("", (LockedFile(PROGRAM, len(installer), Digest.of(installer)),))
    (placed,) = layer.placed
    packed = bytearray(layer.size)
    for offset, framing in layer.framing():
        packed[offset : offset + len(framing)] = framing
    packed[placed.offset : placed.offset + len(installer)] = installer
    return bytes(packed)


def _manifest(
    base: SourceImage, digest: Digest, added: Descriptor, metadata: dict[Digest, bytes]
) -> Descriptor:
    """One platform's manifest with the layer `added`, and its config, put into `metadata`."""
    manifest: Json = json.loads(base.metadata[digest])
    media_type = manifest.get("mediaType", fmt.OCI_MANIFEST)
    config = _config(base, manifest, added.digest)
    kind = _DOCKER_LAYER if media_type == fmt.DOCKER_MANIFEST else fmt.OCI_LAYER
    described = Descriptor.of(manifest["config"]["mediaType"], config)
    layer = Descriptor(kind, added.digest, added.size)
    manifest["config"] = described.to_json()
    manifest["layers"] = [*manifest["layers"], layer.to_json()]
    manifest.pop("subject", None)  # it spoke of the base
    data = _dump(manifest)
    metadata |= {described.digest: config, Digest.of(data): data}
    return Descriptor.of(media_type, data)


def _config(base: SourceImage, manifest: Json, diff_id: Digest) -> bytes:
    config: Json = json.loads(base.metadata[Digest.parse(manifest["config"]["digest"])])
    rootfs = config.get("rootfs")
    rootfs = rootfs if isinstance(rootfs, dict) else {}
    listed = rootfs.get("diff_ids")
    if not isinstance(listed, list) or len(listed) != len(manifest["layers"]):
        raise SourceError(
            f"image {base.resolved}: expected a config with the diff_ids of its "
            f"{len(manifest['layers'])} layers, found {len(listed or [])}",
            "build the image that spec.loader names anew with a current tool",
        )
    config["rootfs"] = {**rootfs, "diff_ids": [*listed, str(diff_id)]}
    if isinstance(config.get("history"), list):
        config["history"] = [*config["history"], _HISTORY]
    return _dump(config)


def _index(base: SourceImage, tops: dict[str, Descriptor]) -> bytes:
    known = {Digest.parse(each["digest"]): each for each in _listed(base)}
    manifests = []
    for platform, digest in base.platforms:
        described = tops[platform].to_json()
        if "platform" in known[digest]:
            described["platform"] = known[digest]["platform"]
        manifests.append(described)
    media_type = base.descriptor.media_type
    return strictjson.canonical(
        {"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}
    )


def _listed(base: SourceImage) -> list[Json]:
    found: list[Json] = json.loads(base.metadata[base.descriptor.digest])["manifests"]
    return found


def _dump(value: Json) -> bytes:
    """Configs may hold what our own JSON does not, so it is not the canonical form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()
