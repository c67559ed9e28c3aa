"""What one release needs of a cluster: its objects, and what the bundle says of its images."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bundler.archive.bundle import AuthenticatedBundle
from bundler.archive.entries import Entry
from bundler.archive.format import DOCKER_MANIFEST, OCI_MANIFEST
from bundler.core.digest import Descriptor, Digest
from bundler.core.documents.bundle import Bundle
from bundler.core.documents.secretrefs import SecretRef
from bundler.core.documents.smoke import Smoke
from bundler.core.objects.loaderpods import wanted_secrets
from bundler.core.objects.manifests import JsonObject
from bundler.core.preflight.cuda import Cuda, cuda_of


@dataclass(frozen=True)
class Carried:
    """An image or a model of the bundle.

    `platforms` are ``os/arch[/variant]``, none where nothing is said; `size` has the bytes of its
    blobs as they travel, of the largest platform where there are several.
    """

    kind: str
    name: str
    platforms: frozenset[str]
    size: int
    cuda: Cuda | None = None


@dataclass(frozen=True)
class Needs:
    """A release as it is about to be installed.

    `objects` are rendered and relocated; `namespace` is the record's; `images` has images and
    models by digest, as 64 hex digits.
    """

    name: str
    namespace: str
    objects: tuple[JsonObject, ...] = ()
    secret_refs: tuple[SecretRef, ...] = ()
    smoke: tuple[Smoke, ...] = ()
    images: Mapping[str, Carried] = field(default_factory=dict)
    version: str = ""

    @property
    def platforms(self) -> dict[str, frozenset[str]]:
        """The platforms of each image that says them, by digest."""
        return {digest: each.platforms for digest, each in self.images.items() if each.platforms}


def needs_of(
    bundle: AuthenticatedBundle,
    spec: Bundle,
    objects: Sequence[JsonObject],
    namespace: str,
) -> Needs:
    """What `bundle` needs with `objects` of one target; from its metadata, no layer is read."""
    carried = (entry for entry in bundle.entries if entry.kind in ("image", "model"))
    return Needs(
        name=bundle.release.name,
        namespace=namespace,
        objects=tuple(objects),
        secret_refs=wanted_secrets(spec.secret_refs, objects),
        smoke=spec.smoke,
        images={entry.descriptor.digest.hex: _carried(bundle, entry) for entry in carried},
        version=bundle.release.version,
    )


def _carried(bundle: AuthenticatedBundle, entry: Entry) -> Carried:
    tree = bundle.tree(entry)
    name = entry.short if entry.kind == "model" else entry.repository
    if entry.kind == "model":
        size = sum(blob.size for blob in tree.blobs)
        return Carried(entry.kind, name, frozenset(), size)
    blobs = {blob.digest: blob.size for blob in tree.blobs}
    size = max((_size(bundle, each, blobs) for each in tree.manifests), default=0)
    configs = list(_configs(bundle, entry))
    platforms = frozenset(_platform(each) for each in configs)
    found = (cuda_of(_environment(each)) for each in configs)
    return Carried(entry.kind, name, platforms, size, next((each for each in found if each), None))


def _size(bundle: AuthenticatedBundle, manifest: Descriptor, blobs: Mapping[Digest, int]) -> int:
    """The bytes of all that one platform's manifest names; an index names none."""
    found = _json(bundle, manifest.digest)
    parts = [found.get("config") or {}, *(found.get("layers") or [])]
    named = {Digest.parse(part["digest"]) for part in parts if "digest" in part}
    return sum(blobs[digest] for digest in named)


def _configs(bundle: AuthenticatedBundle, entry: Entry) -> Iterator[JsonObject]:
    """The config of each platform's image."""
    for manifest in bundle.tree(entry).manifests:
        if manifest.media_type in (OCI_MANIFEST, DOCKER_MANIFEST):
            config = _json(bundle, manifest.digest).get("config") or {}
            found = _json(bundle, Digest.parse(str(config.get("digest"))))
            # An attestation among an index's manifests is for no platform.
            if isinstance(found.get("architecture"), str) and found["architecture"] != "unknown":
                yield found


def _json(bundle: AuthenticatedBundle, digest: Digest) -> JsonObject:
    try:
        found = json.loads(bundle.metadata[digest])
    except (KeyError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _platform(config: JsonObject) -> str:
    parts = (config.get("os") or "linux", config["architecture"], config.get("variant"))
    return "/".join(str(part) for part in parts if part)


def _environment(config: JsonObject) -> dict[str, str]:
    inner = config.get("config")
    found = inner.get("Env") if isinstance(inner, dict) else None
    texts = [str(each) for each in found] if isinstance(found, list) else []
    return {name: value for name, _, value in (text.partition("=") for text in texts)}
