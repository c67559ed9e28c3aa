"""A bundle larger than ustar's size field can say, which takes next to no room on the disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bundler.sign.keys import Algorithm, PrivateKey
from tests.project import make_project, write_sparse_safetensors

TENSOR = 9 * 1024**3


@dataclass(frozen=True)
class LargeBundle:
    """`path` of a signed bundle, and of the public half of the key that signed it."""

    path: Path
    public: Path


def make_large(folder: Path) -> LargeBundle:
    """Builds it in `folder`, from a sparse file of zeros that is gone afterwards."""
    project = make_project(folder / "project")
    weights = project.folder / "weights" / "model.safetensors"
    write_sparse_safetensors(weights, TENSOR)
    key = PrivateKey.generate(Algorithm.P256)
    public = folder / "large.pub"
    public.write_bytes(key.public.pem())
    project.build(folder / "large.tar", key)
    weights.unlink()
    return LargeBundle(folder / "large.tar", public)
