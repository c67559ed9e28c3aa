"""A bundle out of the registry that it was pushed to: what `rollback` and `status` read.

The artifact `bundles/<name>` holds everything but the layers of images and models, which lie
beside it; docs/format.md and `bundler.cluster.push` say how.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.archive import format as fmt
from bundler.archive.bundle import AuthenticatedBundle
from bundler.cluster.client import Cluster
from bundler.cluster.push import (
    ARTIFACT_TYPE,
    ENVELOPE_TITLE,
    already_pushed,
    artifact_repository,
    mark,
)
from bundler.cluster.release.record import Past, Record
from bundler.cluster.sitefiles import SiteFiles, with_site_objects
from bundler.cluster.transaction.transact import WayBack
from bundler.core import strictjson
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import BundlerError, ClusterError, IntegrityError
from bundler.core.objects.parameters import Value
from bundler.push import open_destination
from bundler.render import Rendered, render, spec_of
from bundler.sign.open import open_published
from bundler.sign.trust import Trust
from bundler.tools.registry import RegistrySource

# It is imported where it is used: what only an overlay needs is no part of a plain rollback.
if TYPE_CHECKING:
    from bundler.inputs.siteoverlay import SiteOverlay

# The walk's bound on manifests, configs and bundle layers together, and the index (docs/format.md).
_MOST = 64 * 1024**2 + fmt.MAX_INDEX + fmt.SLOT_SIZE


def open_released(
    registry: str,
    name: str,
    index: Digest,
    trust: Trust | None,
    *,
    registry_ca: Path | None = None,
) -> AuthenticatedBundle:
    """The bundle `name` whose identity is `index`, read back from `registry`.

    That is ``[PROFILE:]HOST[/PREFIX]``, and `registry_ca` certificates to trust there as well.
    With None for `trust` its digest alone says that it is the one. SourceError when it is not
    there any more; IntegrityError when it is another one, or damaged; TrustError as `open_bundle`.
    """
    repository = artifact_repository(name)
    with closing(RegistrySource(registry, placed=True, authority=registry_ca)) as source:
        _, data = source.manifest(repository, mark(index))
        where = f"{registry}/{repository}@{index}"
        titled = {title: _read(source, repository, blob) for title, blob in _layers(data, where)}
    found = titled.pop(fmt.INDEX_NAME, b"")
    if Digest.of(found) != index:
        raise IntegrityError(f"{where}: expected an index.json of that digest, found another one")
    envelope = titled.pop(ENVELOPE_TITLE, None)
    blobs = {Digest.of(each): each for each in titled.values()}
    bundle = open_published(found, blobs, envelope, where, trust)
    if bundle.release.name != name:
        raise IntegrityError(f"{where}: is the bundle {bundle.release.name}")
    return bundle


def way_back(cluster: Cluster, before: Record | None, registry_ca: Path | None) -> WayBack | None:
    """What is installed, made again out of its registry, where all its images still are.

    None where nothing is installed. It is known by its digest, which the record has: whoever may
    write that may write the objects, too. ClusterError when it can't be made again.
    """
    if before is None or not before.settled:
        return None
    past = before.installed
    try:
        index = Digest.parse(past.index)
        bundle = open_released(past.registry, before.name, index, None, registry_ca=registry_ca)
        files = SiteFiles(registry_ca)
        objects = render_again(bundle, past, cluster, files).objects
        with closing(open_destination(past.registry, registry_ca)) as destination:
            return WayBack(objects, already_pushed(bundle, destination))
    except BundlerError as error:
        raise ClusterError(
            f"release {before.name}: there is no way back to {past.version}, which is installed: "
            f"{error.message}",
            f"install or push {past.version} again first, or say --keep-failed: what fails is left "
            "as it is then",
        ) from error


def render_again(
    bundle: AuthenticatedBundle, past: Past, cluster: Cluster, files: SiteFiles
) -> Rendered:
    """What `past` was made of `bundle`: with its target, parameters and registry, the site's own
    overlay, which the record has, and the objects of the site's `files`.
    """
    rendered = render(
        bundle, past.target, spelled(past.parameters), past.registry, _overlay(past.overlay)
    )
    needs = spec_of(bundle).site
    made = with_site_objects(cluster, rendered.objects, needs, files, past.registry)
    return replace(rendered, objects=made)


def _overlay(recorded: str | None) -> SiteOverlay | None:
    if recorded is None:
        return None
    from bundler.inputs.siteoverlay import SiteOverlay

    return SiteOverlay.load(recorded.encode())


def spelled(values: Mapping[str, Value]) -> dict[str, str]:
    """Values of parameters as they are set on a command line."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in values.items()
    }


def _layers(data: bytes, where: str) -> list[tuple[str, Descriptor]]:
    """The titles and descriptors of the artifact's layers, of which none is too large."""
    manifest = strictjson.parse(data, where)
    try:
        if manifest["artifactType"] != ARTIFACT_TYPE:
            raise ValueError(f"is {str(manifest['artifactType'])[:100]!r}")
        layers = [
            (
                str(each["annotations"][fmt.TITLE]),
                Descriptor(each["mediaType"], Digest.parse(each["digest"]), _size(each)),
            )
            for each in manifest["layers"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(
            f"{where}: expected a bundle's artifact, found another: {error}"
        ) from (error)
    if sum(blob.size for _, blob in layers) > _MOST:
        raise IntegrityError(f"{where}: its layers hold more than {_MOST} bytes")
    return layers


def _size(layer: Mapping[str, object]) -> int:
    size = layer["size"]
    if type(size) is not int or size < 0:
        raise ValueError(f"a layer has the size {str(size)[:100]!r}")
    return size


def _read(source: RegistrySource, repository: str, blob: Descriptor) -> bytes:
    data = b"".join(source.blob(repository, blob, 0))
    if Digest.of(data) != blob.digest:
        raise IntegrityError(f"{repository}: {blob.digest}: the registry sent other bytes")
    return data
