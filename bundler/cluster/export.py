"""A release as a folder for GitOps: one file an object, and a kustomization that lists them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bundler.cluster.push import PushedBundle
from bundler.core.errors import UsageError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.yamldump import dump_all

KUSTOMIZATION = "kustomization.yaml"

_ODD = re.compile(r"[^a-z0-9.-]")


def check_folder(folder: Path) -> None:
    """UsageError unless `folder` is empty, or absent in a folder that is there."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"--export {folder}: expected a folder, or nothing")
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(
            f"--export {folder}: is not empty",
            "name a folder that is empty or does not exist, and compare it with the old one",
        )


def file_names(objects: Sequence[JsonObject]) -> tuple[str, ...]:
    """The names of the files that `export` writes: of each object, then the kustomization."""
    ids = [ObjectId.of(obj) for obj in objects]
    simple = [_ODD.sub("_", _words(each).lower()) for each in ids]
    count = Counter(simple)
    names = [
        f"{name}.yaml" if count[name] == 1 else f"{name}-{_mark(each)}.yaml"
        for name, each in zip(simple, ids, strict=True)
    ]
    return (*names, KUSTOMIZATION)


def export(objects: Sequence[JsonObject], pushed: PushedBundle, folder: Path) -> None:
    """Write `objects` of the `pushed` bundle to `folder`, by renaming what is complete.

    UsageError when the folder is in use or can't be written; nothing is left then.
    """
    check_folder(folder)
    place = folder.absolute()
    partial = place.with_name(f".{place.name}.airbundle-partial")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)  # of an export that was killed
        partial.mkdir()
        _write(objects, pushed, partial)
        partial.replace(place)
    except OSError as error:
        raise UsageError(f"--export {folder}: can't be written: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(objects: Sequence[JsonObject], pushed: PushedBundle, folder: Path) -> None:
    names = file_names(objects)[:-1]
    for name, obj in zip(names, objects, strict=True):
        _put(folder / name, dump_all([obj]), 0o600 if obj["kind"] == "Secret" else 0o666)
    release = pushed.bundle.release
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": list(names),
    }
    comment = f"# {release.name} {release.version}, index {release.index}\n"
    _put(folder / KUSTOMIZATION, comment + dump_all([kustomization]), 0o666)


def _put(path: Path, text: str, mode: int) -> None:
    """Write a new file with `mode`, of which the umask takes away."""
    path.touch(mode, exist_ok=False)
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _words(object_id: ObjectId) -> str:
    place = f"{object_id.namespace}-" if object_id.namespace else ""
    return f"{place}{object_id.kind}-{object_id.name}"


def _mark(object_id: ObjectId) -> str:
    """What tells apart two objects whose names are one in a file system."""
    text = f"{object_id.api_version} {object_id}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]
