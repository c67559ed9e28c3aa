"""The spec and its policy, as they were read."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bundler.core.documents.bundle import Bundle, parse_bundle
from bundler.core.documents.places import Places
from bundler.core.documents.policy import Policy, parse_policy
from bundler.core.errors import DocumentError
from bundler.core.yamltext import spell
from bundler.sources import model as model_source
from bundler.sources.images import check_source
from bundler.sources.steady import like, read_steady
from bundler.sources.tree import below, walk

SPEC = "bundle.yaml"
_MAX_DOCUMENT = 1024**2
_POLICY = ("spec", "policy")
# What Python leaves beside checks that somebody ran; never the same twice.
_COMPILED = "__pycache__"


@dataclass(frozen=True)
class Spec:
    """A spec at `path`: its bytes, what they say, and where in them each thing stands."""

    path: Path
    data: bytes
    bundle: Bundle
    places: Places

    @property
    def root(self) -> Path:
        """The folder that sources are relative to."""
        return self.path.parent


def read_spec(path: Path) -> Spec:
    """The spec at `path`, and what can be said of its sources before an hour of hashing.

    DocumentError for a document that can't be accepted, SourceError for a source that is none.
    """
    data = read_steady(path, _MAX_DOCUMENT)
    bundle = parse_bundle(_decode(data, path), str(path))
    spec = Spec(path, data, bundle, Places(data, str(path)))
    for number, model in enumerate(bundle.models):
        with spec.places.at(("spec", "models", number, "source"), model.name):
            model_source.check_scheme(model)
    for number, image in enumerate(bundle.images):
        if image.source is not None:
            with spec.places.at(("spec", "images", number, "source"), image.name):
                check_source(image.source)
    return spec


@dataclass(frozen=True)
class ReadPolicy:
    """A policy, its checks by name, and all of its files by path."""

    policy: Policy
    checks: Mapping[str, bytes]
    files: Mapping[str, bytes]


def read_policy(spec: Spec) -> ReadPolicy:
    """The policy that the spec names, with its folder of checks; an empty one if it names none."""
    name = spec.bundle.policy
    if name is None:
        return ReadPolicy(Policy(), {}, {})
    path = below(spec.root, name)
    if not os.path.lexists(path):
        where, problem = spec.places.mark(_POLICY), f"{name}: expected a file, found none"
        raise DocumentError(where, spell(_POLICY), problem, like(path))
    with spec.places.at(_POLICY):
        data = read_steady(path, _MAX_DOCUMENT)
    policy = parse_policy(_decode(data, path), str(path))
    if policy.checks is None:
        return ReadPolicy(policy, {}, {name: data})
    folder = posixpath.join(posixpath.dirname(name), policy.checks)
    with spec.places.at(_POLICY):
        checks = read_checks(below(spec.root, folder))
    files = {f"{folder}/{file}": text for file, text in checks.items()}
    return ReadPolicy(policy, checks, {name: data, **files})


def read_checks(folder: Path) -> dict[str, bytes]:
    """The files of a policy's folder of checks, by their names in it."""
    return {
        file: read_steady(below(folder, file), _MAX_DOCUMENT)
        for file, _ in walk(folder)
        if _COMPILED not in file.split("/")
    }


def _decode(data: bytes, path: Path) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise DocumentError(str(path), "", f"is not UTF-8 at byte {error.start}") from error
