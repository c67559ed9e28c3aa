"""A real API server says the same of custom resources as bundler.core.objects.crdschema."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bundler.cluster.client import Cluster, open_cluster
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import ObjectId
from tests.core.objects.crdschema_table import CASES, kind, thing


@pytest.fixture(name="cluster")
def connected(kubeconfig: Path) -> Iterator[Cluster]:
    with closing(open_cluster(kubeconfig, None, "airbundle-tests")) as cluster:
        yield cluster


def test_the_table_is_what_the_server_does(cluster: Cluster) -> None:
    group = f"t{uuid.uuid4().hex[:10]}.example.org"
    definition = cluster.create(kind(group))
    try:
        for _ in range(1000):
            if cluster.resource(ObjectId(f"{group}/v1", "Case", None, "one")):
                break
            cluster.forget()
        found = [_taken(cluster, group, number) for number in range(len(CASES))]
    finally:
        cluster.delete(ObjectId.of(definition), definition["metadata"]["uid"])
    wrong = [
        (number, CASES[number], said)
        for number, said in enumerate(found)
        if (said is None) != (CASES[number][2] is None)
    ]
    assert wrong == []


def _taken(cluster: Cluster, group: str, number: int) -> str | None:
    try:
        cluster.apply(thing(group, number), dry_run=True)
    except ClusterError as error:
        return error.message
    return None
