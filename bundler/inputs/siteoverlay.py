"""A site's own overlay over a bundle's base and overlays, rendered where it is installed.

Its kustomization names what it changes by a path that is the same in every bundle::

    resources: [../overlays/airgapped]

The bundle's signed Kustomize sources are unpacked into a private folder, the site's files beside
them. A site can change every object and add its own, and can use only images and models that the
bundle carries: there is nothing else on the far side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from bundler.core import gate, strictjson
from bundler.core.digest import Digest
from bundler.core.documents.bundle import Bundle
from bundler.core.documents.policy import Policy, parse_policy
from bundler.core.errors import (
    DocumentError,
    IntegrityError,
    PolicyError,
    SourceError,
    ToolError,
    UsageError,
)
from bundler.core.findings import Finding, apply_waivers
from bundler.core.lock import Lock
from bundler.core.objects import manifests
from bundler.core.objects.images import ImagePlace, rewrite
from bundler.core.objects.manifests import apply_order, parse_manifests
from bundler.inputs.inputs import Objects, replacements
from bundler.inputs.loading import NAME as LOADER
from bundler.inputs.loading import arranged
from bundler.inputs.matching import match
from bundler.inputs.rendering import OVERLAYS
from bundler.inputs.spec import read_checks
from bundler.scan.checkov import scan_objects as run_checkov
from bundler.sources.steady import read_steady
from bundler.sources.tree import check_names, walk
from bundler.tools.kustomize import Kustomize, check_tree, find_kustomize

# All of it, with policy and checks. A release's record holds it, and those of ten earlier installs;
# a Secret has room for 1 MiB.
MAX_SIZE = 48 * 1024
_WHAT = "the overlay of the release"


@dataclass(frozen=True)
class SiteOverlay:
    """A site's overlay: its files by path and, where the site has one, its policy's bytes.

    That policy then judges alone, with waivers that hold on `today` (YYYY-MM-DD; None: with all of
    them, for what was accepted earlier); without one, the bundle's own does. `checks` are the
    policy's, for checkov, which is asked when it is to be `scanned`.
    """

    files: Mapping[str, bytes]
    policy: bytes | None = None
    checks: Mapping[str, bytes] = field(default_factory=dict)
    today: str | None = None
    scanned: bool = False

    @property
    def digest(self) -> Digest:
        """One digest of all of its bytes: those of the overlay, the policy and its checks."""
        return Digest.of(self.dump())

    def dump(self) -> bytes:
        """Its files and its policy as canonical JSON, for the record of a release."""
        policy = None if self.policy is None else _decoded(self.policy, "policy")
        return strictjson.canonical(
            {"checks": _texts(self.checks), "files": _texts(self.files), "policy": policy}
        )

    @classmethod
    def load(cls, data: bytes) -> SiteOverlay:
        """What `dump` gave, as it was accepted; IntegrityError for anything else."""
        try:
            found = strictjson.parse(data, _WHAT)
            policy = found["policy"]
            _require_inside(found["files"], _WHAT)
            return cls(
                {path: text.encode() for path, text in found["files"].items()},
                None if policy is None else policy.encode(),
                {path: text.encode() for path, text in found["checks"].items()},
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise IntegrityError(f"{_WHAT}: expected files and a policy, found others") from error

    def judged_by(self) -> Policy | None:
        """The site's policy, with the waivers that hold; DocumentError when it is none."""
        if self.policy is None:
            return None
        policy = parse_policy(_decoded(self.policy, "policy"), "policy")
        return policy if self.today is None else gate.still_valid(policy, self.today)


@dataclass(frozen=True)
class Overlaid:
    """What a site's overlay made of a target: objects with placeholders, and where these are."""

    objects: Objects
    places: tuple[ImagePlace, ...]


def read_overlay(folder: Path, policy: Path | None, today: str, *, scanned: bool) -> SiteOverlay:
    """The overlay in `folder`, and the policy in a file of its own with its folder of checks.

    SourceError for links, odd names and more than 48 KiB; DocumentError for what is no text or no
    policy.
    """
    files: dict[str, bytes] = {}
    for path, stamp in walk(folder):
        _require_small(folder, sum(map(len, files.values())) + stamp.size)
        files[path] = read_steady(folder / path, MAX_SIZE)
    made = SiteOverlay(files, today=today, scanned=scanned)
    if policy is not None:
        data = read_steady(policy, MAX_SIZE)
        checks = parse_policy(_decoded(data, str(policy)), str(policy)).checks
        found = {} if checks is None else read_checks(policy.parent / checks)
        made = SiteOverlay(files, data, found, today, scanned)
    _require_small(folder, len(made.dump()))
    return made


def _require_small(folder: Path, size: int) -> None:
    if size > MAX_SIZE:
        raise SourceError(
            f"{folder}: expected an overlay of {MAX_SIZE} bytes at most, its policy and checks "
            "included, found more",
            "the release's record holds all of it: keep there what the kustomization names alone",
        )


