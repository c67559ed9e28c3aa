"""A model of the spec: its files by path, complete, and under the licence that its card states."""

from __future__ import annotations

import os
import re
from pathlib import Path

from bundler.core.documents.bundle import Model
from bundler.core.errors import SourceError
from bundler.core.lock import LockedModel
from bundler.core.progress import SILENT, Progress
from bundler.sources import hub
from bundler.sources.files import NOTHING_KNOWN, Known, list_files
from bundler.sources.remote import Reach
from bundler.sources.resolved import (
    CARD,
    MAX_CARD,
    ResolvedModel,
    check_license,
    check_weight_index,
    is_weight_index,
    read_card,
)
from bundler.sources.steady import read_steady, unreadable
from bundler.sources.tree import below

__all__ = ["ResolvedModel", "check_scheme", "resolve"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


def resolve(
    model: Model,
    reach: Reach,
    progress: Progress = SILENT,
    known: Known = NOTHING_KNOWN,
    locked: LockedModel | None = None,
) -> ResolvedModel:
    """`model`, whose source is a folder (relative to `reach.root`, or absolute) or `hf://`.

    A folder's files are hashed by `list_files`, but for those in `known`; of the hub, `locked` is
    taken at its word (`hub.resolve_hub_model`). SourceError for another scheme, for what these
    refuse, and for a weight index that names files which are not there. PolicyError when the card
    states another licence. The card is README.md of the source, whether or not `include` lets it
    travel; when there is none, or it states nothing, or the spec says NOASSERTION, that is a
    warning.
    """
    check_scheme(model)
    if model.source.startswith(hub.SCHEME):
        return hub.resolve_hub_model(model, reach, progress, locked)
    folder = below(reach.root, model.source)
    _is_there(folder)  # what is not there, list_files names
    files = list_files(folder, model.include, progress, known, model.exclude)
    for file in files:
        if is_weight_index(file.path):
            check_weight_index(file, str(file.location), {other.path for other in files})
    location = folder / CARD
    card = read_card(_read_there(location), str(location))
    findings = check_license(model, card, str(location))
    return ResolvedModel(
        model.name, model.source, model.revision, model.license, files, card, findings
    )


def check_scheme(model: Model) -> None:
    """SourceError for a source that can't be one as it is written; nothing is looked up."""
    if model.source.startswith(hub.SCHEME):
        hub.check_source(model)
        return
    scheme = _SCHEME.match(model.source)
    if scheme:
        raise SourceError(
            f"model {model.name!r}: source {model.source!r}: "
            f"the scheme {scheme[1]}: is not read by this version",
            "fetch the model into a folder and name that, or name hf://ORG/NAME",
        )
    if model.revision is not None:
        raise SourceError(
            f"model {model.name!r}: revision is {model.revision!r}, but a folder has no revisions",
            "remove `revision`",
        )


def _read_there(location: Path) -> bytes | None:
    # A link that leads nowhere is no missing card, but is refused.
    return read_steady(location, MAX_CARD) if _is_there(location) else None


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
