"""What every source of models owes: complete files, and the licence that the card states."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from bundler.core.documents.bundle import Model
from bundler.core.errors import PolicyError, SourceError
from bundler.core.findings import Finding
from bundler.core.jsonmembers import object_members, string
from bundler.core.modelcard import ModelCard, parse_card
from bundler.sources.files import ModelFile
from bundler.sources.remote import Remote

CARD = "README.md"
LICENSE_RULE = "license"
# SPDX's word for "nobody says": what a fresh project has until somebody looked at the card.
NOASSERTION = "NOASSERTION"
MAX_CARD = 4 * 1024**2
# The largest published one, of a model with 91,991 tensors, has 9 MB.
_MAX_WEIGHT_INDEX = 16_000_000
_MAX_SHARDS = 100_000
_WEIGHT_INDEX = ".safetensors.index.json"


@dataclass(frozen=True)
class ResolvedModel:
    """A model as the lock will have it, with what its card says and what there is to warn of.

    `remotes` are those of the files that have to be fetched before they can be opened.
    """

    name: str
    source: str
    revision: str | None
    license: str
    files: tuple[ModelFile, ...]
    card: ModelCard
    findings: tuple[Finding, ...]
    remotes: tuple[Remote, ...] = ()


def is_weight_index(path: str) -> bool:
    """Whether the file at `path` says which shards there are."""
    return path.lower().endswith(_WEIGHT_INDEX)


def read_card(data: bytes | None, where: str) -> ModelCard:
    """The card in `data`; an empty one for None. SourceError or DocumentError, naming `where`."""
    if data is None:
        return ModelCard()
    try:
        return parse_card(data.decode("utf-8"), where)
    except UnicodeDecodeError as error:
        raise SourceError(f"{where}: is not UTF-8: {error}") from error


def check_license(model: Model, card: ModelCard, where: str) -> tuple[Finding, ...]:
    """What to warn of when the two licences can't be compared; PolicyError when they differ.

    It names neither model nor field: the spec, which states the licence, comes before it.
    """
    findings = tuple(_unstated(model, card))
    if not findings and not card.agrees(model.license):
        raise PolicyError(
            f"is {model.license!r}, the card states {_stated(card)} ({where})",
            "state the licence that the card has, or get a model whose card is right",
        )
    return findings


def check_weight_index(file: ModelFile, where: str, paths: set[str]) -> None:
    """SourceError unless the index's shards are among `paths`, those of the whole model.

    https://huggingface.co/docs/safetensors/index#sharded: `weight_map`, tensor to file name.
    """
    if file.size > _MAX_WEIGHT_INDEX:
        raise SourceError(f"{where}: expected at most {_MAX_WEIGHT_INDEX} bytes, found {file.size}")
    with file.open() as stream:
        data = stream.read()
    try:
        shards = _shards(data)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{where}: is not a JSON object: {error}") from error
    if shards is None:
        raise SourceError(f"{where}: expected weight_map, from tensors to file names")
    folder = posixpath.dirname(file.path)
    missing = sorted(s for s in shards if posixpath.join(folder, s) not in paths)
    if missing:
        raise SourceError(
            f"{where}: names {len(missing)} files that are not among the model's: "
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
