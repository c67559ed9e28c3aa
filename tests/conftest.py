"""Real parts for every test: each fixture starts one for the whole run and ends it afterwards.

What may be missing is asked for by `@pytest.mark.needs(...)` (tests/parts/needs.py); the fixtures
ask for what they need themselves.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer

from bundler.inputs import scanning
from bundler.installer import MACHINES, make_installer
from bundler.scan.checkov import scan_objects
from tests.cluster.apiserver import Ports, running_apiserver
from tests.cluster.namespace import FarSide, running_far_side
from tests.cluster.node import PROGRAMS, Node, running_node
from tests.fakes.checkov import scan_objects as fake_checkov
from tests.parts import corewheels
from tests.parts import minilm as model
from tests.parts.components import find_program
from tests.parts.engine import running_engine
from tests.parts.hub import Hub, running_hub
from tests.parts.needs import CLUSTER_VARIABLE, require
from tests.parts.pythons import find_second_python
from tests.parts.registry import Registry, running_registry
from tests.parts.service import free_ports
from tests.parts.workers import ByFile
from tests.project import Project, make_project


def pytest_configure(config: pytest.Config) -> None:
    """The marker `needs`, and the last line that counts."""
    for plugin in ("tests.parts.needs", "tests.parts.summary"):
        config.pluginmanager.import_plugin(plugin)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """Files are shared out among workers."""
    return ByFile(config, log)


@pytest.fixture(scope="session", autouse=True)
def _nobodys_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No store and no logins of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AIRBUNDLE_STORE", str(tmp_path_factory.mktemp("store")))
        patched.setenv("DOCKER_CONFIG", str(tmp_path_factory.mktemp("docker")))
        patched.setenv("HF_HOME", str(tmp_path_factory.mktemp("huggingface")))
        for name in ("HF_TOKEN", "HF_ENDPOINT", "DOCKER_HOST"):
            patched.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def _instant_checkov() -> Iterator[None]:
    """The real one takes seconds a run; who asks for `real_checkov` has it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(scanning, "run_checkov", fake_checkov)
        yield


@pytest.fixture
def real_checkov(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Builds of this test have their objects looked at by checkov itself.

    They have a store of their own: the other remembers what the fake one said.
    """
    monkeypatch.setenv("AIRBUNDLE_STORE", str(tmp_path_factory.mktemp("real")))
    monkeypatch.setattr(scanning, "run_checkov", scan_objects)


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
def docker_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Docker engine of its own, as DOCKER_HOST names it."""
    require("root", "dockerd")
    with running_engine(tmp_path_factory.mktemp("engine")) as host:
        yield host


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An administrator's kubeconfig of a real API server with one node that is only said to be.

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
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A whole cluster of one real node, in a network without a way out, with a site's registry."""
    require("root", *PROGRAMS)
    with running_node(tmp_path_factory.mktemp("node")) as running:
        yield running


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2: read it, don't write into it."""
    require("minilm")
    return model.fetch()


@pytest.fixture(scope="session")
def core_wheels() -> Path:
    """A folder with the wheels of requirements/core.txt: one below it for each machine."""
    require("core-wheels")
    return corewheels.fetch()


@pytest.fixture(scope="session")
def installer_file(tmp_path_factory: pytest.TempPathFactory, core_wheels: Path) -> Path:
    """airbundle itself as one file, for this machine."""
    [platform] = [name for name, machine in MACHINES.items() if machine == os.uname().machine]
    file = tmp_path_factory.mktemp("installer") / "airbundle.pyz"
    return make_installer(file, platform, None, core_wheels / os.uname().machine).path


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An empty hub of our own, which HF_ENDPOINT names; reached without a proxy."""
    for name in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    # Here, since not every run of tests needs it.
    from huggingface_hub import close_session

    close_session()
    with running_hub() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        yield running
    close_session()


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
