"""A namespace of its own on the API server of this room, and nodes that a test says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bundler.cluster.client import open_cluster
from bundler.core.objects.manifests import ObjectId
from tests.cluster.apiserver import ApiServer
from tests.cluster_room.preflight.scene import Scene


@pytest.fixture
def scene(own_apiserver: ApiServer, tmp_path: Path) -> Iterator[Scene]:
    with closing(open_cluster(own_apiserver.kubeconfig, None, "airbundle:site/app")) as cluster:
        found = Scene(cluster, own_apiserver, tmp_path)
        yield found
        for obj in reversed(found.made):
            if live := cluster.get(ObjectId.of(obj)):
                cluster.delete(ObjectId.of(obj), live["metadata"]["uid"])
