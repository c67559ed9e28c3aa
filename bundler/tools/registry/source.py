"""A registry as a source: the pull half."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from bundler.core.destination import check_tag
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError, SourceError
from bundler.core.registries import SiteRegistry
from bundler.tools.download import download
from bundler.tools.http import Answer, Sleep
from bundler.tools.registry.site import ACCEPT, CONTENT_DIGEST, Site, codes


class NoImageError(SourceError):
    """The registry has no manifest under this tag or digest, or no such repository."""


class RegistrySource:
    """The registry at ``HOST[:PORT][/PREFIX]``, by http on loopback and by https elsewhere.

    Every repository lies below the prefix. Logins are Docker's own. UsageError for an address
    that is none; SourceError from every method when the registry refuses or can't be reached.
    May be used from several threads. `placed`: it is a site's, ``[PROFILE:]HOST[/PREFIX]``, where
    a RegistryDestination put what is asked for. `authority`: certificates to trust as well.
    """

    def __init__(
        self,
        address: str,
        sleep: Sleep = time.sleep,
        *,
        placed: bool = False,
        authority: Path | None = None,
    ) -> None:
        registry = SiteRegistry.parse(address) if placed else SiteRegistry.exactly(address)
        self._site = Site(registry, "pull", sleep, authority)

    def manifest(self, repository: str, reference: str) -> tuple[str, bytes]:
        """Media type (as answered, "" when it isn't said) and bytes, 4 MiB at most.

        `reference` is a tag or a digest; NoImageError when there is none under it, IntegrityError
        when the bytes have another digest than `reference` or the registry says.
        """
        digest = Digest.parse(reference) if ":" in reference else None
        what = self._site.manifest_of(repository, str(digest or check_tag(reference)))
        answer = self._site.session.send(
            "GET",
            f"{self._site.path(repository)}/manifests/{reference}",
            headers={"Accept": ACCEPT},
            login=self._site.login(repository),
        )
        if answer.status == 404:
            raise self._no_image(repository, f"{'@' if digest else ':'}{reference}", answer)
        self._site.expect_manifest(answer, what)
        found = str(Digest.of(answer.body))
        expected = str(digest or answer.headers.get(CONTENT_DIGEST, found))
        if found != expected:
            raise IntegrityError(
                f"{self._site.session.what}: {what}: expected {expected[:100]}, found {found}",
                "something between the registry and here changes what is sent",
            )
        media_type = answer.headers.get("content-type", "").partition(";")[0]
        return media_type.strip().lower(), answer.body

    def blob(self, repository: str, blob: Descriptor, offset: int) -> Iterator[bytes]:
        """The bytes of `blob` from `offset` on, in pieces of 1 MiB at most; not hashed here.

        Continued by Range where a connection broke. IntegrityError when there are more or fewer
        of them than `blob` says.
        """
        what = self._site.blob_of(repository, blob)

        def expect(answer: Answer) -> None:
            self._site.expect(answer, what, 200, 206)

        return download(
            self._site.session,
            f"{self._site.path(repository)}/blobs/{blob.digest}",
            self._site.login(repository),
            what,
            range(offset, blob.size),
            expect,
        )

    def _no_image(self, repository: str, reference: str, answer: Answer) -> NoImageError:
        said = " ".join([str(answer.status), *(code[:100] for code, _ in codes(answer))])
        name = f"{self._site.name(repository)}{reference}"
        return NoImageError(
            f"{self._site.session.what}: expected an image {name}, found none ({said})",
            "check its path and its tag, or push the image there",
        )

    def close(self) -> None:
        """Close the connections."""
        self._site.close()
