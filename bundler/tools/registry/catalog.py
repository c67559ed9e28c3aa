"""A registry as a list of what it has, of which something can be taken away.

The catalog is ``docs/spec/api.md`` of github.com/distribution/distribution, tags and deletion are
the distribution specification 1.1.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

from bundler.core.digest import Digest
from bundler.core.registries import SiteRegistry
from bundler.tools.http import Answer, Sleep
from bundler.tools.registry.login import Login
from bundler.tools.registry.site import Site

_PAGE = "?n=1000"
_NEXT = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?')
_MOST_PAGES = 1000


class RegistryCatalog:
    """The registry at ``[PROFILE:]HOST[/PREFIX]``; SourceError when it refuses."""

    def __init__(
        self, address: str, sleep: Sleep = time.sleep, *, authority: Path | None = None
    ) -> None:
        self._site = Site(SiteRegistry.parse(address), "pull,delete", sleep, authority)

    def below(self, folder: str) -> tuple[str, ...]:
        """The repositories ``<folder>/<one component>`` below the prefix, as bundles name them."""
        placed = self._site.placed
        start = placed.repository(f"{folder}/x").removesuffix("x")
        found = self._names("/v2/_catalog", "repositories", self._site.login_catalog(), "catalog")
        ends = (each.removeprefix(start) for each in found if each.startswith(start))
        return tuple(
            sorted(
                {
                    f"{folder}/{end}"
                    for end in ends
                    if "/" not in end and placed.repository(f"{folder}/{end}") == start + end
                }
            )
        )

    def tags(self, repository: str) -> tuple[str, ...]:
        """The tags of a repository; none when it is not there."""
        path = f"{self._site.path(repository)}/tags/list"
        what = f"tags of {self._site.name(repository)}"
        return self._names(path, "tags", self._site.login(repository), what)

    def delete(self, repository: str, digest: Digest) -> None:
        """Take the manifest away, and with it its tags; what is not there is as good."""
        answer = self._site.session.send(
            "DELETE",
            f"{self._site.path(repository)}/manifests/{digest}",
            login=self._site.login(repository),
        )
        what = self._site.manifest_of(repository, str(digest))
        if answer.status == 405:
            raise self._site.error(
                what,
                "can't be taken away: the registry lets nobody (405)",
                "docker-registry wants storage.delete.enabled: true; others have a program of "
                "their own for it",
            )
        self._site.expect(answer, what, 200, 202, 404)

    def close(self) -> None:
        """Close the connections."""
        self._site.close()

    def _names(self, path: str, member: str, login: Login, what: str) -> tuple[str, ...]:
        names: list[str] = []
        page: str | None = path + _PAGE
        for _ in range(_MOST_PAGES):
            if page is None:
                return tuple(names)
            answer = self._site.session.send("GET", page, login=login)
            if answer.status == 404 and path.endswith("/tags/list"):
                return ()
            if answer.status != 200 and path.endswith("/_catalog"):
                raise self._site.error(
                    what,
                    f"the registry does not say what it has ({answer.status})",
                    "prune as somebody who may see its catalog, or by the registry's own program",
                )
            self._site.expect(answer, what, 200)
            names += self._listed(answer, member, what)
            page = self._next(answer, path)
        raise self._site.error(what, f"has more than {_MOST_PAGES} pages")

    def _listed(self, answer: Answer, member: str, what: str) -> list[str]:
        try:
            found = json.loads(answer.body)[member] or []
            if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
                raise TypeError
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._site.error(what, f"expected a list of {member}, found another") from error
        return found

    def _next(self, answer: Answer, path: str) -> str | None:
        """The next page: the same list from where this one ended."""
        found = _NEXT.search(answer.headers.get("link", ""))
        return f"{path}?{found[1].partition('?')[2]}" if found else None
