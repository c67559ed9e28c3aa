"""A bundle into a destination: every image, model and file set, and last the bundle itself."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

from bundler.archive import format as fmt
from bundler.archive.bundle import AuthenticatedBundle
from bundler.archive.entries import Entry
from bundler.archive.together import together
from bundler.core.destination import Destination, TagKeptError, check_tag
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import SourceError
from bundler.core.progress import Progress
from bundler.core.registries import SiteRegistry
from bundler.core.strictjson import canonical

ARTIFACT_TYPE = "application/vnd.airbundle.release.v1+json"
ENVELOPE = "application/vnd.dsse.envelope.v1+json"
ENVELOPE_TITLE = "airbundle.sig.json"
# No type of the image specification: a registry looks for an index's children in the same
# repository, where they are not.
METADATA = "application/vnd.airbundle.release.metadata.v1"
_EMPTY = Descriptor.of(fmt.OCI_EMPTY, fmt.EMPTY_JSON)


@dataclass(frozen=True)
class Transfer:
    """One blob that a repository lacks; `shared` names a repository that has it by then."""

    repository: str
    blob: Descriptor
    shared: str | None


@dataclass(frozen=True)
class PushPlan:
    """What a push would send: blobs, and entries of which a manifest is missing.

    Their top manifest is there when it is there under its tag.
    """

    transfers: tuple[Transfer, ...]
    entries: tuple[Entry, ...]
    artifact: bool

    @property
    def size(self) -> int:
        """How many bytes of blobs go over the line, when all sharing succeeds."""
        return sum(each.blob.size for each in self.transfers if each.shared is None)

    @property
    def blobs(self) -> int:
        """How many blobs go over the line, when all sharing succeeds."""
        return sum(each.shared is None for each in self.transfers)

    @property
    def shared(self) -> int:
        """How many blobs a repository gets from another one of the same destination."""
        return len(self.transfers) - self.blobs

    def to_json(self) -> dict[str, object]:
        """Counts and names, for scripts."""
        return {
            "blobs": self.blobs,
            "bytes": self.size,
            "entries": [entry.name for entry in self.entries],
            "artifact": self.artifact,
        }


@dataclass(frozen=True)
class PushedBundle:
    """A bundle all of whose images, models and files a destination holds, by digest.

    Made by `push_bundle` and `held` alone; without one, nothing can be applied. `registry` is
    where a cluster pulls from, or None for a layout on disk; `sent` is what was missing there.
    """

    bundle: AuthenticatedBundle
    registry: str | None
    sent: PushPlan


@dataclass(frozen=True)
class Artifact:
    """The bundle without its layers, as an OCI artifact: what verifies it again, without the file.

    Its layers are the envelope (if signed), `index.json`, and every manifest and metadata blob.
    Two tags point to it: `tag`, the version, and `mark`, which names the index and so tells the
    same bundle under more signatures from another one.
    """

    repository: str
    tag: str
    mark: str
    manifest: Descriptor
    data: bytes
    blobs: tuple[tuple[Descriptor, bytes], ...]


@dataclass(frozen=True)
class Pullable:
    """An image or a model, and the reference under which it can be pulled: by digest.

    In a layout there is no registry before it: then it is the name in `index.json`.
    """

    kind: str
    name: str
    reference: str


def pullables(bundle: AuthenticatedBundle, registry: str | None) -> tuple[Pullable, ...]:
    """Every image and model of `bundle` as it is named in `registry` (``HOST[/PREFIX]``)."""
    return tuple(
        Pullable(
            entry.kind,
            entry.name,
            f"{placed(entry.repository, registry)}@{entry.descriptor.digest}",
        )
        for entry in bundle.entries
        if entry.kind in ("image", "model")
    )


def placed(repository: str, registry: str | None) -> str:
    """`repository` as it is named from outside of `registry`; a layout (None) adds nothing."""
    return repository if registry is None else SiteRegistry.parse(registry).place(repository)


def top_tag(digest: Digest) -> str:
    """The tag that keeps a top manifest from a registry's garbage collection."""
    return f"airbundle-{digest.hex[:16]}"


def artifact_repository(name: str) -> str:
    """Where the artifacts of all versions of the bundle `name` lie."""
    return f"bundles/{name}"


def mark(index: Digest) -> str:
    """The tag of the artifact of the bundle whose identity is `index`."""
    return f"index-{index.hex}"


def bundle_artifact(bundle: AuthenticatedBundle) -> Artifact:
    """The artifact of `bundle`: the same bytes for the same bundle and signatures."""
    members = [("index.json", METADATA, bundle.index)]
    if bundle.envelope is not None:
        members.insert(0, (ENVELOPE_TITLE, ENVELOPE, bundle.envelope))
    members += [
        (f"blobs/sha256/{digest.hex}", METADATA, bundle.metadata[digest])
        for digest in sorted(bundle.metadata)
    ]
    layers = [(title, Descriptor.of(kind, data), data) for title, kind, data in members]
    manifest = {
        "schemaVersion": 2,
        "mediaType": fmt.OCI_MANIFEST,
        "artifactType": ARTIFACT_TYPE,
        "config": _EMPTY.to_json(),
        "layers": [
            blob.to_json() | {"annotations": {fmt.TITLE: title}} for title, blob, _ in layers
        ],
    }
    data = canonical(manifest)
    return Artifact(
        artifact_repository(bundle.release.name),
        check_tag(str(bundle.release.version)),
        mark(bundle.release.index),
        Descriptor.of(fmt.OCI_MANIFEST, data),
        data,
        ((_EMPTY, fmt.EMPTY_JSON), *((blob, content) for _, blob, content in layers)),
    )


