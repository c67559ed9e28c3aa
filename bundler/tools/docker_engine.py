"""The Docker engine: the one place with the `docker` SDK.

It is asked where DOCKER_HOST says (with DOCKER_TLS_VERIFY and DOCKER_CERT_PATH), or at its usual
socket. The library is imported when the first engine is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from bundler.core.digest import Digest
from bundler.core.errors import SourceError

if TYPE_CHECKING:
    import docker

_CHUNK = 1024**2
# An engine packs an image while it sends it, and may think about a large layer for a while.
_TIMEOUT = 300
_USUAL = "unix:///var/run/docker.sock"


class DockerEngine:
    """A connection to the engine; SourceError when there is none."""

    def __init__(self) -> None:
        import docker

        with _translating("Docker engine"):
            self._client: docker.DockerClient = docker.from_env(timeout=_TIMEOUT)

    def image(self, reference: str) -> tuple[Digest, int]:
        """The id of the image that has this name or id, and about how many bytes it takes.

        SourceError when the engine has none, and when it is no image by sha256.
        """
        with _translating(f"image {reference}"):
            found = self._client.api.inspect_image(reference)
        return Digest.parse(found["Id"]), int(found["Size"])

    def save(self, image: Digest) -> Iterator[bytes]:
        """What `docker save` writes of the image with this id."""
        with _translating(f"image {image}"):
            yield from self._client.api.get_image(str(image), chunk_size=_CHUNK)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> DockerEngine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def _translating(what: str) -> Iterator[None]:
    """Every error of the library, and of `requests` below it (they are OSErrors), as ours."""
    from docker.errors import APIError, DockerException, ImageNotFound

    try:
        yield
    except ImageNotFound as error:
        raise SourceError(
            f"{what}: the Docker engine has none",
            "pull or build it first; `docker image ls` lists what is there",
        ) from error
    except APIError as error:
        raise SourceError(f"{what}: the Docker engine refused: {_first_line(error)}") from error
    except (DockerException, OSError) as error:
        raise SourceError(
            f"Docker engine at {_address()}: {_unreachable(error)}",
            "is it running, and may you use it? DOCKER_HOST names another one",
        ) from error


def _address() -> str:
    return os.environ.get("DOCKER_HOST") or _USUAL


def _unreachable(error: Exception) -> str:
    """What the system said, which the libraries wrap several times in words of their own."""
    cause: BaseException | None = error
    while cause is not None and not (isinstance(cause, OSError) and cause.strerror):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, FileNotFoundError):
        return "expected a socket, found none"
    if isinstance(cause, ConnectionRefusedError):
        return "expected an engine that listens, found none (connection refused)"
    if isinstance(cause, OSError):
        return f"can't be reached: {str(cause.strerror).lower()}"
    return f"can't be reached: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
