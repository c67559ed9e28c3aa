"""What a kustomization file names, and that nothing in it reaches out or runs anything.

Its fields are those of Kustomize 5 (``api/types/kustomization.go``). Kustomize reads names without
regard to case and takes many a string for a URL, so what isn't known here is refused.
"""

from __future__ import annotations

import difflib
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn

from bundler.core import yamltext
from bundler.core.errors import DocumentError, PolicyError
from bundler.core.yamltext import Node

FILE_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
TRANSFORMERS = "transformers"

Role = Literal["file", "folder", "either"]

_NO_PATHS = frozenset(
    """apiVersion kind metadata namePrefix nameSuffix namespace commonLabels labels
    commonAnnotations images replicas vars sortOptions generatorOptions""".split()
)
_LISTS: Mapping[str, Role] = {
    "resources": "either",
    "bases": "folder",
    "components": "folder",
    "crds": "file",
    "configurations": "file",
    TRANSFORMERS: "file",
}
# Members of each list's items, or of the mapping itself for openapi; the second column may
# hold paths.
_GENERATOR = (frozenset("namespace name behavior literals options type".split()), "files envs env")
_PATCH = (frozenset({"patch", "target", "options"}), "path")
_MEMBERS: Mapping[str, tuple[frozenset[str], str]] = {
    "patches": _PATCH,
    "patchesJson6902": _PATCH,
    "replacements": (frozenset({"source", "sourceValue", "targets"}), "path"),
    "configMapGenerator": _GENERATOR,
    "secretGenerator": _GENERATOR,
    "openapi": (frozenset(), "path"),
}
_PLUGINS = "runs plugins, which are refused: use fields such as labels, patches, configMapGenerator"
_HELM = "runs helm, which is refused: render the chart once and list the result in resources"
_REFUSED: Mapping[str, str] = {
    "generators": _PLUGINS,
    "validators": _PLUGINS,
    "helmCharts": _HELM,
    "helmGlobals": _HELM,
    "helmChartInflationGenerator": _HELM,
    "buildMetadata": "makes manifests differ from one machine to the next: leave it out",
}
# Kustomize's own that change fields and name no path.
_TRANSFORMERS = (
    "AnnotationsTransformer",
    "ImageTagTransformer",
    "LabelTransformer",
    "NamespaceTransformer",
    "PrefixTransformer",
    "ReplicaCountTransformer",
    "SuffixTransformer",
)
_INLINE = "patchesStrategicMerge"
_FIELDS = (*_NO_PATHS, *_LISTS, *_MEMBERS, _INLINE)

# What Kustomize might take for a repository or a URL (api/internal/git/repospec.go), even when
# a folder of that name is there.
_REMOTE = re.compile(r"[:@?]|^github\.com(/|$)|\.git(/|$)|(^|/)_git/", re.IGNORECASE)
_ODD = re.compile(r"[\x00-\x1f\x7f\\]")


@dataclass(frozen=True)
class NamedPath:
    """A path that a kustomization names: where (``file:line:column``), in which field, as what.

    `path` is relative to the root of the tree, with ``/``, and stays inside.
    """

    where: str
    field: str
    path: str
    role: Role


def parse_kustomization(text: str, where: str, folder: str) -> tuple[NamedPath, ...]:
    """Every path that the kustomization `text`, in `folder` of the tree, names.

    DocumentError for what is no kustomization; PolicyError for a plugin, for what is remote, for
    a file outside of `folder` and for a folder outside of the tree. `where` names the file.
    """
    documents = yamltext.load_all(text, where, ambiguous="refuse")
    if len(documents) != 1 or not isinstance(documents[0].content, Mapping):
        raise DocumentError(where, "", "expected one document, a mapping")
    root = documents[0]
    _check_fields(root)
    return tuple(
        NamedPath(node.where, field, _inside(node, field, folder, role), role)
        for field, node, role in _paths(root)
    )


