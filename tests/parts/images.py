"""Container images made on the spot, without a container engine and without a registry.

Three kinds: Debian's static busybox; the Python interpreter that runs, with its standard library
and the shared libraries that both link to; and what holds a pod's namespaces. The same machine
gives the same bytes: members are sorted, times and owners are 0. Only the standard library: `make
demo` makes its image here.

Formats: OCI image specification 1.1 (image layout, manifest, config); the archive of
`docker save` before Docker 25 (manifest.json, `<layer>/layer.tar`).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.parts import imagefiles
from tests.parts.imagefiles import Member

Kind = Literal["busybox", "pause", "python"]

_CONFIG = "application/vnd.oci.image.config.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True)
class _Recipe:
    """What an image holds: the members of each layer, lowest first, and how it starts."""

    layers: tuple[tuple[Member, ...], ...]
    command: tuple[str, ...]
    environment: tuple[str, ...]


def make_oci_layout(
    folder: Path, kind: Kind = "busybox", platforms: Sequence[str] = ("linux/amd64",)
) -> str:
    """Writes an OCI image layout into `folder`; returns the digest that its index.json names.

    That is a manifest for one platform ("os/arch" or "os/arch/variant"), an image index for
    several. The lowest layer is compressed with gzip, the others are plain, so that readers meet
    both. All platforms hold the same files: they differ in what their config says.
    """
    store = _Store(folder)
    tars = _layer_tars(kind)
    layers = [store.put(f"{_LAYER}+gzip", gzip.compress(tars[0], compresslevel=1, mtime=0))]
    layers += [store.put(_LAYER, each) for each in tars[1:]]
    manifests = [_put_manifest(store, kind, platform, tars, layers) for platform in platforms]
    top = manifests[0]
    if len(manifests) > 1:
        top = store.put_json(_INDEX, _versioned(_INDEX) | {"manifests": manifests})
    named = {**top, "annotations": {"org.opencontainers.image.ref.name": "latest"}}
    (folder / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    (folder / "index.json").write_bytes(_json(_versioned(_INDEX) | {"manifests": [named]}))
    return str(top["digest"])


def make_docker_archive(path: Path, kind: Kind = "busybox", platform: str = "linux/amd64") -> str:
    """Writes what `docker save` would; returns the digest of the image's config.

    Layers are plain tars; the one tag is `airbundle-test/<kind>:latest`.
    """
    tars = _layer_tars(kind)
    config = _json(_config(kind, platform, tars))
    names = [f"{_hex(each)}/layer.tar" for each in tars]
    entry = {
        "Config": f"{_hex(config)}.json",
        "RepoTags": [f"airbundle-test/{kind}:latest"],
        "Layers": names,
    }
    members = [
        *(Member(name, data=each) for name, each in zip(names, tars, strict=True)),
        Member(f"{_hex(config)}.json", data=config),
        Member("manifest.json", data=_json([entry])),
    ]
    path.write_bytes(_tar(members))
    return f"sha256:{_hex(config)}"


class _Store:
    """The blobs of one layout."""

    def __init__(self, folder: Path) -> None:
        self._blobs = folder / "blobs" / "sha256"
        self._blobs.mkdir(parents=True)

    def put(self, media_type: str, data: bytes) -> dict[str, Any]:
        digest = _hex(data)
        (self._blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def put_json(self, media_type: str, value: Mapping[str, Any]) -> dict[str, Any]:
        return self.put(media_type, _json(value))


def _put_manifest(
    store: _Store,
    kind: Kind,
    platform: str,
    tars: Sequence[bytes],
    layers: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    config = store.put_json(_CONFIG, _config(kind, platform, tars))
    content = _versioned(_MANIFEST) | {"config": config, "layers": layers}
    return {**store.put_json(_MANIFEST, content), "platform": _platform(platform)}


def _layer_tars(kind: Kind) -> list[bytes]:
    return [_tar(layer) for layer in _recipe(kind).layers]


def _recipe(kind: Kind) -> _Recipe:
    path = "PATH=/usr/local/bin:/usr/bin:/bin"
    if kind == "busybox":
        return _Recipe(
            (imagefiles.busybox(), imagefiles.accounts(), imagefiles.web_page()),
            ("/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/srv"),
            (path,),
        )
    if kind == "pause":
        return _Recipe((imagefiles.pause(),), ("/pause",), ())
    return _Recipe(
        (imagefiles.python_libraries(), imagefiles.python(), imagefiles.accounts()),
        (imagefiles.PYTHON,),
        (path, f"LD_LIBRARY_PATH={imagefiles.LIBRARIES}", "PYTHONDONTWRITEBYTECODE=1"),
    )


def _config(kind: Kind, platform: str, tars: Sequence[bytes]) -> dict[str, Any]:
    recipe = _recipe(kind)
    return {
        **_platform(platform),
        "config": {
            "User": "65532:65532",
            "Env": list(recipe.environment),
            "Cmd": list(recipe.command),
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_hex(each)}" for each in tars]},
    }


def _platform(text: str) -> dict[str, str]:
    names = ("os", "architecture", "variant")
    return dict(zip(names, text.split("/"), strict=False))


def _versioned(media_type: str) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": media_type}


def _tar(members: Sequence[Member]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for member in sorted(members, key=lambda each: each.name):
            data = member.content()
            archive.addfile(member.header(len(data)), io.BytesIO(data))
    return buffer.getvalue()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
