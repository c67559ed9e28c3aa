"""An API server that a test may restart, and whose users it may make."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.apiserver import ApiServer, Ports, apiserver
from tests.parts.needs import require
from tests.parts.service import free_ports


@pytest.fixture(scope="session")
def own_apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server of this room alone."""
    require("etcd", "kube-apiserver")
    with apiserver(tmp_path_factory.mktemp("own"), Ports(*free_ports(3))) as running:
        yield running
