"""A project with its model on a hub and its image in a registry, both on loopback."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.making import tar_of
from tests.parts.hub import Hub
from tests.parts.hubrepos import Repo
from tests.parts.registry import Registry
from tests.project import Project, make_project, safetensors, write_layout
from tests.pushed import put_image

# More than what is read or written at once.
WEIGHTS = bytes(range(256)) * (10 * 1024)
CARD = b"---\nlicense: mit\n---\nA model.\n"


@dataclass(frozen=True)
class Origins:
    """Where the project's inputs come from; `mirror` is HOST/PREFIX."""

    project: Project
    hub: Hub
    repo: Repo
    mirror: str

    @property
    def environment(self) -> Mapping[str, str]:
        """What a command line needs to find them."""
        return {"HF_ENDPOINT": self.hub.endpoint, "PATH": os.environ["PATH"]}

    def commit(self, weights: bytes) -> str:
        """The branch `main` moves to a commit with other weights."""
        files = {
            "README.md": CARD,
            "config.json": b"{}\n",
            "model.safetensors": safetensors(weights),
        }
        return self.repo.commit(files)

    def tag(self, *layers: bytes) -> None:
        """The tag moves to an image of these layers."""
        layout = self.project.folder.with_name(f"image-{uuid.uuid4().hex}")
        top = write_layout(layout, *(tar_of({"file": layer}) for layer in layers))
        host, _, prefix = self.mirror.partition("/")
        put_image(host, f"{prefix}/team/server", "1.0", layout, top)

    def copy(self, folder: Path) -> Project:
        """The project as it is, in `folder` and with a store of its own."""
        shutil.copytree(self.project.folder, folder)
        return Project(folder)


def make_origins(folder: Path, hub: Hub, registry: Registry) -> Origins:
    """The small project in `folder`, its model on the hub and its image in the registry."""
    project = make_project(folder)
    shutil.rmtree(folder / "weights")
    shutil.rmtree(folder / "image")
    mirror = f"{registry.host}/m{uuid.uuid4().hex}"
    project.edit("bundle.yaml", "source: weights,", "source: hf://org/mini, revision: main,")
    project.edit("bundle.yaml", ', source: "oci:image"}', "}")
    project.edit("bundle.yaml", "overlays: [dev, site]", "overlays: [dev]")
    project.edit(
        "bundle.yaml",
        "  policy:",
        f"  registries: {json.dumps({'registry.corp:5000': {'mirror': mirror}})}\n  policy:",
    )
    origins = Origins(project, hub, hub.add("org/mini", {}), mirror)
    origins.commit(WEIGHTS)
    origins.tag(b"one", WEIGHTS)
    return origins
