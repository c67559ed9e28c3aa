"""`airbundle render`: the objects of one target as they will be applied."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.archive.bundle import AuthenticatedBundle
from bundler.archive.packed import unpack
from bundler.core import gate, lock, yamltext
from bundler.core.digest import Digest
from bundler.core.documents.bundle import Bundle, parse_bundle
from bundler.core.documents.policy import Policy, parse_policy
from bundler.core.documents.structure import nearest
from bundler.core.errors import IntegrityError, UsageError
from bundler.core.findings import Finding
from bundler.core.objects import images, manifests, parameters
from bundler.core.objects.images import ImagePlace
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.reference import PLACEHOLDER_HOST
from bundler.core.yamldump import dump_all

# It is imported where it is used: what only an overlay needs is no part of a plain install.
if TYPE_CHECKING:
    from bundler.inputs.siteoverlay import SiteOverlay


@dataclass(frozen=True)
class Rendered:
    """What one target is for one site: its objects in the order of applying, and why it may be.

    `values` are the target's parameters with what they are set to, but those that keep what the
    manifests have; `waived` the findings that the policy lets pass, and `warnings` those that shut
    no gate. `overlay` is the site's own, where it has one.
    """

    target: str
    objects: tuple[JsonObject, ...]
    values: Mapping[str, parameters.Value]
    waived: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    overlay: SiteOverlay | None = None

    def yaml(self) -> str:
        """The objects as YAML documents, which read back as the same objects."""
        return dump_all(self.objects)


def render(
    bundle: AuthenticatedBundle,
    target: str,
    settings: Mapping[str, str],
    registry: str | None,
    overlay: SiteOverlay | None = None,
) -> Rendered:
    """The objects of `target` with `settings` for its parameters and images from `registry`.

    Without a registry (``HOST[/PREFIX]``) images keep their placeholder host. With a site's
    `overlay`, they are what kustomize makes of the signed sources and of it, and its policy judges.
    UsageError for an unknown target or setting, a required one that is missing, or a folder as
    registry; PolicyError when the core rules refuse what the settings or the overlay made.
    """
    if registry is not None and registry.startswith("oci:"):
        raise UsageError(
            f"registry {registry}: expected the HOST[/PREFIX] that images are pulled from, found "
            "a folder",
            "nothing pulls from a folder: name the registry that will have its content",
        )
    config = bundle.config
    if target not in config.targets:
        known = ", ".join(config.targets) or "none"
        raise UsageError(
            f"target: expected one of {known}, found {target!r}", nearest(target, config.targets)
        )
    layer = f"targets/{target}.json"
    made, places = manifests.load(bundle.layer(layer), layer), config.image_map
    if overlay is not None:
        made, places = _overlaid(bundle, target, overlay)
    _require_shallow(made)
    parameters.require_allowed(config.parameters, made)
    here = parameters.placed(config.parameters, made)
    found = parameters.values(config.parameters, settings)
    parameters.require_settled(target, here, settings)
    values = {each.name: found[each.name] for each in here if each.name in found}
    objects = parameters.substitute(made, here, values)
    findings = _check(bundle, target, objects, overlay)
    if registry is not None:
        objects = images.relocate(target, objects, places, registry)
    return Rendered(
        target,
        manifests.apply_order(objects),
        values,
        tuple(each for each in findings if each.waiver is not None),
        tuple(each for each in findings if each.waiver is None),
        overlay,
    )


def _overlaid(
    bundle: AuthenticatedBundle, target: str, overlay: SiteOverlay
) -> tuple[tuple[JsonObject, ...], tuple[ImagePlace, ...]]:
    from bundler.inputs.siteoverlay import overlaid

    sources, spec = _sources(bundle)
    locked = lock.parse(bundle.layer("lock.json"), "lock.json")
    digests = {entry.name: entry.descriptor.digest for entry in bundle.entries}
    models = {model.name: digests[f"models/{model.name}"] for model in locked.models}
    made = overlaid(overlay, target, spec, locked, sources, models)
    return made.objects, made.places


def _require_shallow(objects: tuple[JsonObject, ...]) -> None:
    """IntegrityError for what no document can hold, and what our recursion would break at."""
    for obj in objects:
        level: list[object] = [obj]
        for _ in range(yamltext.MAX_DEPTH):
            level = [child for each in level for child in _children(each)]
        if any(isinstance(each, dict | list) for each in level):
            raise IntegrityError(
                f"{ObjectId.of(obj)}: is nested deeper than {yamltext.MAX_DEPTH} levels"
            )


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _check(
    bundle: AuthenticatedBundle,
    target: str,
    objects: tuple[JsonObject, ...],
    overlay: SiteOverlay | None,
) -> tuple[Finding, ...]:
    """What the core rules find, once more; PolicyError when something blocks."""
    policy = policy_of(bundle)
    # A waiver's last day counts when a bundle is built; what was accepted then is installed.
    if overlay is None:
        found = gate.check_objects(target, objects, policy, carried(bundle))
    else:
        from bundler.inputs.siteoverlay import judge

        sources, spec = _sources(bundle)
        checks = checks_of(sources, spec, policy)
        found = judge(overlay, target, objects, (policy, checks), carried(bundle))
    gate.require_open([(target, each) for each in found])
    return found


def carried(bundle: AuthenticatedBundle) -> frozenset[str]:
    """The placeholder references of all images and models in the bundle."""
    return frozenset(
        f"{PLACEHOLDER_HOST}/{entry.repository}@{entry.descriptor.digest}"
        for entry in bundle.entries
        if entry.kind in ("image", "model")
    )


def policy_of(bundle: AuthenticatedBundle) -> Policy:
    """The policy that the bundle was built with, out of its signed sources."""
    sources, spec = _sources(bundle)
    path = spec.policy
    if path is None:
        return Policy()
    if path not in sources:
        raise IntegrityError(f"sources.tar: expected the policy {path}, found no such file")
    return parse_policy(_decoded(sources[path], path), path)


def checks_of(sources: Mapping[str, bytes], spec: Bundle, policy: Policy) -> dict[str, bytes]:
    """The checks of the bundle's own `policy`, by their names in its folder of checks."""
    if spec.policy is None or policy.checks is None:
        return {}
    folder = f"{posixpath.join(posixpath.dirname(spec.policy), policy.checks)}/"
    named = sources.items()
    return {path.removeprefix(folder): data for path, data in named if path.startswith(folder)}


def spec_of(bundle: AuthenticatedBundle) -> Bundle:
    """The ``bundle.yaml`` that the bundle was built from, out of its signed sources."""
    return _sources(bundle)[1]


def _sources(bundle: AuthenticatedBundle) -> tuple[Mapping[str, bytes], Bundle]:
    """The files that were locked, by path, and the spec among them."""
    sources = unpack(bundle.layer("sources.tar"), "sources.tar")
    wanted = lock.parse(bundle.layer("lock.json"), "lock.json").spec
    text = next((data for data in sources.values() if Digest.of(data) == wanted), None)
    if text is None:
        raise IntegrityError(f"sources.tar: expected the spec {wanted}, found no such file")
    return sources, parse_bundle(_decoded(text, "bundle.yaml"), "bundle.yaml")


def _decoded(data: bytes, path: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise IntegrityError(f"sources.tar: {path}: is not UTF-8") from error
