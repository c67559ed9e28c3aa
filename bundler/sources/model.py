"""A model of the spec: its files by path, complete, and under the licence that its card states."""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path

from bundler.core.documents.bundle import Model
from bundler.core.errors import PolicyError, SourceError
from bundler.core.findings import Finding
from bundler.core.jsonmembers import object_members, string
from bundler.core.modelcard import ModelCard, parse_card
from bundler.core.progress import SILENT, Progress
from bundler.sources.files import NOTHING_KNOWN, Known, SourceFile, list_files
from bundler.sources.steady import read_steady, unreadable
from bundler.sources.tree import below

CARD = "README.md"
LICENSE_RULE = "license"
# SPDX's word for "nobody says": what a fresh project has until somebody looked at the card.
NOASSERTION = "NOASSERTION"
_MAX_CARD = 4 * 1024**2
# The largest published one, of a model with 91,991 tensors, has 9 MB.
_MAX_WEIGHT_INDEX = 16_000_000
_MAX_SHARDS = 100_000
_WEIGHT_INDEX = ".safetensors.index.json"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


@dataclass(frozen=True)
class ResolvedModel:
    """A model as the lock will have it, with what its card says and what there is to warn of."""

    name: str
    source: str
    revision: str | None
    license: str
    files: tuple[SourceFile, ...]
    card: ModelCard
    findings: tuple[Finding, ...]


def resolve(
    model: Model,
    root: Path,
    progress: Progress = SILENT,
    known: Known = NOTHING_KNOWN,
) -> ResolvedModel:
    """`model`, whose source is a folder (relative to `root`, or absolute); hashed by `list_files`.

    SourceError for another scheme, for what `list_files` refuses, and for a weight index that
    names files which are not there. PolicyError when the card states another licence. The card
    is README.md of the folder, whether or not `include` lets it travel; when there is none, or it
    states nothing, or the spec says NOASSERTION, that is a warning.
    """
    check_scheme(model)
    folder = below(root, model.source)
    _is_there(folder)  # what is not there, list_files names
    files = list_files(folder, model.include, progress, known)
    for file in files:
        if file.path.lower().endswith(_WEIGHT_INDEX):
            _check_weight_index(file, {other.path for other in files})
    card = _read_card(folder)
    findings = tuple(_unstated(model, card))
    if not findings and not card.agrees(model.license):
        raise PolicyError(
            f"model {model.name!r}: license is {model.license!r}, its card states "
            f"{_stated(card)} ({folder / CARD})",
            "state the licence that the card has, or get a model whose card is right",
        )
    return ResolvedModel(
        model.name, model.source, model.revision, model.license, files, card, findings
    )


def check_scheme(model: Model) -> None:
    """SourceError for a source that is no folder as it is written; nothing is looked up."""
    scheme = _SCHEME.match(model.source)
    if scheme:
        raise SourceError(
            f"model {model.name!r}: source {model.source!r}: "
            f"the scheme {scheme[1]}: is not read by this version",
            "fetch the model into a folder and name that",
        )
    if model.revision is not None:
        raise SourceError(
            f"model {model.name!r}: revision is {model.revision!r}, but a folder has no revisions",
            "remove `revision`",
        )


def _check_weight_index(file: SourceFile, paths: set[str]) -> None:
    """https://huggingface.co/docs/safetensors/index#sharded: `weight_map`, tensor to file name."""
    if file.size > _MAX_WEIGHT_INDEX:
        raise SourceError(
            f"{file.location}: expected at most {_MAX_WEIGHT_INDEX} bytes, found {file.size}"
        )
    with file.open() as stream:
        data = stream.read()
    try:
        shards = _shards(data)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{file.location}: is not a JSON object: {error}") from error
    if shards is None:
        raise SourceError(f"{file.location}: expected weight_map, from tensors to file names")
    folder = posixpath.dirname(file.path)
    missing = sorted(s for s in shards if posixpath.join(folder, s) not in paths)
    if missing:
        raise SourceError(
            f"{file.location}: names {len(missing)} files that are not among the model's: "
            f"{', '.join(map(repr, missing[:3]))}",
            "fetch what is missing, or let `include` choose it",
        )


def _shards(data: bytes) -> set[str] | None:
    """The file names that `weight_map` maps to; None when it is not there, or no such map."""
    maps = [span for name, span in object_members(data) if name == "weight_map"]
    if len(maps) != 1 or data[maps[0].begin : maps[0].begin + 1] != b"{":
        return None
    shards: set[str] = set()
    for _, value in object_members(data, maps[0]):
        if data[value.begin : value.begin + 1] != b'"':
            return None
        shards.add(string(data, value))
        if len(shards) > _MAX_SHARDS:
            raise ValueError(f"names more than {_MAX_SHARDS} files")
    return shards


def _read_card(folder: Path) -> ModelCard:
    location = folder / CARD
    # A link that leads nowhere is no missing card, but is refused.
    if not _is_there(location):
        return ModelCard()
    try:
        text = read_steady(location, _MAX_CARD).decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(f"{location}: is not UTF-8: {error}") from error
    return parse_card(text, str(location))


def _is_there(location: Path) -> bool:
    """Whether anything has this name, a link included; SourceError when the system can't say."""
    try:
        os.lstat(location)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unreadable(location, error) from error
    except ValueError as error:  # a NUL, half of a surrogate pair
        raise SourceError(f"{str(location)!a}: is no path: {error}") from error
    return True


def _unstated(model: Model, card: ModelCard) -> list[Finding]:
    """What to warn of when the two licences can't be compared."""
    if model.license == NOASSERTION:
        problem = f"the spec asserts no license, its card states {_stated(card)}"
        hint = "write the licence that the card states, as an SPDX expression"
    elif not card.licenses:
        problem = f"license {model.license!r} could not be compared: {CARD} states none"
        hint = "add the model's card, with `license:` in its front matter"
    else:
        return []
    return [Finding(LICENSE_RULE, "warning", f"models/{model.name}", problem, hint)]


def _stated(card: ModelCard) -> str:
    return repr(" and ".join(card.stated)) if card.licenses else "none"
