"""`airbundle install`: plan, push, apply, wait, record; all of it or nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bundler.archive.bundle import AuthenticatedBundle
from bundler.cluster.access import Access
from bundler.cluster.client import Cluster
from bundler.cluster.objectstore import require_keys, upload
from bundler.cluster.planning.present import Intent, Prepared, prepare
from bundler.cluster.preflight import require_passed
from bundler.cluster.push import (
    PushedBundle,
    PushPlan,
    already_pushed,
    plan_push,
    push_artifact,
    push_bundle,
)
from bundler.cluster.release.record import Past, Record
from bundler.cluster.release.upgrade import ReleaseChange, release_change
from bundler.cluster.sitefiles import SiteFiles, with_site_objects
from bundler.cluster.transaction.apply import Checks
from bundler.cluster.transaction.transact import PATIENT, Manner, transact
from bundler.cluster.watch.smoke import smoke
from bundler.cluster.watch.wait import wait_ready
from bundler.core.destination import Destination
from bundler.core.errors import ClusterError, SourceError, UsageError
from bundler.core.findings import Finding
from bundler.core.objects.manifests import ObjectId
from bundler.core.objects.plan import Plan
from bundler.core.preflight.checked import Checked
from bundler.core.progress import Progress
from bundler.doctor import preflight
from bundler.push import open_destination
from bundler.released import way_back
from bundler.render import Rendered, render, spec_of

if TYPE_CHECKING:
    from bundler.inputs.siteoverlay import SiteOverlay


@dataclass(frozen=True)
class Site:
    """Where a bundle is installed: target, registry, parameters, cluster.

    `registry` is ``[PROFILE:]HOST[/PREFIX]`` or ``oci:DIR``; `registry_ca` are certificates to
    trust there as well, `registry_credentials` a Docker config, and of both the bundle may want
    objects made (`spec.site`). `take_ownership`: what others made, or own fields of, becomes the
    release's. `overlay` is the site's own, over the target. `ignored_checks` of the preflight may
    fail.
    """

    target: str
    registry: str
    settings: Mapping[str, str]
    access: Access = field(default_factory=Access)
    take_ownership: bool = False
    overlay: SiteOverlay | None = None
    registry_ca: Path | None = None
    registry_credentials: Path | None = None
    ignored_checks: tuple[str, ...] = ()

    @property
    def files(self) -> SiteFiles:
        """What of it may become objects."""
        return SiteFiles(self.registry_ca, self.registry_credentials)


@dataclass(frozen=True)
class Installed:
    """What an install did, or with `dry_run` would do.

    The same plan either way, but that a dry run has objects that can't be asked about yet.
    """

    status: str
    signers: tuple[str, ...]
    name: str
    version: str
    target: str
    dry_run: bool
    preflight: tuple[Checked, ...]
    release: ReleaseChange
    plan: Plan
    push: PushPlan
    waived: tuple[Finding, ...]
    warnings: tuple[Finding, ...]


def install(
    bundle: AuthenticatedBundle,
    site: Site,
    progress: Progress,
    *,
    dry_run: bool = False,
    manner: Manner = PATIENT,
) -> Installed:
    """Install `bundle` at `site`; installed again, nothing changes.

    The plan is made before anything is pushed, and with `dry_run` is all that is made. UsageError
    for what was asked; PolicyError of the core rules; SourceError of the registry; ClusterError
    of the API server, for a newer version that is there, for objects of other releases, and for
    what doesn't get ready: then what was installed before is what runs.
    """
    with ExitStack() as stack:
        opened = open_destination(site.registry, site.registry_ca)
        destination = stack.enter_context(closing(opened))
        registry = _pulled_from(destination, site)
        rendered = render(bundle, site.target, site.settings, registry, site.overlay)
        require_keys(rendered.objects)
        record = Record(bundle.release.name, _installed(bundle, rendered, registry), ())
        cluster = stack.enter_context(closing(site.access.open(record.name)))
        needs = spec_of(bundle).site
        made = with_site_objects(cluster, rendered.objects, needs, site.files, registry)
        rendered = replace(rendered, objects=made)
        ignored = site.ignored_checks
        checked = preflight(bundle, rendered, site.access, cluster, destination, ignored)
        namespace, force = site.access.release_namespace, site.take_ownership
        intent = Intent(record, rendered.objects, namespace, take_ownership=force)
        prepared = planned(cluster, intent, checked)
        change = release_change(prepared.before, record.installed, site.settings)
        idle = prepared.plan.empty or manner.keep_failed
        back = None if idle else way_back(cluster, prepared.before, site.registry_ca)
        plan = prepared.plan
        if dry_run:
            sent = plan_push(bundle, destination)
        else:
            pushed = push_bundle(bundle, destination, progress)
            upload(bundle, rendered.objects, progress)
            checks = checks_of(bundle, destination, cluster, manner, progress)
            plan = transact(cluster, prepared, pushed, back, checks, manner, progress, time.sleep)
            _publish(pushed, destination)
            sent = pushed.sent
    done = outcome(bundle, rendered, dry_run)
    return Installed(preflight=checked, release=change, plan=plan, push=sent, **done)


def _pulled_from(destination: Destination, site: Site) -> str:
    if destination.registry is None:
        raise UsageError(
            f"--registry {site.registry}: a cluster can't pull from a folder",
            "name a registry, or write a folder for GitOps with --export DIR",
        )
    return destination.registry


def planned(cluster: Cluster, intent: Intent, checked: Sequence[Checked]) -> Prepared:
    """The plan for `intent`, once the preflight passed.

    ClusterError with all that is in the way of either. Where checks failed there may be no plan:
    what they say is the reason.
    """
    if all(each.outcome != "failed" for each in checked):
        return prepare(cluster, intent)
    try:
        prepare(cluster, intent)
    except ClusterError as error:
        checked = (*checked, Checked("plan", "failed", error.message, error.hint))
    require_passed(checked)
    raise AssertionError("something failed")


def checks_of(
    bundle: AuthenticatedBundle,
    destination: Destination,
    cluster: Cluster,
    manner: Manner,
    progress: Progress,
) -> Checks:
    """What must hold of `bundle` on the way: it is pulled from `destination`, its objects get
    ready, its smoke calls are answered.
    """
    calls = spec_of(bundle).smoke

    def wait(ids: Sequence[ObjectId]) -> None:
        wait_ready(cluster, ids, manner.timeout, progress, time.sleep, time.monotonic)

    def ask() -> None:
        if manner.timeout > 0:
            smoke(cluster, calls, time.sleep, time.monotonic, progress)

    return Checks(pushed=lambda: _require_pushed(bundle, destination), wait=wait, smoke=ask)


def _require_pushed(bundle: AuthenticatedBundle, destination: Destination) -> None:
    """SourceError when `destination` lacks any of `bundle` again: a `prune` may have gone by."""
    try:
        already_pushed(bundle, destination)
    except SourceError as error:
        raise SourceError(
            f"{error.message}: it was pushed and is there no longer; nothing of the release was "
            "touched",
            "run the same command again: it sends what is missing once more",
        ) from error


def _publish(pushed: PushedBundle, destination: Destination) -> None:
    """The bundle itself into the registry; SourceError when only that is missing."""
    try:
        push_artifact(pushed, destination)
    except SourceError as error:
        release = pushed.bundle.release
        raise SourceError(
            f"{release.name} {release.version} is installed and runs, but its bundle is not in the "
            f"registry yet, where rollback looks for it: {error.message}",
            "run the same command again: it sends what is missing",
        ) from error


def outcome(bundle: AuthenticatedBundle, rendered: Rendered, dry_run: bool) -> dict[str, Any]:
    """What both kinds of result say."""
    return {
        "status": bundle.status,
        "signers": bundle.signers,
        "name": bundle.release.name,
        "version": bundle.release.version,
        "target": rendered.target,
        "dry_run": dry_run,
        "waived": rendered.waived,
        "warnings": rendered.warnings,
    }


def _installed(bundle: AuthenticatedBundle, rendered: Rendered, registry: str) -> Past:
    release = bundle.release
    return Past(
        str(release.index),
        release.version,
        rendered.target,
        registry,
        rendered.values,
        bundle.signers,
        None if rendered.overlay is None else rendered.overlay.dump().decode(),
    )
