"""`airbundle status`: releases on a cluster, how their objects stand, and what drifted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bundler.cluster.access import Access
from bundler.cluster.client import Cluster
from bundler.cluster.release.record import Record, find_record, read_records
from bundler.cluster.sitefiles import SiteFiles
from bundler.cluster.watch.standing import Standing, standings, under_way
from bundler.core.digest import Digest
from bundler.core.errors import BundlerError
from bundler.core.objects.manifests import JsonObject
from bundler.released import open_released, render_again

# Whoever only looks at the list of releases is no release's field manager.
_NOBODY = "status"


@dataclass(frozen=True)
class ReleaseStatus:
    """One release: what is installed, what goes on, and its objects in the order of applying.

    `settled` is False while a first install is not done. `under_way` says what goes on or was cut
    off; `undrifted` why it can't be told what drifted. `well` when nothing of this needs anybody.
    """

    name: str
    version: str
    target: str
    registry: str
    index: str
    signers: tuple[str, ...]
    settled: bool
    under_way: str | None
    undrifted: str | None
    objects: tuple[Standing, ...]
    well: bool


@dataclass(frozen=True)
class Status:
    """The releases whose records lie in `namespace`."""

    namespace: str
    releases: tuple[ReleaseStatus, ...]

    @property
    def well(self) -> bool:
        """Whether all is as it should be."""
        return all(each.well for each in self.releases)


def status(name: str | None, access: Access, registry_ca: Path | None = None) -> Status:
    """How the release `name` stands, or all of them; nothing is changed anywhere.

    What was applied is made again out of the bundle in the registry, pinned by the digest in the
    record; `registry_ca` are certificates to trust there as well. UsageError when there is no such
    release; ClusterError of the API server.
    """
    namespace, files = access.release_namespace, SiteFiles(registry_ca)
    with closing(access.open(_NOBODY)) as cluster:
        if name is None:
            records = read_records(cluster, namespace)
        else:
            records = (find_record(cluster, name, namespace),)
    return Status(namespace, tuple(_statuses(records, access, files)))


def _statuses(
    records: tuple[Record, ...], access: Access, files: SiteFiles
) -> Iterator[ReleaseStatus]:
    for record in records:
        # A field is asked for by whom it belongs to.
        with closing(access.open(record.name)) as cluster:
            applied, undrifted = _applied(cluster, record, files)
            going = under_way(cluster, record, access.release_namespace)
            objects = standings(cluster, record.inventory, applied)
        well = going is None and undrifted is None and all(each.well for each in objects)
        past = record.installed
        yield ReleaseStatus(
            record.name,
            past.version,
            past.target,
            past.registry,
            past.index,
            past.signers,
            record.settled,
            going,
            undrifted,
            objects,
            well,
        )


def _applied(
    cluster: Cluster, record: Record, files: SiteFiles
) -> tuple[tuple[JsonObject, ...], str | None]:
    """The objects of `record` as they were applied, or none and why that can't be told."""
    past = record.installed
    if record.journal is not None:
        return (), "what is applied is between two releases"
    try:
        index = Digest.parse(past.index)
        bundle = open_released(past.registry, record.name, index, None, registry_ca=files.ca)
        rendered = render_again(bundle, past, cluster, files)
    except BundlerError as error:
        hint = (error.hint or "").replace("\n", "; ")
        return (), f"{error.message} ({hint})" if hint else error.message
    return rendered.objects, None
