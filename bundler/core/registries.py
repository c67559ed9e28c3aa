"""The registry of a site: what its kind wants of names, and of what must be there first.

How each kind names repositories is written down in docs/registries.md, with what was tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bundler.core.errors import UsageError
from bundler.core.reference import Registry

# Grammars of repositories let it stand inside of a name, and no host has it.
_SEPARATOR = "__"
_REGION = r"(?P<region>[a-z0-9-]+)"
# Commercial and GovCloud, China, and the two regions that are connected to nothing.
_AWS = r"(?:amazonaws\.com(?:\.cn)?|c2s\.ic\.gov|sc2s\.sgov\.gov)"
_PORT_FOLLOWS = re.compile(r"[0-9]+(?:/|$)")


@dataclass(frozen=True)
class Profile:
    """One kind of registry.

    `hosts` is the form of the hosts that are surely of this kind. `prefix` names what a PREFIX
    must begin with. Behind the first `levels` components a repository's name has no slash, where
    that is a number. `missing` says what to do about a repository that is not there, `login` how
    `{host}` is logged in to, and `creates` that each repository must be made before something can
    be pushed to it.
    """

    name: str
    missing: str
    login: str = "`docker login {host}`"
    hosts: str | None = None
    prefix: tuple[str, ...] = ()
    levels: int | None = None
    creates: bool = False


PLAIN = Profile("plain", "does the login that Docker has for it permit to push there?")
ECR = Profile(
    "ecr",
    "each repository must be made first: with `aws` on PATH and the right "
    "ecr:CreateRepository that is done here",
    "`aws ecr get-login-password | docker login --username AWS --password-stdin {host}` (good for "
    "12 hours; the helper docker-credential-ecr-login renews it)",
    rf"(?P<account>[0-9]{{12}})\.dkr\.ecr(?:-fips)?\.{_REGION}\.{_AWS}",
    creates=True,
)
PROFILES = (
    PLAIN,
    ECR,
    Profile(
        "acr",
        "does the login have the role AcrPush?",
        "`az acr login --name REGISTRY` (good for 3 hours)",
        r"[a-z0-9-]+\.azurecr\.(?:io|us|cn)",
    ),
    Profile(
        "gar",
        "the repository of PREFIX must be made first: `gcloud artifacts repositories create`",
        "`gcloud auth configure-docker {host}` (its helper renews the login every hour)",
        r"[a-z0-9-]+-docker\.pkg\.dev",
        ("PROJECT", "REPOSITORY"),
    ),
    Profile("harbor", "the project of PREFIX must be made first, in Harbor", prefix=("PROJECT",)),
    Profile("artifactory", "PREFIX must begin with the key of a Docker repository that is there"),
    Profile(
        "quay",
        "the organisation of PREFIX must be made first, and the login be one that may create "
        "repositories in it",
        "`docker login {host}` as a robot account",
        r"quay\.io",
        ("ORGANISATION",),
        levels=1,
    ),
)


@dataclass(frozen=True)
class SiteRegistry:
    """A registry that is pushed to and pulled from, and its kind; `named` where that was said."""

    registry: Registry
    profile: Profile
    named: bool = False

    @classmethod
    def parse(cls, text: str) -> SiteRegistry:
        """``[PROFILE:]HOST[:PORT][/PREFIX]``; without a profile, what the host's form says.

        UsageError for what is none, and for a PREFIX that lacks what the kind must have in it.
        """
        name, colon, rest = text.partition(":")
        profile = next((each for each in PROFILES if each.name == name), None)
        if colon and profile is not None and not _PORT_FOLLOWS.match(rest):
            return _checked(cls(Registry.parse(rest), profile, named=True))
        registry = Registry.parse(text)
        return _checked(cls(registry, next(_of_form(registry.host), PLAIN)))

    @classmethod
    def exactly(cls, text: str) -> SiteRegistry:
        """``HOST[:PORT][/PREFIX]`` of any registry, for names that are as they stand."""
        return cls(Registry.parse(text), PLAIN)

    def repository(self, path: str) -> str:
        """Where what a bundle calls `path` is, below the host."""
        prefix = self.registry.prefix
        parts = f"{prefix}/{path}".split("/") if prefix else path.split("/")
        if self.profile.levels is None:
            return "/".join(parts)
        return "/".join(
            (*parts[: self.profile.levels], _SEPARATOR.join(parts[self.profile.levels :]))
        )

    def place(self, path: str) -> str:
        """The same as an image reference begins with it: host and path."""
        return f"{self.registry.host}/{self.repository(path)}"

    @property
    def aws(self) -> tuple[str, str] | None:
        """Account and region, where the host's form of ECR says them."""
        found = re.fullmatch(ECR.hosts or "", self.registry.host)
        return None if found is None else (found["account"], found["region"])

    def __str__(self) -> str:
        return f"{self.profile.name}:{self.registry}" if self.named else str(self.registry)


def _checked(site: SiteRegistry) -> SiteRegistry:
    wanted, prefix = site.profile.prefix, site.registry.prefix
    if len(prefix.split("/") if prefix else ()) < len(wanted):
        raise UsageError(
            f"registry {site}: expected {'/'.join((site.registry.host, *wanted))}, "
            f"found the prefix {prefix!r}",
            f"{site.profile.name} has no images outside of "
            f"{' and '.join(word.lower() for word in wanted)}",
        )
    return site


def _of_form(host: str) -> Iterator[Profile]:
    return (each for each in PROFILES if each.hosts and re.fullmatch(each.hosts, host))
