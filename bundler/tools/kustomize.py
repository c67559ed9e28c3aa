"""Kustomize: found on PATH, given a private copy of a tree that was looked through, and run.

It runs without plugins, without network programs on its PATH and with an empty home.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bundler.core.errors import DocumentError, SourceError, ToolError
from bundler.core.objects.kustomization import (
    FILE_NAMES,
    TRANSFORMERS,
    NamedPath,
    check_transformers,
    parse_kustomization,
)
from bundler.tools import process
from bundler.tools.process import Runner

_OLDEST = (5, 0)
_OLDEST_KUBECTL = (1, 27)
_VERSION = re.compile(r"\bv?(\d+)\.(\d+)\.(\d+)")
_REMEDY = (
    "put kustomize 5 or later, or kubectl 1.27 or later, on PATH; with Go: "
    "go install sigs.k8s.io/kustomize/kustomize/v5@latest"
)


@dataclass(frozen=True)
class Kustomize:
    """A kustomize that is recent enough: how to call it, its name, its version (``5.8.1``)."""

    argv: tuple[str, ...]
    name: str
    version: str
    run: Runner = field(default=process.run, repr=False, compare=False)

    def render(self, tree: Path, folder: str) -> str:
        """The YAML of the kustomization in `folder` of `tree`, which `check_tree` has passed.

        ToolError when it fails, or renders nothing.
        """
        restricted = ("--load-restrictor", "LoadRestrictionsRootOnly")
        with _bare_environment() as env:
            output = self.run((*self.argv, *restricted, f"./{folder}"), cwd=tree, env=env)
        if not output.strip():
            raise ToolError(f"{self.name}: {folder}: expected manifests, found nothing")
        try:
            return output.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ToolError(f"{self.name}: {folder}: its output isn't UTF-8") from error


def find_kustomize(run: Runner = process.run, path: str | None = None) -> Kustomize:
    """The first of kustomize and kubectl on `path` (by default PATH) that is recent enough.

    ToolError that names each one found with its version, when none is.
    """
    refused: list[str] = []
    for name, probe in (("kustomize", _probe_kustomize), ("kubectl", _probe_kubectl)):
        program = shutil.which(name, path=path)
        if program is None:
            continue
        try:
            return probe(program, run)
        except ToolError as error:
            refused.append(error.message)
    found = "; ".join(refused) or "found neither kustomize nor kubectl on PATH"
    raise ToolError(f"kustomize: {found}", hint=_REMEDY)


def copy_tree(root: Path, folders: Sequence[str], destination: Path) -> None:
    """A copy of `folders` below `root`, at the same paths below `destination`.

    SourceError, by name, for anything but folders and regular files: links, devices, sockets.
    """
    for folder in folders:
        for parent in reversed(Path(folder).parents[:-1]):
            _require_folder(root / parent)
        _copy_folder(root / folder, destination / folder)


def check_tree(root: Path, folders: Sequence[str]) -> frozenset[str]:
    """Walks the kustomizations in `folders` below `root`, and in all folders that these name.

    These folders are what it gives. DocumentError for what is missing or no kustomization,
    PolicyError for what `parse_kustomization` and `check_transformers` refuse. `root` is a copy by
    `copy_tree`, so it holds no links.
    """
    waiting, seen = list(folders), set(folders)
    while waiting:
        folder = waiting.pop(0)
        for named in _named_by(root, folder):
            role = _role(root, named)
            if named.field == TRANSFORMERS:
                check_transformers(_text(root, named.path), named.path)
            if role == "folder" and named.path not in seen:
                seen.add(named.path)
                waiting.append(named.path)
    return frozenset(seen)


def _copy_folder(source: Path, destination: Path) -> None:
    _require_folder(source)
    destination.mkdir(parents=True, exist_ok=True)
    for entry in sorted(source.iterdir()):
        if stat.S_ISDIR(_status(entry).st_mode):
            _copy_folder(entry, destination / entry.name)
        else:
            _copy_file(entry, destination / entry.name)


def _require_folder(path: Path) -> None:
    if not stat.S_ISDIR(_status(path).st_mode):
        raise SourceError(f"{path}: expected a folder, found {_kind(path)}")


def _copy_file(source: Path, destination: Path) -> None:
    # Opened without following links or waiting for a pipe, then looked at: what was checked is
    # what is read.
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise SourceError(f"{source}: can't be read: {_kind(source)}: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as reader:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise SourceError(f"{source}: expected a regular file, found {_kind(source)}")
        with destination.open("xb") as writer:
            shutil.copyfileobj(reader, writer)


def _status(path: Path) -> os.stat_result:
    try:
        return path.lstat()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error


def _kind(path: Path) -> str:
    names = {
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFREG: "a file",
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
    }
    return names.get(stat.S_IFMT(_status(path).st_mode), "a device")


def _named_by(root: Path, folder: str) -> tuple[NamedPath, ...]:
    files = [name for name in FILE_NAMES if (root / folder / name).is_file()]
    if len(files) != 1:
        found = " and ".join(files) or "none"
        raise DocumentError(folder, "", f"expected one of {', '.join(FILE_NAMES)}, found {found}")
    where = f"{folder}/{files[0]}"
    return parse_kustomization(_text(root, where), where, folder)


def _text(root: Path, where: str) -> str:
    try:
        return (root / where).read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(where, "", "is not UTF-8") from error


def _role(root: Path, named: NamedPath) -> str:
    path = root / named.path
    role = "folder" if path.is_dir() else "file" if path.is_file() else "nothing"
    if role not in (("file", "folder") if named.role == "either" else (named.role,)):
        expected = "a file or folder" if named.role == "either" else f"a {named.role}"
        raise DocumentError(
            named.where, named.field, f"expected {expected} at {named.path}, found {role}"
        )
    return role


def _probe_kustomize(program: str, run: Runner) -> Kustomize:
    with _bare_environment() as env:
        answer = run((program, "version"), env=env).decode("utf-8", "replace").strip()
    version = _VERSION.search(answer)
    # A build from a checkout calls itself (devel): it could be anything.
    if not version or _numbers(version) < _OLDEST:
        raise ToolError(f"{program} is version {answer[:100]!r}, expected 5.0.0 or later")
    return Kustomize((program, "build"), "kustomize", ".".join(version.groups()), run)


def _probe_kubectl(program: str, run: Runner) -> Kustomize:
    with _bare_environment() as env:
        answer = run((program, "version", "--client", "-o", "json"), env=env)
    try:
        parsed = json.loads(answer)
        kubectl = str(parsed["clientVersion"]["gitVersion"])
        inner = str(parsed.get("kustomizeVersion", "unknown"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(f"{program}: does not say its version") from error
    own, version = _VERSION.search(kubectl), _VERSION.search(inner)
    if not own or _numbers(own) < _OLDEST_KUBECTL or not version or _numbers(version) < _OLDEST:
        raise ToolError(
            f"{program} is version {kubectl} with kustomize {inner}, "
            "expected 1.27 or later with kustomize 5.0.0 or later"
        )
    return Kustomize((program, "kustomize"), "kubectl", ".".join(version.groups()), run)


def _numbers(version: re.Match[str]) -> tuple[int, int]:
    return int(version[1]), int(version[2])


@contextmanager
def _bare_environment() -> Iterator[dict[str, str]]:
    """Variables that lead to one empty folder: no configuration, no plugins, no git, no helm."""
    names = ("HOME", "PATH", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
    with tempfile.TemporaryDirectory(prefix="airbundle-") as empty:
        yield dict.fromkeys(names, empty)
