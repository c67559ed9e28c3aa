"""A model of the spec: its files by path, complete, and under the licence that its card states."""

from __future__ import annotations

import json
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path

from bundler.core.documents.bundle import Model
from bundler.core.errors import PolicyError, SourceError
from bundler.core.findings import Finding
from bundler.core.modelcard import ModelCard, parse_card
from bundler.core.progress import SILENT, Progress
from bundler.sources.files import NOTHING_KNOWN, Known, SourceFile, list_files
from bundler.sources.steady import read_steady

CARD = "README.md"
LICENSE_RULE = "license"
# SPDX's word for "nobody says": what a fresh project has until somebody looked at the card.
NOASSERTION = "NOASSERTION"
_MAX_CARD = 4 * 1024**2
# The largest published one, of a model with 91,991 tensors, has 9 MB.
_MAX_WEIGHT_INDEX = 64 * 1024**2
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
    _check_scheme(model)
    folder = root / model.source
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


def _check_scheme(model: Model) -> None:
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
        raise SourceError(f"{file.location}: expected at most {_MAX_WEIGHT_INDEX} bytes")
    with file.open() as stream:
        try:
            value = json.loads(stream.read().decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{file.location}: is not JSON: {error}") from error
    shards = value.get("weight_map") if isinstance(value, dict) else None
    if not isinstance(shards, dict) or not all(isinstance(s, str) for s in shards.values()):
        raise SourceError(f"{file.location}: expected weight_map, from tensors to file names")
    folder = posixpath.dirname(file.path)
    missing = sorted(s for s in set(shards.values()) if posixpath.join(folder, s) not in paths)
    if missing:
        raise SourceError(
            f"{file.location}: names {len(missing)} files that are not among the model's: "
            f"{', '.join(map(repr, missing[:3]))}",
            "fetch what is missing, or let `include` choose it",
        )


def _read_card(folder: Path) -> ModelCard:
    location = folder / CARD
    # A link that leads nowhere is no missing card: lexists, then refused.
    if not location.is_symlink() and not location.exists():
        return ModelCard()
    try:
        text = read_steady(location, _MAX_CARD).decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(f"{location}: is not UTF-8: {error}") from error
    return parse_card(text, str(location))


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
