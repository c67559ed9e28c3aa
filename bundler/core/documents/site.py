"""What a site's registry needs inside of a cluster: the section ``site`` of a Bundle.

The bundle says where, an installation what: `bundler.core.objects.siteobjects` makes the objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from bundler.core.documents.checks import NAME, Problem, at_least, unique
from bundler.core.documents.members import About


@dataclass(frozen=True, kw_only=True)
class SiteObject:
    """One object under the same name in one or several namespaces."""

    name: Annotated[str, NAME, About("As the manifests name it.")]
    namespaces: Annotated[
        tuple[Annotated[str, NAME], ...], at_least(1), unique(), About("Where it is needed.")
    ]


@dataclass(frozen=True, kw_only=True)
class SiteNeeds:
    """What an installation makes out of files of the site, for pods to reach its registry."""

    pull_secret: Annotated[
        SiteObject | None,
        About("A Secret for imagePullSecrets, made of --registry-credentials."),
    ] = None
    ca: Annotated[
        SiteObject | None, About("A ConfigMap with the key ca.crt, made of --registry-ca.")
    ] = None

    def problems(self) -> Iterator[Problem]:
        """A section that asks for nothing."""
        if self.pull_secret is None and self.ca is None:
            yield Problem((), "is empty, expected pullSecret or ca", "or leave site out")
