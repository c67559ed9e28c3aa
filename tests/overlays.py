"""The overlays that come with airbundle, as the real kustomize renders them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bundler.core.objects.manifests import ObjectId, apply_order, parse_manifests
from bundler.tools.kustomize import check_tree, copy_tree, find_kustomize
from tests.parts.components import ROOT, find_program
from tests.parts.needs import require

IMAGE = "serving.local/server:1.0"
MODEL = "airbundle.invalid/models/model"
OVERLAYS = (
    "airgapped", "aws", "aws-govcloud", "azure", "azure-government", "dev", "gcp",
)  # fmt: skip

Objects = dict[str, dict[str, Any]]


def render_overlays(tree: Path) -> dict[str, Objects]:
    """Per overlay its objects by name, in the order of applying; `tree` is an empty folder."""
    found = find_program("kustomize") or find_program("kubectl")
    if found is None:
        require("kustomize")
    assert found is not None
    kustomize = find_kustomize(path=str(found.parent))
    copy_tree(ROOT, ["base", "overlays"], tree)
    folders = {name: f"overlays/{name}" for name in OVERLAYS}
    check_tree(tree, ["base", *folders.values()])
    return {
        name: {
            str(ObjectId.of(obj)): obj
            for obj in apply_order(parse_manifests(kustomize.render(tree, folder), name))
        }
        for name, folder in folders.items()
    }
