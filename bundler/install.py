"""`airbundle install`: plan, push, apply, record; or, for GitOps, plan, push and write a folder."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundler.archive.bundle import AuthenticatedBundle
from bundler.cluster.apply import apply
from bundler.cluster.client import open_cluster
from bundler.cluster.export import check_folder, export, file_names
from bundler.cluster.present import Intent, prepare
from bundler.cluster.push import PushPlan, plan_push, push_artifact, push_bundle
from bundler.cluster.release import DEFAULT_NAMESPACE, Record, field_manager
from bundler.cluster.upgrade import ReleaseChange, release_change
from bundler.core.errors import UsageError
from bundler.core.findings import Finding
from bundler.core.objects.plan import Plan
from bundler.core.progress import Progress
from bundler.push import open_destination
from bundler.render import Rendered, render


@dataclass(frozen=True)
class Site:
    """Where a bundle is installed: target, registry, parameters, cluster.

    `registry` is ``HOST[/PREFIX]`` or ``oci:DIR``; without `kubeconfig` and `context` the
    user's own count. The release's record lives in `release_namespace`.
    """

    target: str
    registry: str
    settings: Mapping[str, str]
    kubeconfig: Path | None = None
    context: str | None = None
    release_namespace: str = DEFAULT_NAMESPACE


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
    release: ReleaseChange
    plan: Plan
    push: PushPlan
    waived: tuple[Finding, ...]
    warnings: tuple[Finding, ...]


@dataclass(frozen=True)
class Exported:
    """What was written for GitOps, or with `dry_run` would be.

    `registry` names the images; without one they have the placeholder host, and can't run.
    """

    status: str
    signers: tuple[str, ...]
    name: str
    version: str
    target: str
    dry_run: bool
    registry: str | None
    folder: Path
    files: tuple[str, ...]
    push: PushPlan
    waived: tuple[Finding, ...]
    warnings: tuple[Finding, ...]


def install(
    bundle: AuthenticatedBundle, site: Site, progress: Progress, *, dry_run: bool = False
) -> Installed:
    """Install `bundle` at `site`; installed again, nothing changes.

    The plan is made before anything is pushed, and with `dry_run` is all that is made. UsageError
    for what was asked; PolicyError of the core rules; SourceError of the registry; ClusterError
    of the API server, for a newer version that is there, and for objects of other releases.
    """
    with ExitStack() as stack:
        destination = stack.enter_context(closing(open_destination(site.registry)))
        if destination.registry is None:
            raise UsageError(
                f"--registry {site.registry}: a cluster can't pull from a folder",
                "name a registry, or write a folder for GitOps with --export DIR",
            )
        rendered = render(bundle, site.target, site.settings, destination.registry)
        record = _record(bundle, rendered, destination.registry)
        manager = field_manager(record.name, site.release_namespace)
        cluster = stack.enter_context(closing(open_cluster(site.kubeconfig, site.context, manager)))
        prepared = prepare(cluster, Intent(record, rendered.objects, site.release_namespace))
        change = release_change(prepared.before, record, site.settings)
        plan = prepared.plan
        if dry_run:
            sent = plan_push(bundle, destination)
        else:
            pushed = push_bundle(bundle, destination, progress)
            plan = apply(cluster, prepared, pushed, progress, time.sleep)
            push_artifact(pushed, destination)
            sent = pushed.sent
    done = _outcome(bundle, rendered, dry_run)
    return Installed(release=change, plan=plan, push=sent, **done)


def export_bundle(
    bundle: AuthenticatedBundle,
    site: Site,
    folder: Path,
    registry_name: str | None,
    progress: Progress,
    *,
    dry_run: bool = False,
) -> Exported:
    """Push `bundle` and write its objects to `folder`, which must be empty or absent.

    No API server is called. Images are named by the registry, or by `registry_name` where that
    is a folder (``oci:DIR``); without one they keep the placeholder host. All or nothing.
    """
    with closing(open_destination(site.registry)) as destination:
        if destination.registry is not None and registry_name is not None:
            raise UsageError(
                f"--registry-name {registry_name}: --registry {site.registry} is a name already",
                "--registry-name says where the content of an oci:DIR will be pulled from",
            )
        host = destination.registry or registry_name
        rendered = render(bundle, site.target, site.settings, host)
        check_folder(folder)
        if dry_run:
            sent = plan_push(bundle, destination)
        else:
            pushed = push_bundle(bundle, destination, progress)
            export(rendered.objects, pushed, folder)
            push_artifact(pushed, destination)
            sent = pushed.sent
    done = _outcome(bundle, rendered, dry_run)
    files = file_names(rendered.objects)
    return Exported(registry=host, folder=folder, files=files, push=sent, **done)


def _outcome(bundle: AuthenticatedBundle, rendered: Rendered, dry_run: bool) -> dict[str, Any]:
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


def _record(bundle: AuthenticatedBundle, rendered: Rendered, registry: str) -> Record:
    release = bundle.release
    return Record(
        name=release.name,
        index=str(release.index),
        version=release.version,
        target=rendered.target,
        registry=registry,
        parameters=rendered.values,
        inventory=(),
        signers=bundle.signers,
    )
