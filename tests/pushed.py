"""What tests put into a registry to pull it from there."""

from __future__ import annotations

import json
import uuid
from contextlib import closing
from pathlib import Path

from bundler.core.digest import Descriptor, Digest
from bundler.tools.registry import RegistryDestination


def put(address: str, data: bytes, folder: str = "") -> tuple[str, Descriptor]:
    """`data` as a blob in a new repository (below `folder`) of the registry at `address`."""
    repository = f"{folder}r{uuid.uuid4().hex}"
    blob = Descriptor.of("application/vnd.oci.image.layer.v1.tar", data)
    with closing(RegistryDestination(address)) as destination:
        destination.put_blob(repository, blob, (data,))
    return repository, blob


def put_image(address: str, repository: str, tag: str, layout: Path, top: Digest) -> None:
    """The image of one platform in the OCI layout in a folder, whose manifest is `top`."""
    blobs = layout / "blobs" / "sha256"
    data = (blobs / top.hex).read_bytes()
    manifest = json.loads(data)
    with closing(RegistryDestination(address)) as destination:
        for blob in (manifest["config"], *manifest["layers"]):
            digest = Digest.parse(blob["digest"])
            descriptor = Descriptor(blob["mediaType"], digest, blob["size"])
            destination.put_blob(repository, descriptor, [(blobs / digest.hex).read_bytes()])
        found = Descriptor.of(manifest["mediaType"], data)
        destination.put_manifest(repository, tag, found, data)


def put_manifest(address: str, repository: str) -> Digest:
    """An artifact without content, by digest alone, in `repository` of a registry."""
    empty = Descriptor.of("application/vnd.oci.empty.v1+json", b"{}")
    media_type = "application/vnd.oci.image.manifest.v1+json"
    content = {"schemaVersion": 2, "mediaType": media_type, "artifactType": "application/x"}
    content |= {"config": empty.to_json(), "layers": [empty.to_json()]}
    data = json.dumps(content).encode()
    with closing(RegistryDestination(address)) as destination:
        destination.put_blob(repository, empty, (b"{}",))
        destination.put_manifest(repository, None, Descriptor.of(media_type, data), data)
    return Digest.of(data)
