"""Real parts for every test: each fixture starts one for the whole run and ends it afterwards.

What may be missing is asked for by `@pytest.mark.needs(...)` (tests/parts/needs.py); the fixtures
ask for what they need themselves.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.apiserver import Ports, running_apiserver
from tests.cluster.namespace import FarSide, running_far_side
from tests.large import LargeBundle, make_large
from tests.parts import minilm as model
from tests.parts.components import find_program
from tests.parts.needs import CLUSTER_VARIABLE, require
from tests.parts.pythons import find_second_python
from tests.parts.registry import Registry, running_registry
from tests.parts.service import free_ports
from tests.project import Project, make_project


def pytest_configure(config: pytest.Config) -> None:
    """The marker `needs`, and the last line that counts."""
    for plugin in ("tests.parts.needs", "tests.parts.summary"):
        config.pluginmanager.import_plugin(plugin)


@pytest.fixture(scope="session")
def tool() -> Callable[[str], Path]:
    """`tool("crane")`: the program's path; a missing one skips the test by name."""

    def find(name: str) -> Path:
        require(name)
        found = find_program(name)
        assert found is not None
        return found

    return find


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A docker-registry on loopback; `.host` is "127.0.0.1:PORT"."""
    require("docker-registry")
    with running_registry(tmp_path_factory.mktemp("registry"), free_ports(1)[0]) as running:
        yield running


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An administrator's kubeconfig of a real API server.

    AIRBUNDLE_TEST_KUBECONFIG names another cluster's, which must be one to play with.
    """
    require("apiserver")
    given = os.environ.get(CLUSTER_VARIABLE)
    if given:
        yield Path(given).resolve()
        return
    with running_apiserver(tmp_path_factory.mktemp("cluster"), Ports(*free_ports(3))) as path:
        yield path


@pytest.fixture(scope="session")
def netns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarSide]:
    """A network namespace without a way out, with a registry and an API server in it."""
    require("root", "ip", "nsenter", "docker-registry", "etcd", "kube-apiserver")
    with running_far_side(tmp_path_factory.mktemp("netns")) as running:
        yield running


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2: read it, don't write into it."""
    require("minilm")
    return model.fetch()


@pytest.fixture(scope="session")
def second_python() -> Path:
    """Another CPython, of another minor version than the one that runs the tests."""
    require("second-python")
    found = find_second_python()
    assert found is not None
    return found


@pytest.fixture(scope="session")
def kustomize(tool: Callable[[str], Path]) -> Iterator[Path]:
    """Kustomize, first on PATH, where `lock` and `build` look for it."""
    program = tool("kustomize")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(program.parent), prepend=os.pathsep)
        yield program


@pytest.fixture
def project(tmp_path: Path, kustomize: Path) -> Project:
    """A small project that builds, in a folder of its own below `tmp_path`."""
    return make_project(tmp_path / "project")


@pytest.fixture(scope="session")
def nine_gib(tmp_path_factory: pytest.TempPathFactory, kustomize: Path) -> Iterator[LargeBundle]:
    """A signed bundle whose one model file has 9 GiB; `.path`, and `.public` to verify it with."""
    bundle = make_large(tmp_path_factory.mktemp("large"))
    yield bundle
    bundle.path.unlink()