def plan_push(bundle: AuthenticatedBundle, destination: Destination) -> PushPlan:
    """What is missing in `destination`; sends nothing.

    SourceError for a repository that no registry takes, and when this version is published there
    already with other content.
    """
    artifact = bundle_artifact(bundle)
    published = destination.tagged(artifact.repository, artifact.tag)
    # The same index under other signatures is the same bundle: somebody co-signed it meanwhile.
    known = (None, artifact.manifest.digest, destination.tagged(artifact.repository, artifact.mark))
    if published not in known:
        raise SourceError(
            f"{placed(artifact.repository, destination.registry)}:{artifact.tag}: this version is "
            "already published with other content: "
            f"expected {artifact.manifest.digest}, found {published}",
            "what is published stays: build yours again under a new version; or the file holds "
            "another bundle of this name and version: ask who sent it for one with a new version",
        )
    transfers: list[Transfer] = []
    entries: list[Entry] = []
    holders: dict[Digest, str] = {}
    asked: set[tuple[str, Digest]] = set()
    has_manifest = functools.cache(destination.has_manifest)
    for entry in _entries(bundle):
        where, top = entry.repository, entry.descriptor.digest
        tree = bundle.tree(entry)
        for blob in tree.blobs:
            # The first repository that has it, or will have it by the time it is asked to share.
            holder = holders.setdefault(blob.digest, where)
            if (where, blob.digest) not in asked and not destination.has_blob(where, blob):
                transfers.append(Transfer(where, blob, None if holder == where else holder))
            asked.add((where, blob.digest))
        # A registry's garbage collection may take what no tag keeps, also from below an index.
        below = (each.digest for each in tree.manifests if each.digest != top)
        is_tagged = destination.tagged(where, top_tag(top)) == top
        if not is_tagged or not all(has_manifest(where, digest) for digest in below):
            entries.append(entry)
    return PushPlan(tuple(transfers), tuple(entries), published != artifact.manifest.digest)


def already_pushed(bundle: AuthenticatedBundle, destination: Destination) -> PushedBundle:
    """Proof that `destination` has all of `bundle` already; sends nothing.

    SourceError when it lacks any of it.
    """
    plan = plan_push(bundle, destination)
    if plan.transfers or plan.entries:
        raise SourceError(
            f"{destination.registry} lacks {len(plan.transfers)} blobs and {len(plan.entries)} "
            f"images or models of {bundle.release.name} {bundle.release.version}"
        )
    return PushedBundle(bundle, destination.registry, plan)


def push_bundle(
    bundle: AuthenticatedBundle, destination: Destination, progress: Progress
) -> PushedBundle:
    """Bring what `destination` lacks of all entries: blobs, then manifests, children first.

    Blobs are sent several at a time, and shared when all are there.

    The bundle's own artifact is `push_artifact`'s, last of all. IntegrityError when the file
    changed; SourceError when the destination refuses.
    """
    plan = plan_push(bundle, destination)
    if plan.size:
        progress.phase("pushing", plan.size)

    def send(each: Transfer, progress: Progress) -> None:
        destination.put_blob(each.repository, each.blob, _Chunks(bundle, each.blob, progress))

    own = [each for each in plan.transfers if each.shared is None]
    together(send, sorted(own, key=lambda each: -each.blob.size), progress)
    for each in plan.transfers:
        if each.shared is not None and not destination.mount_blob(
            each.repository, each.blob, each.shared
        ):
            send(each, progress)
    for entry in plan.entries:
        for manifest in bundle.tree(entry).manifests:
            tag = top_tag(manifest.digest) if manifest == entry.descriptor else None
            # Where tags are immutable, one that is there can't be set again.
            if tag is not None and destination.tagged(entry.repository, tag) == manifest.digest:
                continue
            data = bundle.metadata[manifest.digest]
            destination.put_manifest(entry.repository, tag, manifest, data)
    return PushedBundle(bundle, destination.registry, plan)


def push_artifact(pushed: PushedBundle, destination: Destination) -> Digest:
    """Publish the bundle's artifact as ``bundles/<name>:<version>``; its manifest's digest."""
    artifact = bundle_artifact(pushed.bundle)
    tags = (artifact.tag, artifact.mark)
    if all(destination.tagged(artifact.repository, t) == artifact.manifest.digest for t in tags):
        return artifact.manifest.digest
    for blob, data in artifact.blobs:
        if not destination.has_blob(artifact.repository, blob):
            destination.put_blob(artifact.repository, blob, (data,))
    try:
        for tag in tags:
            destination.put_manifest(artifact.repository, tag, artifact.manifest, artifact.data)
    except TagKeptError:
        # Co-signed since, where tags are immutable: it is there, with the signatures of then.
        published = destination.tagged(artifact.repository, artifact.mark)
        if published is None:
            raise
        return published
    return artifact.manifest.digest


def _entries(bundle: AuthenticatedBundle) -> tuple[Entry, ...]:
    return tuple(entry for entry in bundle.entries if entry.kind != "bundle")


@dataclass(frozen=True)
class _Chunks:
    """A blob's bytes, verified as they are read; every iteration reads anew."""

    bundle: AuthenticatedBundle
    blob: Descriptor
    progress: Progress

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.bundle.open(self.blob):
            yield chunk
            self.progress.advance(len(chunk))
