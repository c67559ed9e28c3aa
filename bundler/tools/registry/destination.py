"""A registry as a destination: the push half."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from bundler.core.destination import TagKeptError, check_tag
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError
from bundler.core.registries import SiteRegistry
from bundler.tools.http import ATTEMPTS, Answer, Sleep
from bundler.tools.registry.aws import create_repository, require_program
from bundler.tools.registry.site import ACCEPT, CONTENT_DIGEST, Site

# ECR and GAR say 400, Artifactory 403, others 409, Harbor 412.
_TAG_REFUSED = frozenset({400, 403, 409, 412})

# Makes a repository: the registry, and the whole name.
Create = Callable[[SiteRegistry, str], None]


class RegistryDestination:
    """The registry at ``[PROFILE:]HOST[/PREFIX]``, by http on loopback and by https elsewhere.

    Every repository lies below the prefix, named as its kind (`bundler.core.registries`) has it.
    UsageError for an address that is none. Logins are Docker's own (`docker login`); SourceError
    for a registry that wants another one. `authority` is a file with certificates to trust.
    """

    def __init__(
        self,
        address: str,
        sleep: Sleep = time.sleep,
        *,
        authority: Path | None = None,
        create: Create = create_repository,
    ) -> None:
        self._site = Site(SiteRegistry.parse(address), "pull,push", sleep, authority)
        self._session = self._site.session
        self._create = create
        self._made: set[str] = set()
        self._making = threading.Lock()

    @property
    def registry(self) -> str | None:
        """``[PROFILE:]HOST[/PREFIX]``: `SiteRegistry` says how a cluster names what is in it."""
        return str(self._site.placed)

    def check_writable(self, repository: str) -> None:
        """By an upload that is begun and called off; one that ECR has yet to make is no problem."""
        answer = self._post(repository, {})
        if answer.status == 404 and self._site.placed.profile.creates:
            require_program(self._site.placed, self._site.name(repository))
            return
        self._site.expect(answer, f"upload to {self._site.name(repository)}", 202)
        self._call_off(answer, repository)

    def certificate_ends(self) -> datetime | None:
        """As of its last answer."""
        return self._session.certificate_ends

    def has_blob(self, repository: str, blob: Descriptor) -> bool:
        """By HEAD: there under this digest, and with this size."""
        path = f"{self._site.path(repository)}/blobs/{blob.digest}"
        answer = self._session.send("HEAD", path, login=self._site.login(repository))
        if answer.status == 404:
            return False
        self._site.expect(answer, self._site.blob_of(repository, blob), 200)
        size = answer.headers.get("content-length", str(blob.size))
        if size != str(blob.size):
            raise IntegrityError(
                f"{self._session.what}: {self._site.blob_of(repository, blob)}: "
                f"expected {blob.size} bytes, found {size}"
            )
        return True

    def mount_blob(self, repository: str, blob: Descriptor, source: str) -> bool:
        """By a cross-repository mount; what a registry begins instead of one is called off."""
        params = {"mount": str(blob.digest), "from": self._site.name(source)}
        answer = self._begun(repository, params, source)
        self._site.expect(answer, self._site.blob_of(repository, blob), 201, 202)
        if answer.status == 201:
            return True
        self._call_off(answer, repository)
        return False

    def put_blob(self, repository: str, blob: Descriptor, chunks: Iterable[bytes]) -> None:
        """By POST and one PUT, streamed; after a failure for a time, HEAD and then again."""
        what = self._site.blob_of(repository, blob)
        again = False

        def attempt() -> Answer:
            nonlocal again
            if again and self.has_blob(repository, blob):
                return Answer(201, {}, b"", "")
            again = True
            return self._upload(repository, blob, chunks)

        attempts = 1 if iter(chunks) is chunks else ATTEMPTS
        answer = self._session.retried(attempt, attempts)
        self._site.expect(answer, what, 200, 201)
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
        """By PUT, of the bytes as they are; TagKeptError where tags can't be moved."""
        reference = str(manifest.digest) if tag is None else check_tag(tag)
        what = self._site.manifest_of(repository, reference)
        answer = self._session.send(
            "PUT",
            f"{self._site.path(repository)}/manifests/{reference}",
            headers={"Content-Type": manifest.media_type},
            content=data,
            login=self._site.login(repository),
        )
        if answer.status in _TAG_REFUSED and tag is not None:
            self._check_kept(repository, tag, manifest.digest)
        self._site.expect(answer, what, 201)
        self._same_digest(answer, manifest.digest, what)

    def close(self) -> None:
        """Close the connections."""
        self._site.close()

    def _upload(self, repository: str, blob: Descriptor, chunks: Iterable[bytes]) -> Answer:
        begun = self._begun(repository, {})
        self._site.expect(begun, f"upload to {self._site.name(repository)}", 202)
        place = self._location(begun, repository)
        place += f"{'&' if '?' in place else '?'}digest={blob.digest}"
        login = self._site.login(repository)
        return self._session.upload(place, blob.size, _Counted(blob, chunks), login)

    def _begun(
        self, repository: str, params: Mapping[str, str], shared: str | None = None
    ) -> Answer:
        """The answer to a new upload; the repository is made first where its kind wants that."""
        answer = self._post(repository, params, shared)
        if answer.status != 404 or not self._site.placed.profile.creates:
            return answer
        name = self._site.name(repository)
        with self._making:
            if name not in self._made:
                self._create(self._site.placed, name)
                self._made.add(name)
        return self._post(repository, params, shared)

    def _post(
        self, repository: str, params: Mapping[str, str], shared: str | None = None
    ) -> Answer:
        uploads = f"{self._site.path(repository)}/blobs/uploads/"
        login = self._site.login(repository, shared)
        return self._session.send("POST", uploads, params=params, login=login)

    def _call_off(self, begun: Answer, repository: str) -> None:
        login = self._site.login(repository)
        self._session.send("DELETE", self._location(begun, repository), login=login)

    def _check_kept(self, repository: str, tag: str, digest: Digest) -> None:
        found = self._manifest_digest(repository, tag)
        if found not in (None, digest):
            raise TagKeptError(
                f"{self._session.what}: {self._site.manifest_of(repository, tag)}: tags there "
                f"can't be moved: expected {digest}, found {found}",
                "its tags are immutable: what is published stays; give what is new a new version",
            )

    def _location(self, answer: Answer, repository: str) -> str:
        """Where to send the bytes, as path and query: on this very registry, or nowhere."""
        try:
            parts = urlsplit(answer.headers.get("location", ""))
            elsewhere = parts.netloc and _origin(parts) != _origin(urlsplit(self._site.base))
        except ValueError as error:
            problem = "names a place for the upload that is no URL"
            raise self._site.error(self._site.name(repository), problem) from error
        if elsewhere or not parts.path.startswith("/"):
            raise self._site.error(
                self._site.name(repository),
                "wants the upload sent to "
                f"{parts.scheme}://{parts.hostname or ''}, expected {self._site.base}",
                "behind a proxy, the registry must know its outward name",
            )
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    def _manifest_digest(self, repository: str, reference: str) -> Digest | None:
        path = f"{self._site.path(repository)}/manifests/{reference}"
        login = self._site.login(repository)
        answer = self._session.send("HEAD", path, headers={"Accept": ACCEPT}, login=login)
        if answer.status == 404:
            return None
        what = self._site.manifest_of(repository, reference)
        self._site.expect(answer, what, 200)
        if CONTENT_DIGEST in answer.headers:
            return Digest.parse(answer.headers[CONTENT_DIGEST])
        answer = self._session.send("GET", path, headers={"Accept": ACCEPT}, login=login)
        self._site.expect_manifest(answer, what)
        return Digest.of(answer.body)

    def _same_digest(self, answer: Answer, digest: Digest, what: str) -> None:
        said = answer.headers.get(CONTENT_DIGEST, str(digest))
        if said != str(digest):
            raise self._site.error(
                what,
                f"expected {digest}, it stored {said[:100]!r}",
                "something between here and the registry changes what is sent",
            )


def _origin(url: SplitResult) -> tuple[str, str | None, int]:
    return url.scheme, url.hostname, url.port or {"http": 80, "https": 443}.get(url.scheme, 0)


@dataclass(frozen=True)
class _Counted:
    """`chunks`, as long as they are what was announced: more or less is not sent to its end.

    The last one is held back until the reader has ended well, so that a blob whose reader fails
    at its end never arrives whole. Iterated over again when the registry wants a new login.
    """

    blob: Descriptor
    chunks: Iterable[bytes]

    def __iter__(self) -> Iterator[bytes]:
        read, held = 0, b""
        for chunk in self.chunks:
            if held:
                yield held
            held = chunk
            read += len(chunk)
            if read > self.blob.size:
                raise self._wrong("more")
        if read != self.blob.size:
            raise self._wrong(str(read))
        if held:
            yield held

    def _wrong(self, found: str) -> IntegrityError:
        return IntegrityError(
            f"blob {self.blob.digest}: expected {self.blob.size} bytes, found {found}"
        )