def check_transformers(text: str, where: str) -> None:
    """Looks through what a kustomization lists under ``transformers``, a file or a text.

    PolicyError unless each is one of Kustomize's own that change fields alone
    (``api/internal/builtins``): others run programs, or read what paths and URLs name.
    """
    for document in yamltext.load_all(text, where, ambiguous="refuse"):
        said = {name: node.content for name, node in _members(document, TRANSFORMERS).items()}
        if said.get("apiVersion") != "builtin" or said.get("kind") not in _TRANSFORMERS:
            raise PolicyError(f"{document.where}: {TRANSFORMERS}: {_PLUGINS}")


def _check_fields(root: Node) -> None:
    fields = _members(root, "")
    for field in fields:
        if field in _REFUSED:
            raise PolicyError(f"{root.keys[field]}: {field}: {_REFUSED[field]}")
    _require_known(root, "", _FIELDS)
    kind = fields["kind"].content if "kind" in fields else "Kustomization"
    if kind not in ("Kustomization", "Component"):
        raise DocumentError(fields["kind"].where, "kind", "expected Kustomization or Component")


def _paths(root: Node) -> Iterator[tuple[str, Node, Role]]:
    for field, node in _members(root, "").items():
        if field in _LISTS:
            for item in _items(node, field):
                if field == TRANSFORMERS and "\n" in str(item.content):
                    check_transformers(str(item.content), item.where)
                else:
                    yield field, item, _LISTS[field]
        elif field == _INLINE:
            for item in _items(node, field):
                if "\n" not in str(item.content):
                    yield field, item, "file"
        elif field in _MEMBERS:
            for item in [node] if field == "openapi" else _items(node, field):
                yield from _member_paths(item, field)


def _member_paths(item: Node, field: str) -> Iterator[tuple[str, Node, Role]]:
    free, with_paths = _MEMBERS[field]
    _require_known(item, field, (*free, *with_paths.split()))
    for name in with_paths.split():
        node = _members(item, field).get(name)
        if node is not None and node.content is not None:
            several = isinstance(node.content, tuple)
            for path in _items(node, field) if several else [node]:
                yield f"{field}.{name}", path, "file"


def _members(node: Node, field: str) -> Mapping[str, Node]:
    if not isinstance(node.content, Mapping):
        raise DocumentError(node.where, field, "expected a mapping")
    return node.content


def _items(node: Node, field: str) -> tuple[Node, ...]:
    if node.content is None:
        return ()
    if not isinstance(node.content, tuple):
        raise DocumentError(node.where, field, "expected a list")
    return node.content


def _require_known(node: Node, field: str, known: Collection[str]) -> None:
    for name in _members(node, field):
        if name not in known:
            nearest = difflib.get_close_matches(name, known, 1, 0.5)
            raise DocumentError(
                node.keys[name],
                f"{field}.{name}" if field else name,
                "is no field that is known here",
                hint=f"did you mean {nearest[0]}?" if nearest else None,
            )


def _inside(node: Node, field: str, folder: str, role: Role) -> str:
    def refuse(problem: str) -> NoReturn:
        raise PolicyError(f"{node.where}: {field}: {node.content!r:.200} {problem}")

    text = node.content
    if not isinstance(text, str) or not text or _ODD.search(text):
        raise DocumentError(node.where, field, f"expected a path, found {text!r:.100}")
    if _REMOTE.search(text):
        refuse("is remote, or reads as if it were: a bundle is built from its own folder alone")
    if field.endswith(".files"):
        text = text.partition("=")[2] or text  # key=path
    path = posixpath.normpath(posixpath.join(folder, text))
    if text.startswith("/") or path == ".." or path.startswith("../"):
        refuse("leaves the tree of base and overlays")
    if role == "file" and not path.startswith(f"{posixpath.normpath(folder)}/"):
        refuse(f"leaves the kustomization's own folder, {folder}")
    return path
