"""One registry: its address, a session with it, and what its refusals mean."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from bundler.core.destination import check_repository
from bundler.core.digest import Descriptor
from bundler.core.errors import SourceError
from bundler.core.registries import SiteRegistry
from bundler.tools.http import Answer, Session, Sleep, connect, is_loopback
from bundler.tools.registry.credentials import find_credentials
from bundler.tools.registry.login import Login, Logins, has_ended

MAX_MANIFEST = 4 * 1024**2
# Seconds for a manifest, or whatever else but a blob, from its first byte to its last.
_PATIENCE = 60.0
CONTENT_DIGEST = "docker-content-digest"
# Without these a registry may translate a manifest into an older type, or hide it.
ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
# RFC 9110, 15.5.14 and RFC 4918, 11.5.
_NO_ROOM = frozenset({413, 507})
_REFUSED = frozenset({400, 403, 409, 412, 500})
# docker-registry passes on what the system says of its disk, Harbor speaks of an upper limit
# and Quay of a quota; ECR's is the number of images that an account may have.
_FULL = re.compile(rb"no space left|quota|configured upper limit|LimitExceeded", re.IGNORECASE)
# docs.docker.com/engine/security/certificates
DOCKER_CERTIFICATES = Path("/etc/docker/certs.d")
# Docker Hub answers at another host than its name (``reference`` and ``registry`` of moby).
_ANSWERS_AT = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}


class Site:
    """The `registry`, by http on loopback and by https elsewhere.

    Every repository lies below its prefix. `actions` are what a token is asked for: ``pull`` or
    ``pull,push``. `authority` is a file with certificates to trust as well.
    """

    def __init__(
        self, registry: SiteRegistry, actions: str, sleep: Sleep, authority: Path | None = None
    ) -> None:
        self.placed = registry
        self.registry = registry.registry
        host = self.registry.host
        loopback = is_loopback(urlsplit(f"//{host}").hostname or host)
        self.base = f"{'http' if loopback else 'https'}://{_ANSWERS_AT.get(host, host)}"
        self.session = Session(
            connect(
                self.base, use_environment=not loopback, authorities=_authorities(host, authority)
            ),
            f"registry {host}",
            SourceError,
            "is it running, reachable from here (by HTTPS_PROXY and NO_PROXY, if set), and its "
            "certificate known? (--registry-ca or SSL_CERT_FILE may name the site's own CA)",
            sleep,
            follows=True,
            restarts=True,
            patience=_PATIENCE,
        )
        self._actions = actions
        self._logins = Logins(self.session.what, host, find_credentials)

    def blob_of(self, repository: str, blob: Descriptor) -> str:
        """The blob's name in messages."""
        return f"blob {blob.digest} of {self.name(repository)}"

    def manifest_of(self, repository: str, reference: str) -> str:
        """The manifest's name in messages."""
        return f"manifest {reference} of {self.name(repository)}"

    def name(self, repository: str) -> str:
        """`repository` with the prefix before it; SourceError when no registry takes it."""
        check_repository(repository)
        return check_repository(self.placed.repository(repository))

    def path(self, repository: str) -> str:
        """Where `repository` is, below the host."""
        return f"/v2/{self.name(repository)}"

    def login(self, repository: str, shared: str | None = None) -> Login:
        """What answers challenges about `repository`; `shared` is one that it mounts from."""
        scopes = [f"repository:{self.name(repository)}:{self._actions}"]
        if shared is not None:
            scopes.append(f"repository:{self.name(shared)}:pull")
        return self._logins.for_scopes(*scopes)

    def login_catalog(self) -> Login:
        """What answers challenges about the list of all repositories."""
        return self._logins.for_scopes("registry:catalog:*")

    def expect(self, answer: Answer, what: str, *statuses: int) -> None:
        """SourceError unless `answer`, which is about `what`, has one of `statuses`."""
        if answer.status not in statuses:
            self._refused(answer, what)

    def expect_manifest(self, answer: Answer, what: str) -> None:
        """SourceError unless `answer` is a manifest of a size that there may be."""
        self.expect(answer, what, 200)
        if len(answer.body) > MAX_MANIFEST:
            raise self.error(what, f"is larger than {MAX_MANIFEST} bytes")

    def error(self, what: str, problem: str, hint: str | None = None) -> SourceError:
        """The error about `what` in this registry."""
        return SourceError(f"{self.session.what}: {what}: {problem}", hint)

    def close(self) -> None:
        """Close the connections."""
        self.session.client.close()

    def _refused(self, answer: Answer, what: str) -> NoReturn:
        login, hint = self.placed.profile.login.format(host=self.registry.host), None
        if answer.status == 401 and self._logins.known:
            said = "does not accept the login that Docker has for it (401)"
            hint = f"{login} again, as somebody who may {self._actions} there"
        elif answer.status == 401:
            said, hint = "wants a login (401)", f"{login} first"
        elif has_ended(answer.status, answer.body):
            said, hint = "does not accept the login that Docker has for it any more", login
        elif is_full(answer):
            said = f"has no room for it ({answer.status})"
            hint = "free some there, or have the quota raised; what is there is not sent again"
        elif answer.status in (403, 405):
            said = f"does not permit this ({answer.status})"
            hint = "is the registry read-only?" if "push" in self._actions else None
            if self.placed.profile.creates:
                hint = f"may this login push there, and is it still good? {login}"
        elif answer.status == 404 and any(code == "NAME_UNKNOWN" for code, _ in codes(answer)):
            said, hint = "has no such repository (404)", self.placed.profile.missing
        else:
            said = f"answered {answer.status}"
        if not answer.url.startswith(f"{self.base}/"):
            said += f" at {answer.url}"
        raise self.error(what, f"{said}{_reasons(answer)}", hint)


def _authorities(host: str, given: Path | None) -> list[Path]:
    """Certificates that this machine's Docker trusts for `host`, and the file that is `given`."""
    known = sorted((DOCKER_CERTIFICATES / host).glob("*.crt"))
    return known if given is None else [*known, given]


def codes(answer: Answer) -> list[tuple[str, str]]:
    """Codes and words of the specification's error document; nothing if the answer is none."""
    try:
        errors = json.loads(answer.body)["errors"]
        return [(str(error["code"]), str(error["message"])) for error in errors[:3]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def is_full(answer: Answer) -> bool:
    """Whether a refusal is for lack of room: by its status, or by what registries say of it."""
    refused = answer.status in _REFUSED
    return answer.status in _NO_ROOM or (refused and _FULL.search(answer.body) is not None)


def _reasons(answer: Answer) -> str:
    said = [f"{code}: {message}"[:200] for code, message in codes(answer)]
    return f" ({'; '.join(said)})" if said else ""
