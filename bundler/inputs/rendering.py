"""The Kustomize tree of a spec, rendered for every target in a private copy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bundler.core.documents.structure import nearest
from bundler.core.errors import DocumentError, SourceError
from bundler.core.objects.manifests import apply_order, parse_manifests
from bundler.core.yamltext import Path as YamlPath
from bundler.core.yamltext import spell
from bundler.inputs.inputs import Objects
from bundler.inputs.spec import Spec
from bundler.sources.tree import check_name
from bundler.tools.kustomize import check_tree, copy_tree, find_kustomize

OVERLAYS = "overlays"
# Half of what a bundle has room for beside its layers; rendered manifests need the rest.
_MAX_TREE = 32 * 1024**2


@dataclass(frozen=True)
class Rendered:
    """What kustomize (its name and version) made of a tree.

    `tree` is every file that it may have read, by path; `objects` each target's objects, images
    and models as they are written, in the order in which they are applied.
    """

    kustomize: str
    tree: Mapping[str, bytes]
    objects: Mapping[str, Objects]


def render(spec: Spec) -> Rendered:
    """Every target of `spec`; DocumentError, SourceError or ToolError when one can't be."""
    kustomize = find_kustomize()
    wanted = spec.bundle.manifests
    folders = [f"{OVERLAYS}/{name}" for name in wanted.overlays]
    with TemporaryDirectory(prefix="airbundle-") as name:
        tree = Path(name)
        with spec.places.at(("spec", "manifests", "base")):
            copy_tree(spec.root, [wanted.base], tree)
        with spec.places.at(("spec", "manifests", "overlays")):
            copy_tree(spec.root, [OVERLAYS], tree)
        _require_overlays(spec, tree)
        check_tree(tree, folders)
        read = _read_tree(tree, spec.root)
        objects = {
            target: apply_order(parse_manifests(kustomize.render(tree, folder), folder))
            for target, folder in zip(wanted.overlays, folders, strict=True)
        }
    return Rendered(f"{kustomize.name} {kustomize.version}", read, objects)


def _require_overlays(spec: Spec, tree: Path) -> None:
    for number, name in enumerate(spec.bundle.manifests.overlays):
        if not (tree / OVERLAYS / name).is_dir():
            path: YamlPath = ("spec", "manifests", "overlays", number)
            there = sorted(found.name for found in (tree / OVERLAYS).iterdir() if found.is_dir())
            problem = f"{OVERLAYS}/{name}: expected a folder, found none"
            raise DocumentError(spec.places.mark(path), spell(path), problem, nearest(name, there))


def _read_tree(tree: Path, root: Path) -> dict[str, bytes]:
    """Every file below `tree`, the copy of what is below `root`; they travel in the bundle."""
    read: dict[str, bytes] = {}
    left = _MAX_TREE
    for path in sorted(path for path in tree.rglob("*") if path.is_file()):
        name = path.relative_to(tree).as_posix()
        check_name(name, root)
        left -= path.stat().st_size
        if left < 0:
            raise SourceError(
                f"{root / name}: base and overlays hold more than {_MAX_TREE} bytes with it",
                "list large files under spec.models or spec.files",
            )
        read[name] = path.read_bytes()
    return read
