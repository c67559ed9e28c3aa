"""`airbundle prune`: what a registry has of bundles that no release of a cluster needs any more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from bundler.archive.bundle import AuthenticatedBundle
from bundler.cluster.access import Access
from bundler.cluster.client import Cluster
from bundler.cluster.push import artifact_repository, bundle_artifact, mark
from bundler.cluster.release.needed import Needed, needed
from bundler.core.digest import Digest
from bundler.core.errors import ClusterError, UsageError
from bundler.core.progress import Progress
from bundler.core.registries import SiteRegistry
from bundler.released import open_released
from bundler.tools.registry import RegistryCatalog

# Whoever writes tags beside ours may begin them so, too.
_MARKED = re.compile(mark(Digest("0" * 64)).removesuffix("0" * 64) + "([0-9a-f]{64})")
_LAYOUT = "oci:"

# A manifest in a repository.
Manifest = tuple[str, Digest]


@dataclass(frozen=True)
class Published:
    """A bundle that a registry has; `manifests` in the order in which they can be taken away."""

    name: str
    version: str
    index: Digest
    manifests: tuple[Manifest, ...] = field(metadata={"json": False})


@dataclass(frozen=True)
class Pruned:
    """What went, or without `yes` would go: bundles, and how many manifests of theirs.

    `kept` are those that a release needs, `in_use` those that only pods name.
    """

    registry: str
    dry_run: bool
    removed: tuple[Published, ...]
    kept: tuple[Published, ...]
    in_use: tuple[Published, ...]
    manifests: int


def prune(
    registry: str,
    access: Access,
    progress: Progress,
    *,
    registry_ca: Path | None = None,
    yes: bool = False,
) -> Pruned:
    """Take from `registry` (``[PROFILE:]HOST[/PREFIX]``) what the cluster does not need.

    Only what artifacts of airbundle below the prefix name, and manifests alone: blobs are the
    registry's garbage collection. Nothing is removed without `yes`. ClusterError when it is not
    certain what is needed; SourceError when the registry refuses; IntegrityError for a damaged
    artifact.
    """
    if registry.startswith(_LAYOUT):
        raise UsageError(f"--registry {registry}: nothing pulls from a folder: remove it by hand")
    with ExitStack() as stack:
        catalog = stack.enter_context(closing(RegistryCatalog(registry, authority=registry_ca)))
        cluster = stack.enter_context(closing(access.open("prune")))
        needed(cluster)
        there = tuple(_published(catalog, registry, registry_ca))
        # Once more: reading a registry takes long, and somebody may have installed meanwhile.
        wanted = needed(cluster)
        _require_all(wanted, there, registry)
        kept = tuple(each for each in there if str(each.index) in wanted.indexes)
        others = tuple(each for each in there if each not in kept)
        in_use = tuple(each for each in others if _named(each, wanted))
        removed = tuple(each for each in others if each not in in_use)
        held = {manifest for each in (*kept, *in_use) for manifest in each.manifests}
        gone = {m: each for each in reversed(removed) for m in each.manifests if m not in held}
        if yes:
            progress.phase(f"removing {len(gone)} manifests", None)
            for each in removed:
                _require_no_more(cluster, wanted)
                for manifest in each.manifests:
                    if gone.get(manifest) == each:
                        catalog.delete(*manifest)
    return Pruned(registry, not yes, removed, kept, in_use, len(gone))


def _require_no_more(cluster: Cluster, wanted: Needed) -> None:
    """ClusterError when by now more is needed than was `wanted`."""
    now = needed(cluster)
    if not (now.indexes <= wanted.indexes and now.in_pods <= wanted.in_pods):
        raise ClusterError(
            "the cluster needs more than when this began: something was installed meanwhile",
            "run the same command again: it looks anew",
        )


def _published(
    catalog: RegistryCatalog, registry: str, registry_ca: Path | None
) -> Iterator[Published]:
    """Every bundle of which the artifact is whole, below the prefix."""
    folder = artifact_repository("x").removesuffix("/x")
    for repository in catalog.below(folder):
        name = repository.removeprefix(f"{folder}/")
        for tag in catalog.tags(repository):
            marked = _MARKED.fullmatch(tag)
            if marked is None:
                continue
            index = Digest(marked[1])
            bundle = open_released(registry, name, index, None, registry_ca=registry_ca)
            yield Published(name, bundle.release.version, index, tuple(_manifests(bundle)))


def _manifests(bundle: AuthenticatedBundle) -> Iterator[Manifest]:
    """An index before its children, which some registries keep as long as it is there.

    The artifact comes last, so that a prune that was cut off finds the rest when it is run again.
    """
    for entry in bundle.entries:
        if entry.kind != "bundle":
            for manifest in reversed(bundle.tree(entry).manifests):
                yield entry.repository, manifest.digest
    artifact = bundle_artifact(bundle)
    yield artifact.repository, artifact.manifest.digest


def _require_all(wanted: Needed, there: tuple[Published, ...], registry: str) -> None:
    """ClusterError unless what is installed from this very registry is in it, as a whole."""
    site = SiteRegistry.parse(registry).registry
    found = {str(each.index) for each in there}
    for record in wanted.records:
        here = SiteRegistry.parse(record.installed.registry).registry == site
        if here and record.index not in found:
            raise ClusterError(
                f"release {record.name} {record.version}: is installed from {registry}, and its "
                "artifact is not there, so that it is not certain what it needs",
                "install or push its bundle once more: what is there is not sent again",
            )


def _named(published: Published, wanted: Needed) -> bool:
    return any(digest in wanted.in_pods for _, digest in published.manifests)
