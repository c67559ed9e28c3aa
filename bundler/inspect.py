"""`airbundle inspect`: what is inside of a bundle, from its metadata alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bundler.archive.bundle import AuthenticatedBundle
from bundler.core import lock
from bundler.core.digest import Digest
from bundler.core.documents.bundle import ParameterTarget
from bundler.core.documents.secretrefs import SecretRef
from bundler.core.documents.site import SiteObject
from bundler.core.findings import Finding
from bundler.core.lock import LockedFile
from bundler.core.objects import manifests
from bundler.core.objects.loaderpods import fetched, wanted_secrets
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.reports.report import parse_report
from bundler.render import spec_of


@dataclass(frozen=True)
class ModelInside:
    """A model: licence, files, and the digest under which nodes mount it."""

    name: str
    license: str
    revision: str | None
    digest: Digest
    size: int
    files: tuple[LockedFile, ...]


@dataclass(frozen=True)
class ImageInside:
    """An image: as the manifests wrote it, digest, platforms, bytes of all its blobs."""

    name: str
    digest: Digest
    platforms: tuple[str, ...]
    size: int


@dataclass(frozen=True)
class FilesInside:
    """A file set: what kind of files, and which."""

    name: str
    kind: str
    size: int
    files: tuple[LockedFile, ...]


@dataclass(frozen=True)
class ParameterInside:
    """A parameter that a site may set, or must where it is `required`; what it may be, and which
    places it changes. Without a `default`, these have what the manifests of each target say.
    """

    name: str
    type: str
    default: str | int | bool | None
    required: bool
    description: str
    pattern: str | None
    values: tuple[str, ...]
    targets: tuple[str, ...]


@dataclass(frozen=True)
class SiteBrings:
    """What a site has to bring: parameters without a value of their own, by name; Secrets that it
    makes itself; buckets (``ENDPOINT/BUCKET``) that an install fills; and what it makes of
    --registry-credentials and --registry-ca."""

    parameters: tuple[str, ...]
    secrets: tuple[SecretRef, ...]
    buckets: tuple[str, ...]
    pull_secret: SiteObject | None
    ca: SiteObject | None


@dataclass(frozen=True)
class Inspected:
    """All of a bundle in names and numbers; sizes in bytes."""

    status: str
    name: str
    version: str
    index: Digest
    signers: tuple[str, ...]
    size: int
    models: tuple[ModelInside, ...]
    images: tuple[ImageInside, ...]
    files: tuple[FilesInside, ...]
    targets: Mapping[str, tuple[str, ...]]
    parameters: tuple[ParameterInside, ...]
    site_brings: SiteBrings
    allowed_hosts: tuple[str, ...]
    waivers: tuple[str, ...]
    tools: Mapping[str, str]


def inspect(bundle: AuthenticatedBundle) -> Inspected:
    """What `bundle` says of itself, all of it authenticated; no layer is read.

    IntegrityError for a bundle that another tool filled with what this one does not understand.
    """
    locked = lock.parse(bundle.layer("lock.json"), "lock.json")
    report = parse_report(bundle.layer("report.json"), "report.json")
    release, config = bundle.release, bundle.config
    digests = {entry.name: entry.descriptor.digest for entry in bundle.entries}
    return Inspected(
        status=bundle.status,
        name=release.name,
        version=release.version,
        index=release.index,
        signers=bundle.signers,
        size=bundle.size,
        models=tuple(
            ModelInside(
                model.name,
                model.license,
                model.revision,
                digests[f"models/{model.name}"],
                sum(file.size for file in model.files),
                model.files,
            )
            for model in locked.models
        ),
        images=tuple(
            ImageInside(
                image.name, image.digest, tuple(image.platforms), _size(bundle, image.entry)
            )
            for image in locked.images
        ),
        files=tuple(
            FilesInside(item.name, item.kind, sum(file.size for file in item.files), item.files)
            for item in locked.files
        ),
        targets={target: _objects(bundle, target) for target in config.targets},
        parameters=tuple(
            ParameterInside(
                item.name,
                item.type,
                item.default,
                item.required,
                item.description,
                item.pattern,
                item.values,
                tuple(map(_place, item.targets)),
            )
            for item in config.parameters
        ),
        site_brings=_brings(bundle),
        allowed_hosts=report.allow_hosts,
        waivers=tuple(dict.fromkeys(map(_words, report.waived()))),
        tools=config.tools,
    )


def _brings(bundle: AuthenticatedBundle) -> SiteBrings:
    spec = spec_of(bundle)
    objects = [obj for target in bundle.config.targets for obj in _rendered(bundle, target)]
    return SiteBrings(
        tuple(each.name for each in bundle.config.parameters if each.required),
        wanted_secrets(spec.secret_refs, objects),
        tuple(dict.fromkeys(f"{each.endpoint}/{each.place.bucket}" for each in fetched(objects))),
        spec.site.pull_secret if spec.site else None,
        spec.site.ca if spec.site else None,
    )


def _size(bundle: AuthenticatedBundle, name: str) -> int:
    entry = next(entry for entry in bundle.entries if entry.name == name)
    tree = bundle.tree(entry)
    return sum(blob.size for blob in (*tree.manifests, *tree.blobs))


def _objects(bundle: AuthenticatedBundle, target: str) -> tuple[str, ...]:
    return tuple(str(ObjectId.of(obj)) for obj in _rendered(bundle, target))


def _rendered(bundle: AuthenticatedBundle, target: str) -> tuple[JsonObject, ...]:
    title = f"targets/{target}.json"
    return manifests.load(bundle.layer(title), title)


def _place(target: ParameterTarget) -> str:
    """``Deployment serving/web /spec/replicas``."""
    namespace = f"{target.namespace}/" if target.namespace else ""
    return f"{target.kind} {namespace}{target.name} {target.path}"


def _words(found: Finding) -> str:
    """What a policy let pass, with who answers for it and why."""
    waiver = found.waiver
    because = f" [{waiver.reason}, {waiver.owner}]" if waiver else ""
    return f"{found.rule}: {found.subject}: {found.message}{because}"
