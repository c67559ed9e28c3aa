"""A registry as a destination: the push half of the OCI distribution specification 1.1."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit

from bundler.core.destination import check_repository, check_tag
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError, SourceError
from bundler.core.reference import Registry
from bundler.tools.http import ATTEMPTS, Answer, Session, Sleep, connect, is_loopback

_MAX_MANIFEST = 4 * 1024**2
_CONTENT_DIGEST = "docker-content-digest"
# Without these a registry may translate a manifest into an older type, or hide it.
_ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


class RegistryDestination:
    """The registry at ``HOST[/PREFIX]``, by http on loopback and by https elsewhere.

    Every repository lies below the prefix. UsageError for an address that is none.
    Anonymous: a registry that wants a login is refused by a SourceError that says so.
    """

    def __init__(self, address: str, sleep: Sleep = time.sleep) -> None:
        self._site = Registry.parse(address)
        host = self._site.host
        loopback = is_loopback(urlsplit(f"//{host}").hostname or host)
        self._base = f"{'http' if loopback else 'https'}://{host}"
        self._session = Session(
            connect(self._base, use_environment=not loopback),
            f"registry {host}",
            SourceError,
            "is it running, reachable from here, and its certificate known? "
            "(SSL_CERT_FILE may name the site's own CA)",
            sleep,
        )

    @property
    def registry(self) -> str | None:
        """``HOST[/PREFIX]``, as a cluster names it."""
        return str(self._site)

    def has_blob(self, repository: str, blob: Descriptor) -> bool:
        """By HEAD: there under this digest, and with this size."""
        path = f"{self._path(repository)}/blobs/{blob.digest}"
        answer = self._session.send("HEAD", path)
        if answer.status == 404:
            return False
        self._expect(answer, f"blob {blob.digest} of {repository}", 200)
        size = answer.headers.get("content-length", str(blob.size))
        if size != str(blob.size):
            raise IntegrityError(
                f"registry {self._site.host}: blob {blob.digest} of {repository}: "
                f"expected {blob.size} bytes, found {size}"
            )
        return True

    def mount_blob(self, repository: str, blob: Descriptor, source: str) -> bool:
        """By a cross-repository mount; what a registry begins instead of one is called off."""
        params = {"mount": str(blob.digest), "from": self._name(source)}
        uploads = f"{self._path(repository)}/blobs/uploads/"
        answer = self._session.send("POST", uploads, params=params)
        self._expect(answer, f"blob {blob.digest} of {repository}", 201, 202)
        if answer.status == 201:
            return True
        self._session.send("DELETE", self._location(answer, repository))
        return False

    def put_blob(self, repository: str, blob: Descriptor, chunks: Iterable[bytes]) -> None:
        """By POST and one PUT, streamed; after a failure for a time, HEAD and then again."""
        what = f"blob {blob.digest} of {repository}"
        again = False

        def attempt() -> Answer:
            nonlocal again
            if again and self.has_blob(repository, blob):
                return Answer(201, {}, b"", "")
            again = True
            return self._upload(repository, blob, chunks)

        attempts = 1 if iter(chunks) is chunks else ATTEMPTS
        answer = self._session.retried(attempt, attempts)
        self._expect(answer, what, 200, 201)
        self._same_digest(answer, blob.digest, what)

    def has_manifest(self, repository: str, digest: Digest) -> bool:
        """By HEAD of the digest."""
        return self._manifest_digest(repository, str(digest)) == digest

    def tagged(self, repository: str, tag: str) -> Digest | None:
        """By HEAD of the tag; from the manifest itself where the answer doesn't say its digest."""
        return self._manifest_digest(repository, check_tag(tag))

    def put_manifest(
        self, repository: str, tag: str | None, manifest: Descriptor, data: bytes
    ) -> None:
        """By PUT, of the bytes as they are."""
        reference = str(manifest.digest) if tag is None else check_tag(tag)
        what = f"manifest {reference} of {repository}"
        answer = self._session.send(
            "PUT",
            f"{self._path(repository)}/manifests/{reference}",
            headers={"Content-Type": manifest.media_type},
            content=data,
        )
        self._expect(answer, what, 201)
        self._same_digest(answer, manifest.digest, what)

    def close(self) -> None:
        """Close the connections."""
        self._session.client.close()

    def _upload(self, repository: str, blob: Descriptor, chunks: Iterable[bytes]) -> Answer:
        begun = self._session.send("POST", f"{self._path(repository)}/blobs/uploads/")
        self._expect(begun, f"upload to {repository}", 202)
        place = self._location(begun, repository)
        place += f"{'&' if '?' in place else '?'}digest={blob.digest}"
        return self._session.upload(place, blob.size, _counted(blob, chunks))

    def _location(self, answer: Answer, repository: str) -> str:
        """Where to send the bytes, as path and query: on this very registry, or nowhere."""
        try:
            parts = urlsplit(answer.headers.get("location", ""))
            elsewhere = parts.netloc and _origin(parts) != _origin(urlsplit(self._base))
        except ValueError as error:
            raise SourceError(
                f"registry {self._site.host}: {repository}: names a place for the upload that is "
                "no URL"
            ) from error
        if elsewhere or not parts.path.startswith("/"):
            raise SourceError(
                f"registry {self._site.host}: {repository}: wants the upload sent to "
                f"{parts.scheme}://{parts.hostname or ''}, expected {self._base}",
                "behind a proxy, the registry must know its outward name",
            )
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    def _manifest_digest(self, repository: str, reference: str) -> Digest | None:
        path = f"{self._path(repository)}/manifests/{reference}"
        answer = self._session.send("HEAD", path, headers={"Accept": _ACCEPT})
        if answer.status == 404:
            return None
        what = f"manifest {reference} of {repository}"
        self._expect(answer, what, 200)
        if _CONTENT_DIGEST in answer.headers:
            return Digest.parse(answer.headers[_CONTENT_DIGEST])
        answer = self._session.send("GET", path, headers={"Accept": _ACCEPT})
        self._expect(answer, what, 200)
        if len(answer.body) > _MAX_MANIFEST:
            raise SourceError(
                f"registry {self._site.host}: {what}: is larger than {_MAX_MANIFEST} bytes"
            )
        return Digest.of(answer.body)

    def _name(self, repository: str) -> str:
        prefix = f"{self._site.prefix}/" if self._site.prefix else ""
        return check_repository(prefix + repository)

    def _path(self, repository: str) -> str:
        return f"/v2/{self._name(repository)}"

    def _same_digest(self, answer: Answer, digest: Digest, what: str) -> None:
        said = answer.headers.get(_CONTENT_DIGEST, str(digest))
        if said != str(digest):
            raise SourceError(
                f"registry {self._site.host}: {what}: expected {digest}, it stored {said[:100]!r}",
                "something between here and the registry changes what is sent",
            )

    def _expect(self, answer: Answer, what: str, *statuses: int) -> None:
        if answer.status not in statuses:
            self._refused(answer, what)

    def _refused(self, answer: Answer, what: str) -> NoReturn:
        hint = None
        if answer.status == 401:
            said, hint = (
                "wants a login (401)",
                "airbundle pushes anonymously: use a registry that takes pushes from this machine",
            )
        elif answer.status in (403, 405):
            said, hint = f"does not permit this ({answer.status})", "is the registry read-only?"
        else:
            said = f"answered {answer.status}"
        raise SourceError(f"registry {self._site.host}: {what}: {said}{_reasons(answer)}", hint)


def _origin(url: SplitResult) -> tuple[str, str | None, int]:
    return url.scheme, url.hostname, url.port or {"http": 80, "https": 443}.get(url.scheme, 0)


def _counted(blob: Descriptor, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """`chunks`, as long as they are what was announced: more or less is not sent to its end.

    The last one is held back until the reader has ended well, so that a blob whose reader fails
    at its end never arrives whole.
    """
    read, held = 0, b""
    for chunk in chunks:
        if held:
            yield held
        held = chunk
        read += len(chunk)
        if read > blob.size:
            raise IntegrityError(f"blob {blob.digest}: expected {blob.size} bytes, found more")
    if read != blob.size:
        raise IntegrityError(f"blob {blob.digest}: expected {blob.size} bytes, found {read}")
    if held:
        yield held


def _reasons(answer: Answer) -> str:
    """The codes of the specification's error document, if the answer is one."""
    try:
        errors = json.loads(answer.body)["errors"]
        codes = [f"{error['code']}: {error['message']}"[:200] for error in errors[:3]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return f" ({'; '.join(codes)})" if codes else ""
