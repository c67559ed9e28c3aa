"""Where tests install to: a real cluster and a real registry, under names that nobody else uses."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bundler.cluster.access import Access
from bundler.cluster.client import Cluster, open_cluster
from bundler.cluster.release.record import Record, record_id
from bundler.cluster.transaction.transact import Manner
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.progress import SILENT
from bundler.install import Installed, Site, install
from tests.parts.registry import Registry
from tests.releases import TARGET, Release, config_map, namespace

# Nothing gets ready on an API server without controllers.
AT_ONCE = Manner(timeout=0)


@dataclass
class Field:
    """A cluster, a registry, and names that nobody else uses."""

    folder: Path
    kubeconfig: Path
    registry: Registry
    cluster: Cluster
    mark: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:10]}")

    @property
    def home(self) -> str:
        return f"{self.mark}-system"

    @property
    def access(self) -> Access:
        return Access(self.kubeconfig, None, self.home)

    def site(self, **settings: str) -> Site:
        address = f"{self.registry.host}/{self.mark}"
        return Site(TARGET, address, settings, self.access)

    def release(self, *objects: JsonObject, version: str = "1.0.0", name: str = "app") -> Release:
        return Release(f"{name}-{self.mark}", [namespace(self.mark), *objects], version)

    def install(
        self,
        release: Release,
        *,
        dry_run: bool = False,
        manner: Manner = AT_ONCE,
        take_ownership: bool = False,
        **settings: str,
    ) -> Installed:
        with release.opened(self.folder) as bundle:
            site = replace(self.site(**settings), take_ownership=take_ownership)
            return install(bundle, site, SILENT, dry_run=dry_run, manner=manner)

    def settings(self, name: str, **data: str) -> JsonObject:
        return config_map(self.mark, name, **data)

    def id(self, name: str, kind: str = "ConfigMap", api_version: str = "v1") -> ObjectId:
        return ObjectId(api_version, kind, self.mark, name)

    def get(self, object_id: ObjectId) -> JsonObject | None:
        return self.cluster.get(object_id)

    def gone(self, object_id: ObjectId) -> bool:
        """Whether it is not there, or on its way out: no controller takes namespaces away here."""
        live = self.get(object_id)
        return live is None or "deletionTimestamp" in live["metadata"]

    def versions(self, *objects: ObjectId) -> list[str]:
        found = [self.get(each) for each in objects]
        return [obj["metadata"]["resourceVersion"] if obj else "absent" for obj in found]

    def record(self, name: str = "app") -> Record:
        secret = self.get(record_id(f"{name}-{self.mark}", self.home))
        assert secret is not None
        return Record.parse(secret)

    def write(self, manager: str, obj: JsonObject) -> None:
        """Applies `obj` as somebody else."""
        object_id = ObjectId.of(obj)
        answer = self.cluster._session.send(
            "PATCH",
            self.cluster._path(object_id),
            params={"fieldManager": manager, "force": "true"},
            headers={"Content-Type": "application/apply-patch+yaml"},
            content=json.dumps(obj).encode(),
        )
        assert answer.status < 300, answer.body


@contextmanager
def field_of_work(folder: Path, kubeconfig: Path, registry: Registry) -> Iterator[Field]:
    """A field whose namespaces are deleted at the end."""
    with closing(open_cluster(kubeconfig, None, "airbundle-tests")) as cluster:
        on = Field(folder, kubeconfig, registry, cluster)
        yield on
        for name in (on.mark, on.home):
            space = ObjectId("v1", "Namespace", None, name)
            if live := cluster.get(space):
                cluster.delete(space, live["metadata"]["uid"])
