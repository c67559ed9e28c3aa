"""`airbundle install --export`: plan, push, and write a folder for GitOps."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bundler.archive.bundle import AuthenticatedBundle
from bundler.cluster.export import check_folder, export, file_names
from bundler.cluster.objectstore import require_keys, upload
from bundler.cluster.push import PushPlan, plan_push, push_artifact, push_bundle
from bundler.core.errors import UsageError
from bundler.core.findings import Finding
from bundler.core.progress import Progress
from bundler.install import Site, outcome
from bundler.push import open_destination
from bundler.render import render


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
    is a folder (``oci:DIR``); without one they keep the placeholder host. All or nothing. What
    `spec.site` wants is not made: a login is nothing to keep in git.
    """
    with closing(open_destination(site.registry, site.registry_ca)) as destination:
        if destination.registry is not None and registry_name is not None:
            raise UsageError(
                f"--registry-name {registry_name}: --registry {site.registry} is a name already",
                "--registry-name says where the content of an oci:DIR will be pulled from",
            )
        host = destination.registry or registry_name
        rendered = render(bundle, site.target, site.settings, host, site.overlay)
        check_folder(folder)
        require_keys(rendered.objects)
        if dry_run:
            sent = plan_push(bundle, destination)
        else:
            pushed = push_bundle(bundle, destination, progress)
            upload(bundle, rendered.objects, progress)
            export(rendered.objects, pushed, folder)
            push_artifact(pushed, destination)
            sent = pushed.sent
    done = outcome(bundle, rendered, dry_run)
    files = file_names(rendered.objects)
    return Exported(registry=host, folder=folder, files=files, push=sent, **done)
