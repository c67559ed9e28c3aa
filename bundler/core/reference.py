"""Names of images: parsed as Docker parses them, and spelled out.

Grammar and normalisation follow ``reference/regexp.go`` and ``reference/normalize.go`` of
github.com/distribution/reference; the names that airbundle itself gives are in docs/format.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from bundler.core.digest import Digest
from bundler.core.errors import UsageError

PLACEHOLDER_HOST = "registry.airbundle.invalid"
RESERVED_DOMAIN = "airbundle.invalid"
MODEL_PREFIX = f"{RESERVED_DOMAIN}/models/"

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_HOST}/)?{_PATH})"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?"
)
_REGISTRY = re.compile(rf"(?P<host>{_HOST})(?:/(?P<prefix>{_PATH}))?")
_COMPONENT_ONLY = re.compile(_COMPONENT)
_HEX_ID = re.compile(r"[a-f0-9]{64}")
_PATH_MAX = 255
_TEXT_MAX = 1024
_PORT_MAX = 65535


@dataclass(frozen=True)
class ImageReference:
    """A reference with its host and, on docker.io, ``library/`` spelled out.

    `repository` is the path below the host; a name without tag and digest has neither.
    """

    host: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """The reference that `text` stands for; UsageError when it is none."""
        found = _REFERENCE.fullmatch(text) if len(text) <= _TEXT_MAX else None
        if not found or _HEX_ID.fullmatch(text):
            raise UsageError(
                f"image reference {text[:200]!r}: expected [HOST[:PORT]/]PATH[:TAG][@sha256:DIGEST]"
            )
        host, repository = _split_host(found["name"])
        if not re.fullmatch(_PATH, repository) or len(repository) > _PATH_MAX:
            raise UsageError(
                f"image reference {text[:200]!r}: expected a lower-case path of at most "
                f"{_PATH_MAX} characters, found {repository[:100]!r}"
            )
        return cls(host, repository, found["tag"], _digest(text, found["digest"]))

    def with_default_tag(self) -> ImageReference:
        """The same with the tag ``latest`` when it has neither tag nor digest.

        For whoever resolves references: ``app`` and ``app:latest`` name the same image.
        """
        return self if self.tag or self.digest else replace(self, tag="latest")

    def spellings(self) -> frozenset[str]:
        """All the ways to write this image that name it and could be nothing else.

        ``docker.io/library/`` shortened or not, ``latest`` said or not; without the plain words
        (``redis``, ``team/app``) that may mean anything outside of a field for images.
        """
        ends = {f":{self.tag}" if self.tag else ""}
        if not self.digest and self.tag in (None, "latest"):
            ends = {"", ":latest"}
        hosts, paths = {f"{self.host}/"}, {self.repository}
        if self.host == "docker.io":
            hosts = {"", "docker.io/", "index.docker.io/"}
            paths |= set(re.findall(r"^library/([^/]+)$", self.repository))
        digest = f"@{self.digest}" if self.digest else ""
        return frozenset(
            host + path + end + digest
            for host in hosts
            for path in paths
            for end in ends
            if host or end or digest
        )

    @property
    def model(self) -> str | None:
        """The name of the model, for ``airbundle.invalid/models/<name>``; else None."""
        prefix = MODEL_PREFIX.partition("/")[2]
        if self.host == RESERVED_DOMAIN and self.repository.startswith(prefix):
            return self.repository.removeprefix(prefix)
        return None

    def placeholder_repository(self) -> str:
        """The path under which the image travels: ``<host, ':' as '_'>/<repository>``.

        A model's is ``models/<name>``. No host has an underscore, and a host has a dot, a colon
        or is ``localhost``, so that two names never share a path. UsageError for a host that
        can't be a path (upper case, an IPv6 address).
        """
        if self.model:
            return f"models/{self.model}"
        component = self.host.replace(":", "_")
        if not _COMPONENT_ONLY.fullmatch(component):
            raise UsageError(
                f"image {str(self)!r}: host {self.host!r} can't be part of a path in a registry",
                hint="write the host in lower case, by name rather than by IPv6 address",
            )
        return f"{component}/{self.repository}"

    def placeholder(self, digest: Digest) -> str:
        """The name in rendered manifests: placeholder host, path, ``@`` and `digest`."""
        return f"{PLACEHOLDER_HOST}/{self.placeholder_repository()}@{digest}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.host}/{self.repository}{tag}{digest}"


@dataclass(frozen=True)
class Registry:
    """Where images go: a host, perhaps with port, and a path below it that may be empty."""

    host: str
    prefix: str = ""

    @classmethod
    def parse(cls, text: str) -> Registry:
        """The registry written ``HOST[:PORT][/PREFIX]``; UsageError otherwise.

        The host needs a dot or a port, or is ``localhost``: container runtimes take any other
        first component for a path on docker.io.
        """
        found = _REGISTRY.fullmatch(text) if len(text) <= _TEXT_MAX else None
        if not found or not _is_site(found["host"]):
            hint = "leave out the scheme" if "://" in text else "give the host a dot or a port"
            raise UsageError(
                f"registry {text[:200]!r}: expected HOST[:PORT][/PREFIX], the prefix in lower case",
                hint=f"{hint}, as in registry.example:5000/team",
            )
        return cls(found["host"], found["prefix"] or "")

    def __str__(self) -> str:
        return f"{self.host}/{self.prefix}" if self.prefix else self.host


def _split_host(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    host, path = (first, rest) if slash and _is_host(first) else ("docker.io", name)
    if host == "index.docker.io":
        host = "docker.io"
    if host == "docker.io" and "/" not in path:
        path = f"library/{path}"
    return host, path


def _is_host(component: str) -> bool:
    return (
        any(char in component for char in ".:")
        or component == "localhost"
        or component.lower() != component
    )


def _is_site(host: str) -> bool:
    port = re.search(r":([0-9]+)$", host)
    port_fits = not port or 0 < int(port[1]) <= _PORT_MAX
    return _is_host(host) and port_fits and RESERVED_DOMAIN not in host.lower()


def _digest(text: str, digest: str | None) -> Digest | None:
    if digest is None:
        return None
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise UsageError(
            f"image reference {text[:200]!r}: expected a digest sha256:<64 hex digits>, "
            f"found {digest[:100]!r}"
        )
    return Digest.parse(digest)
