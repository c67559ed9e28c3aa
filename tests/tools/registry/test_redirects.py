"""A real registry that keeps its blobs elsewhere, as those in front of an object store do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundler.core.errors import SourceError
from bundler.tools.registry import RegistryDestination
from tests.fakes.registry.serving import Asked, Reply, serving
from tests.parts.registry import Registry, running_registry
from tests.parts.service import free_ports
from tests.pushed import put
from tests.tools.registry.conftest import Source

pytestmark = pytest.mark.needs("docker-registry")

DATA = b"layer" * 1000


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[tuple[str, list[Asked]]]:
    """A plain file server for what a registry has in `tmp_path`, and what it was asked."""
    asked: list[Asked] = []

    def answer(each: Asked) -> Reply:
        asked.append(each)
        data = Path(f"{tmp_path}/registry/storage{each.path}").read_bytes()
        return Reply(200, [("Content-Length", str(len(data)))], data)

    with serving(answer) as host:
        yield f"http://{host}", asked


@contextlib.contextmanager
def redirecting(folder: Path, where: str, tls: Path | None = None) -> Iterator[Registry]:
    """By distribution's own storage middleware."""
    redirect = [{"name": "redirect", "options": {"baseurl": where}}]
    settings = {"middleware": {"storage": redirect}}
    with running_registry(
        folder / "registry", free_ports(1)[0], settings=settings, tls=tls
    ) as running:
        yield running


def test_blobs_come_from_where_they_are_kept(
    kept: tuple[str, list[Asked]], tmp_path: Path, source: Source
) -> None:
    where, asked = kept
    with redirecting(tmp_path, where) as registry:
        repository, blob = put(registry.host, DATA)
        asked.clear()
        assert b"".join(source(registry.host).blob(repository, blob, 10)) == DATA[10:]
    assert [(each.method, each.login) for each in asked] == [("GET", None)]
    assert asked[0].headers["Range"] == "bytes=10-"


def test_from_https_nobody_is_sent_to_http(
    kept: tuple[str, list[Asked]],
    tmp_path: Path,
    source: Source,
    certificates: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    where, asked = kept
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.crt"))
    with redirecting(tmp_path, where, certificates) as registry:
        repository, blob = put(registry.host, DATA)
        with pytest.raises(SourceError, match=f"sends us on to {where}/.*expected https"):
            next(source(registry.host).blob(repository, blob, 0))
        with (
            contextlib.closing(RegistryDestination(registry.host)) as destination,
            pytest.raises(SourceError, match="expected https"),
        ):
            destination.has_blob(repository, blob)
    assert asked == []
