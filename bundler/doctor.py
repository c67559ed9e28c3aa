"""`airbundle doctor`: the preflight of an install by itself, and what this machine has."""

from __future__ import annotations

import os
import platform
import ssl
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.archive.bundle import AuthenticatedBundle
from bundler.cluster.access import Access
from bundler.cluster.client import Cluster, ForbiddenError
from bundler.cluster.preflight import basics, examine, needs_of
from bundler.cluster.sitefiles import SiteFiles, with_site_objects
from bundler.core.destination import Destination
from bundler.core.documents.site import SiteNeeds
from bundler.core.errors import BundlerError, ClusterError, ToolError
from bundler.core.preflight.checked import Checked
from bundler.push import open_destination
from bundler.render import Rendered, render, spec_of
from bundler.sign.module import loaded_module
from bundler.tools.checkov import find_checkov
from bundler.tools.kustomize import find_kustomize

if TYPE_CHECKING:
    from bundler.inputs.siteoverlay import SiteOverlay

# Whose fields are whose matters to nobody who changes nothing.
_NOBODY = "doctor"
_SITE_FILES = "site files"


@dataclass(frozen=True)
class Prospect:
    """What would be installed: a target with its settings, and from which registry, if any.

    `registry_ca` are certificates to trust there as well, `registry_credentials` a Docker config;
    `overlay` is the site's own.
    """

    target: str
    settings: Mapping[str, str]
    registry: str | None = None
    registry_ca: Path | None = None
    overlay: SiteOverlay | None = None
    registry_credentials: Path | None = None

    @property
    def files(self) -> SiteFiles:
        """What of it may become objects."""
        return SiteFiles(self.registry_ca, self.registry_credentials)


@dataclass(frozen=True)
class Diagnosis:
    """Every check with its outcome; `failed` when an install would not go through."""

    failed: bool
    checks: tuple[Checked, ...]


def doctor(access: Access) -> Diagnosis:
    """This machine, and the basics of the cluster where there is one. Changes nothing."""
    found = [*_machine()]
    try:
        cluster = access.open(_NOBODY)
    except ClusterError as error:
        named = access.kubeconfig, access.context, os.environ.get("KUBECONFIG")
        asked_for = any(each is not None for each in named)
        outcome = Checked("API server", "failed", error.message, error.hint)
        if not asked_for:
            outcome = Checked("API server", "skipped", error.message, error.hint)
        return _diagnosis([*found, outcome])
    with closing(cluster):
        found += basics(cluster, access.release_namespace, _now)
    return _diagnosis(found)


def examine_bundle(bundle: AuthenticatedBundle, prospect: Prospect, access: Access) -> Diagnosis:
    """Everything that an install of `bundle` would need. Changes nothing.

    UsageError for an unknown target or setting, PolicyError of the core rules.
    """
    with ExitStack() as stack:
        destination = None
        if prospect.registry is not None:
            destination = stack.enter_context(
                closing(open_destination(prospect.registry, prospect.registry_ca))
            )
        registry = destination.registry if destination is not None else None
        settings, overlay = prospect.settings, prospect.overlay
        rendered = render(bundle, prospect.target, settings, registry, overlay)
        cluster = stack.enter_context(closing(access.open(bundle.release.name)))
        checks = preflight(bundle, rendered, access, cluster, destination)
        needs = spec_of(bundle).site
        if needs is not None or prospect.registry_credentials is not None:
            checks = (*checks, _site_files(cluster, rendered, needs, prospect))
    return _diagnosis([*_machine(), *checks])


def _site_files(
    cluster: Cluster, rendered: Rendered, needs: SiteNeeds | None, prospect: Prospect
) -> Checked:
    """Whether what pods need to reach the registry can be made of the site's files, or is there."""
    if prospect.registry is None:
        return Checked(
            _SITE_FILES, "skipped", "not judged without a registry", "name it: --registry"
        )
    if prospect.registry.startswith("oci:"):
        return Checked(_SITE_FILES, "skipped", "a folder needs neither a login nor a CA")
    try:
        with_site_objects(cluster, rendered.objects, needs, prospect.files, prospect.registry)
    except ForbiddenError as error:
        return Checked(_SITE_FILES, "skipped", f"not judged: {error.message}", error.hint)
    except BundlerError as error:
        return Checked(_SITE_FILES, "failed", error.message, error.hint)
    return Checked(_SITE_FILES, "ok", "pull secret and CA, as far as the bundle wants them")


def preflight(
    bundle: AuthenticatedBundle,
    rendered: Rendered,
    access: Access,
    cluster: Cluster,
    destination: Destination | None,
    ignored: Collection[str] = (),
) -> tuple[Checked, ...]:
    """What an install of `rendered` needs, judged all at once; nothing is changed or sent.

    What `ignored` names fails nothing.
    """
    needs = needs_of(bundle, spec_of(bundle), rendered.objects, access.release_namespace)
    return examine(cluster, needs, destination, _now, ignored)


def _diagnosis(checks: list[Checked]) -> Diagnosis:
    return Diagnosis(any(each.outcome == "failed" for each in checks), tuple(checks))


def _now() -> datetime:
    return datetime.now(UTC)


def _machine() -> Iterator[Checked]:
    """What airbundle itself stands on here; none of it keeps an install from going through."""
    yield Checked(
        "Python", "ok", f"{platform.python_version()}, with {ssl.OPENSSL_VERSION} for TLS"
    )
    module, fips = loaded_module()
    provider = "its FIPS provider in force" if fips else "without its FIPS provider"
    yield Checked("cryptography", "ok", f"{module}, {provider}, for signatures")
    try:
        kustomize = find_kustomize()
        yield Checked("kustomize", "ok", f"{kustomize.name} {kustomize.version}")
    except ToolError as error:
        needs = "building and --overlay need it"
        yield Checked("kustomize", "skipped", f"{error.message}; {needs}", error.hint)
    try:
        yield Checked("checkov", "ok", f"checkov {find_checkov().version}")
    except ToolError as error:
        needs = "building and --require-scanners need it"
        yield Checked("checkov", "skipped", f"{error.message}; {needs}", error.hint)
