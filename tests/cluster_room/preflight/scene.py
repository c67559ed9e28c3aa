"""What a preflight is tried on: a real API server, objects on it, and a release for it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bundler.cluster.client import Cluster, open_cluster
from bundler.cluster.preflight import Carried, Needs, examine
from bundler.core.objects.manifests import JsonObject
from bundler.core.preflight.checked import Checked
from tests.cluster.apiserver import ApiServer
from tests.cluster.nodes import add_node, node
from tests.cluster.users import write_user
from tests.core.preflight.things import DIGEST, OTHER, requesting
from tests.releases import deployment, namespace


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Scene:
    """An administrator's cluster; what is `made` is gone after the test.

    `images` are those that the release carries, by digest.
    """

    cluster: Cluster
    server: ApiServer
    folder: Path
    mark: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:10]}")
    made: list[JsonObject] = field(default_factory=list)
    images: Mapping[str, Carried] = field(
        default_factory=lambda: {
            DIGEST: Carried("image", "team/server", frozenset({"linux/amd64"}), 2**30),
            OTHER: Carried("model", "mini", frozenset(), 2**30),
        }
    )

    def make(self, obj: JsonObject) -> JsonObject:
        """`obj` is there until the end of the test."""
        if obj["kind"] == "Node":
            add_node(self.cluster, obj)
            self.made.append(obj)
            return obj
        made = self.cluster.create(obj)
        # The real thing has controllers that delete what is in a namespace; here nobody does.
        if obj["kind"] != "Namespace":
            self.made.append(obj)
        return made

    def node(self, name: str = "one", **said: Any) -> None:
        """A node for the pods of this test alone, which choose it by its label."""
        labels = {"mark": self.mark} | said.pop("labels", {})
        self.make(node(f"{self.mark}-{name}", labels=labels, **said))

    def home(self) -> None:
        """The release's namespace is there, with the account that a controller would make."""
        self.make(namespace(self.mark))
        account = {"name": "default", "namespace": self.mark}
        self.make({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})

    def web(self, replicas: int = 1, spec: JsonObject | None = None, **amounts: Any) -> JsonObject:
        """A Deployment whose pods want `amounts`, on nodes of this test."""
        obj = deployment(self.mark, "web", replicas)
        pod = obj["spec"]["template"]["spec"]
        pod["nodeSelector"] = {"mark": self.mark}
        asked = requesting(**{"cpu": "1"} | amounts)
        named = {name: text for name, text in asked["resources"]["requests"].items() if "/" in name}
        pod["containers"][0] |= asked
        if named:
            pod["containers"][0]["resources"]["limits"] = named
        pod.update(spec or {})
        return obj

    def needs(self, *objects: JsonObject, **more: Any) -> Needs:
        """A release of `objects` and its namespace."""
        found = Needs(
            name=f"app-{self.mark}",
            namespace=f"{self.mark}-system",
            objects=(namespace(self.mark), *objects),
            images=self.images,
            version="1.0.0",
        )
        return replace(found, **more)

    def examine(self, *objects: JsonObject, **more: Any) -> tuple[Checked, ...]:
        """What a preflight of such a release finds."""
        return examine(self.cluster, self.needs(*objects, **more), None, now)

    def found(self, name: str, *objects: JsonObject, **more: Any) -> list[Checked]:
        """Of that, what the check called `name` says."""
        return [each for each in self.examine(*objects, **more) if each.name == name]

    def one(self, name: str, *objects: JsonObject, **more: Any) -> Checked:
        """The same where it is one finding."""
        [found] = self.found(name, *objects, **more)
        return found

    @contextmanager
    def asked(self) -> Iterator[list[tuple[str, str, str]]]:
        """Method, path and query of every request within the block."""
        hooks = self.cluster._session.client.event_hooks
        asked: list[tuple[str, str, str]] = []

        def remember(request: Any) -> None:
            asked.append((request.method, request.url.path, request.url.query.decode()))

        self.cluster._session.client.event_hooks = {"request": [remember]}
        yield asked
        self.cluster._session.client.event_hooks = hooks

    @contextmanager
    def user(
        self, rules: Sequence[JsonObject], everywhere: Sequence[JsonObject] = ()
    ) -> Iterator[Cluster]:
        """The cluster as a service account that has these rights, and no others."""
        path = self.folder / "restricted"
        admin = self.server.kubeconfig
        write_user(path, admin, self.cluster, self.mark, rules, everywhere, self.make)
        with closing(open_cluster(path, None, "airbundle:site/app")) as cluster:
            yield cluster
