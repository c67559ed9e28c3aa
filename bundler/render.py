"""`airbundle render`: the objects of one target as they will be applied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bundler.archive.bundle import AuthenticatedBundle
from bundler.archive.packed import unpack
from bundler.core import gate, lock, yamltext
from bundler.core.digest import Digest
from bundler.core.documents.bundle import parse_bundle
from bundler.core.documents.policy import Policy, parse_policy
from bundler.core.documents.structure import nearest
from bundler.core.errors import IntegrityError, UsageError
from bundler.core.findings import Finding
from bundler.core.objects import images, manifests, parameters
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.reference import PLACEHOLDER_HOST
from bundler.core.yamldump import dump_all


@dataclass(frozen=True)
class Rendered:
    """What one target is for one site: its objects in the order of applying, and why it may be.

    `values` are all parameters with what they are set to; `waived` the findings of the core
    rules that the bundle's policy lets pass, and `warnings` those that shut no gate.
    """

    target: str
    objects: tuple[JsonObject, ...]
    values: Mapping[str, parameters.Value]
    waived: tuple[Finding, ...]
    warnings: tuple[Finding, ...]

    def yaml(self) -> str:
        """The objects as YAML documents, which read back as the same objects."""
        return dump_all(self.objects)


def render(
    bundle: AuthenticatedBundle, target: str, settings: Mapping[str, str], registry: str | None
) -> Rendered:
    """The objects of `target` with `settings` for its parameters and images from `registry`.

    Without a registry (``HOST[/PREFIX]``) images keep their placeholder host. UsageError for an
    unknown target or setting, or a folder as registry; PolicyError when the core rules refuse
    what the settings made.
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
    signed = manifests.load(bundle.layer(layer), layer)
    _require_shallow(signed)
    parameters.require_allowed(config.parameters, signed)
    values = parameters.values(config.parameters, settings)
    objects = parameters.substitute(signed, config.parameters, values)
    findings = _check(bundle, target, objects)
    if registry is not None:
        objects = images.relocate(target, objects, config.image_map, registry)
    return Rendered(
        target,
        manifests.apply_order(objects),
        values,
        tuple(each for each in findings if each.waiver is not None),
        tuple(each for each in findings if each.waiver is None),
    )


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
    bundle: AuthenticatedBundle, target: str, objects: tuple[JsonObject, ...]
) -> tuple[Finding, ...]:
    """What the core rules find, once more; PolicyError when something blocks."""
    policy = policy_of(bundle)
    # A waiver's last day counts when a bundle is built; what was accepted then is installed.
    found = gate.check_objects(target, objects, policy, carried(bundle))
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
    sources = unpack(bundle.layer("sources.tar"), "sources.tar")
    spec = lock.parse(bundle.layer("lock.json"), "lock.json").spec
    text = next((data for data in sources.values() if Digest.of(data) == spec), None)
    if text is None:
        raise IntegrityError(f"sources.tar: expected the spec {spec}, found no such file")
    path = parse_bundle(_decoded(text, "bundle.yaml"), "bundle.yaml").policy
    if path is None:
        return Policy()
    if path not in sources:
        raise IntegrityError(f"sources.tar: expected the policy {path}, found no such file")
    return parse_policy(_decoded(sources[path], path), path)


def _decoded(data: bytes, path: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise IntegrityError(f"sources.tar: {path}: is not UTF-8") from error
