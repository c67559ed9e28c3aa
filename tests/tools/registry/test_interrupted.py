"""A real registry that goes away in the middle and comes back, and one whose disk is full."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from bundler.core.digest import Descriptor
from bundler.core.errors import SourceError
from bundler.tools.registry import RegistryDestination
from tests.parts.registry import running_registry
from tests.parts.service import free_ports

pytestmark = pytest.mark.needs("docker-registry")

DATA = b"weights!" * 1_000_000
BLOB = Descriptor.of("application/vnd.oci.image.layer.v1.tar", DATA)


class Restarting:
    """A registry that ends when it is told, and comes back while the client waits."""

    def __init__(self, folder: Path, returns: bool) -> None:
        self._folder, self._port, self._returns = folder, free_ports(1)[0], returns
        self._running = ExitStack()
        self.pauses: list[float] = []

    def start(self) -> str:
        running = running_registry(self._folder, self._port)
        return self._running.enter_context(running).host

    def end(self) -> None:
        self._running.close()

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if self._returns and len(self.pauses) == 2:
            self.start()

    def chunks(self) -> Iterator[bytes]:
        yield DATA[: 1 << 20]
        if not self.pauses:
            self.end()
        yield from (DATA[at : at + (1 << 20)] for at in range(1 << 20, len(DATA), 1 << 20))


class Again:
    """Chunks that can be read anew."""

    def __init__(self, registry: Restarting) -> None:
        self._registry = registry

    def __iter__(self) -> Iterator[bytes]:
        return self._registry.chunks()


def test_a_registry_that_is_restarted_in_the_middle_is_waited_for(tmp_path: Path) -> None:
    registry = Restarting(tmp_path, returns=True)
    host = registry.start()
    try:
        with closing(RegistryDestination(host, registry.sleep)) as destination:
            assert not destination.has_blob("models/m", BLOB)
            destination.put_blob("models/m", BLOB, Again(registry))
            assert destination.has_blob("models/m", BLOB)
        assert len(registry.pauses) == 2
    finally:
        registry.end()


def test_a_registry_that_stays_away_is_said_to_be_gone(tmp_path: Path) -> None:
    registry = Restarting(tmp_path, returns=False)
    host = registry.start()
    with closing(RegistryDestination(host, registry.sleep)) as destination:
        assert not destination.has_blob("models/m", BLOB)
        with pytest.raises(SourceError, match="the connection broke, attempt 5 of 5") as caught:
            destination.put_blob("models/m", BLOB, Again(registry))
    assert "is it running" in str(caught.value.hint)


def test_one_that_was_never_there_is_not_waited_for(tmp_path: Path) -> None:
    registry = Restarting(tmp_path, returns=False)
    address = f"127.0.0.1:{free_ports(1)[0]}"
    with (
        closing(RegistryDestination(address, registry.sleep)) as nobody,
        pytest.raises(SourceError, match="Connection refused"),
    ):
        nobody.has_blob("models/m", BLOB)
    assert registry.pauses == []


@pytest.mark.needs("root")
def test_a_registry_without_room_says_so(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "size=4m", "tmpfs"]
    subprocess.run(["mount", *options, str(disk)], check=True)
    try:
        with (
            running_registry(disk, free_ports(1)[0]) as registry,
            closing(RegistryDestination(registry.host, lambda seconds: None)) as destination,
        ):
            with pytest.raises(SourceError, match="has no room for it") as caught:
                destination.put_blob("models/m", BLOB, (DATA,))
            assert "what is there is not sent again" in str(caught.value.hint)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