def overlaid(
    site: SiteOverlay,
    target: str,
    spec: Bundle,
    locked: Lock,
    sources: Mapping[str, bytes],
    models: Mapping[str, Digest],
) -> Overlaid:
    """`target` as the site's overlay makes it of the bundle's signed `sources`.

    `models` are the digests of the models' images. ToolError without a kustomize, or with one that
    renders the bundle's own target otherwise than it was signed; UsageError unless the overlay
    builds on that target; PolicyError for what is remote, for a path outside of the tree, and for
    an image or model that the bundle lacks.
    """
    tree = _tree(locked, sources)
    try:
        kustomize = find_kustomize()
    except ToolError as error:
        problem = f"--overlay is rendered on this machine: {error.message}"
        raise ToolError(problem, error.hint) from error
    own = _own_folder(tree)
    with TemporaryDirectory(prefix="airbundle-") as name:
        root = Path(name)
        _write(root, tree)
        _write(root / own, site.files)
        seen = check_tree(root, [own])
        _require_target(target, seen)
        signed = _rendered(kustomize, root, f"{OVERLAYS}/{target}", target, spec, locked)
        _require_same(kustomize, target, signed, locked)
        objects = _rendered(kustomize, root, own, target, spec, locked)
    try:
        matched = match(spec, {target: objects}, locked.images)
        changed, places = rewrite(target, objects, replacements(matched, models))
    except PolicyError as error:
        raise PolicyError(
            f"--overlay: {error.message}",
            "an overlay can use only what the bundle carries: `airbundle inspect` lists it",
        ) from error
    return Overlaid(changed, places)


def judge(
    site: SiteOverlay,
    target: str,
    objects: Objects,
    own: tuple[Policy, Mapping[str, bytes]],
    carried: frozenset[str],
) -> tuple[Finding, ...]:
    """What the core rules, and checkov where it is asked, find in `objects`, waivers applied.

    By the site's policy and checks, or by the bundle's `own` where the site has none. ToolError
    when checkov is asked and is not there.
    """
    said = site.judged_by()
    policy, checks = own if said is None else (said, site.checks)
    found = gate.check_objects(target, objects, policy, carried)
    if site.scanned:
        scan = run_checkov({target: objects}, policy, checks)
        found = (*found, *apply_waivers(scan.findings[target], policy))
    return found


def _rendered(
    kustomize: Kustomize, root: Path, folder: str, target: str, spec: Bundle, locked: Lock
) -> Objects:
    """The objects of `folder` as `build` would have made them for `target`."""
    objects = apply_order(parse_manifests(kustomize.render(root, folder), folder))
    loader = next((image.digest for image in locked.images if image.name == LOADER), None)
    return arranged(spec, {target: objects}, locked.models, loader)[target]


def _require_target(target: str, seen: frozenset[str]) -> None:
    wanted = f"{OVERLAYS}/{target}"
    if wanted not in seen:
        found = ", ".join(each for each in sorted(seen) if each.startswith(f"{OVERLAYS}/"))
        raise UsageError(
            f"--overlay: expected it to build on ../{wanted}, found {found or 'none of overlays/'}",
            f"its kustomization says `resources: [../{wanted}]`, or --target another",
        )


def _require_same(kustomize: Kustomize, target: str, signed: Objects, locked: Lock) -> None:
    if Digest.of(manifests.dump(signed)) != locked.targets.get(target):
        built = locked.tools.get("kustomize", "unknown")
        raise ToolError(
            f"{kustomize.name} {kustomize.version} renders the target {target} otherwise than it "
            f"was signed, by {built}",
            f"put {built} on PATH",
        )


def _tree(locked: Lock, sources: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of base and overlays, by path, as they were locked."""
    for path, digest in locked.sources.items():
        if path not in sources or Digest.of(sources[path]) != digest:
            raise IntegrityError(f"sources.tar: {path}: expected {digest}, found something else")
    _require_inside(locked.sources, "sources.tar")
    return {path: sources[path] for path in locked.sources}


def _require_inside(names: Iterable[str], where: str) -> None:
    try:
        check_names(tuple(names), where)
    except SourceError as error:
        raise IntegrityError(error.message) from error


def _own_folder(tree: Mapping[str, bytes]) -> str:
    """A name beside base and overlays that neither of them has."""
    taken = {path.partition("/")[0] for path in tree}
    return next(name for name in ("site", "site-overlay", "overlay") if name not in taken)


def _write(root: Path, files: Mapping[str, bytes]) -> None:
    root.mkdir(exist_ok=True)
    for path, data in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


def _texts(files: Mapping[str, bytes]) -> dict[str, str]:
    return {path: _decoded(data, path) for path, data in files.items()}


def _decoded(data: bytes, where: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise DocumentError(where, "", f"is not UTF-8 at byte {error.start}") from error
