"""`airbundle push`: images, models and files of a bundle into a registry or an OCI layout."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bundler.archive.bundle import AuthenticatedBundle
from bundler.archive.layout import LayoutDestination
from bundler.cluster.push import Pullable, PushPlan, placed, pullables, push_artifact, push_bundle
from bundler.core.destination import Destination
from bundler.core.digest import Digest
from bundler.core.errors import UsageError
from bundler.core.progress import Progress
from bundler.tools.registry import RegistryDestination

LAYOUT_PREFIX = "oci:"


@dataclass(frozen=True)
class Pushed:
    """What was brought where, and the digest under which the bundle itself can be found there.

    `status` is the bundle's: TRUSTED, UNTRUSTED or UNSIGNED. `references` are where each image
    and model can be pulled, `bundle` where the bundle itself is, by name and version.
    """

    status: str
    signers: tuple[str, ...]
    name: str
    version: str
    index: Digest
    destination: str
    sent: PushPlan
    bundle: str
    artifact: Digest
    references: tuple[Pullable, ...]


def open_destination(text: str, registry_ca: Path | None = None) -> Destination:
    """The registry ``[PROFILE:]HOST[/PREFIX]`` or the layout ``oci:DIR``.

    `registry_ca` are certificates to trust as well. UsageError for anything else.
    """
    if not text.startswith(LAYOUT_PREFIX):
        return _registry(text, registry_ca)
    folder = text.removeprefix(LAYOUT_PREFIX)
    if not folder:
        raise UsageError("oci: expected a folder behind it, found nothing")
    return LayoutDestination(Path(folder))


def _registry(text: str, registry_ca: Path | None) -> RegistryDestination:
    try:
        return RegistryDestination(text, authority=registry_ca)
    except UsageError as error:
        raise UsageError(error.message, f"{error.hint}; a folder is written oci:DIR") from error


def push(
    bundle: AuthenticatedBundle,
    registry: str,
    progress: Progress,
    registry_ca: Path | None = None,
) -> Pushed:
    """Bring to `registry` what it lacks of `bundle`; pushed again, nothing changes.

    SourceError when the registry refuses or has this version with other content; IntegrityError
    when the file is not what it was.
    """
    with closing(open_destination(registry, registry_ca)) as destination:
        pushed = push_bundle(bundle, destination, progress)
        artifact = push_artifact(pushed, destination)
    release = bundle.release
    return Pushed(
        bundle.status,
        bundle.signers,
        release.name,
        release.version,
        release.index,
        registry,
        pushed.sent,
        f"{placed(f'bundles/{release.name}', pushed.registry)}:{release.version}",
        artifact,
        pullables(bundle, pushed.registry),
    )
