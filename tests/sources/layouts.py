"""OCI layouts and `docker save` archives, made from tables; broken ones by a change on the way."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from bundler.archive.store import Store
from bundler.sources.remote import Reach

OCI = "application/vnd.oci.image."
INDEX, MANIFEST, CONFIG = f"{OCI}index.v1+json", f"{OCI}manifest.v1+json", f"{OCI}config.v1+json"
LAYER = f"{OCI}layer.v1.tar"
DOCKER = "application/vnd.docker."
DOCKER_LIST = f"{DOCKER}distribution.manifest.list.v2+json"
DOCKER_MANIFEST = f"{DOCKER}distribution.manifest.v2+json"
DOCKER_CONFIG = f"{DOCKER}container.image.v1+json"
DOCKER_LAYER = f"{DOCKER}image.rootfs.diff.tar.gzip"
REF_NAME = "org.opencontainers.image.ref.name"

Json = dict[str, Any]


def reach(root: Path) -> Reach:
    """Paths below `root`, and a store beside them."""
    return Reach(root, Store(root / "store"))


def dump(value: object) -> bytes:
    """JSON as some other tool writes it: not canonical."""
    return json.dumps(value, indent=3).encode()


def layer_tar(text: str) -> bytes:
    """A layer with one file."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo("etc/motd")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text.encode()))
    return stream.getvalue()


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def platform(text: str) -> Json:
    return dict(zip(("os", "architecture", "variant"), text.split("/"), strict=False))


class Layout:
    """A layout that is being written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "blobs" / "sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def blob(self, data: bytes) -> Path:
        location = self.folder / "blobs" / "sha256" / sha256(data)[7:]
        location.write_bytes(data)
        return location

    def descriptor(self, media_type: str, data: bytes, **more: Any) -> Json:
        self.blob(data)
        return {"mediaType": media_type, "digest": sha256(data), "size": len(data), **more}

    def image(self, where: str, count: int = 2, docker: bool = False, **change: Any) -> Json:
        """A manifest for the platform `where`; `change` replaces members of it."""
        diffs = [layer_tar(f"{where} layer {number}") for number in range(count)]
        config = dump(
            {**platform(where), "rootfs": {"type": "layers", "diff_ids": [*map(sha256, diffs)]}}
        )
        kinds = (
            (DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER) if docker else (MANIFEST, CONFIG, LAYER)
        )
        blobs = [gzip.compress(diff, mtime=0) if docker else diff for diff in diffs]
        manifest: Json = {
            "schemaVersion": 2,
            "mediaType": kinds[0],
            "config": self.descriptor(kinds[1], config),
            "layers": [self.descriptor(kinds[2], blob) for blob in blobs],
        }
        manifest.update(change)
        return self.descriptor(kinds[0], dump(manifest))

    def child(self, where: str, **more: Any) -> Json:
        """An image as an index names it."""
        return {**self.image(where), "platform": platform(where), **more}

    def attestation(self) -> Json:
        """What buildkit attaches."""
        config = dump({"os": "unknown", "architecture": "unknown", "rootfs": {}})
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.descriptor(CONFIG, config),
            "layers": [self.descriptor("application/vnd.in-toto+json", b'{"_type": "x"}')],
        }
        return self.descriptor(MANIFEST, dump(manifest), platform=platform("unknown/unknown"))

    def index(self, *children: Json, kind: str = INDEX, **change: Any) -> Json:
        """An index of these."""
        value = {"schemaVersion": 2, "mediaType": kind, "manifests": [*children], **change}
        return self.descriptor(kind, dump(value))

    def finish(self, *entries: Json) -> str:
        """Writes index.json; the source as a bundle names it."""
        value = {"schemaVersion": 2, "manifests": [*entries]}
        (self.folder / "index.json").write_bytes(dump(value))
        return f"oci:{self.folder.name}"


def named(entry: Json, ref: str) -> Json:
    return {**entry, "annotations": {REF_NAME: ref}}


def docker_save(
    location: Path,
    layers: list[bytes],
    config: Json | None = None,
    extra: list[tuple[tarfile.TarInfo, bytes]] | None = None,
    diffs: list[bytes] | None = None,
    listed: object = None,
) -> str:
    """An archive as `docker save` writes it; the source as a bundle names it.

    `diffs` are the uncompressed layers; `extra` members come first; `listed` is manifest.json.
    """
    diff_ids = [sha256(diff) for diff in (layers if diffs is None else diffs)]
    value = {**platform("linux/amd64"), "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    data = dump({**value, **(config or {})})
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    config_name = f"{sha256(data)[7:]}.json"
    image = {"Config": config_name, "RepoTags": ["app:1"], "Layers": names}
    with tarfile.open(location, "w") as archive:
        for member, content in extra or []:
            archive.addfile(member, io.BytesIO(content))
        for name, content in [(config_name, data), *zip(names, layers, strict=True)]:
            archive.addfile(member_of(name, content), io.BytesIO(content))
        data = dump([image] if listed is None else listed)
        archive.addfile(member_of("manifest.json", data), io.BytesIO(data))
    return f"docker-archive:{location.name}"


def member_of(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, link, len(content)
    return member
