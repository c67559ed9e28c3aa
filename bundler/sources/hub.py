"""A model of the hub: `hf://[ORG/]NAME` at a commit, with all that its snapshot has.

That is every file that git tracks there, `.gitattributes` included, as in a folder that the hub's
client fills. The digest of a file under LFS is the one that the hub states, and the file is fetched
when it is packed; of the others the hub knows only git's SHA-1, and they are fetched at once
(hubblobs.py). All bytes go through the store, which compares them. A model that is locked, and
whose files are in the store, asks nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO

from bundler.archive.store import Store
from bundler.core.digest import Digest
from bundler.core.documents.bundle import Model
from bundler.core.errors import IntegrityError, SourceError
from bundler.core.lock import LockedModel
from bundler.core.modelcard import ModelCard
from bundler.core.progress import SILENT, Progress
from bundler.sources.files import choose
from bundler.sources.hubblobs import fetch_blobs
from bundler.sources.remote import Reach, fetch_all
from bundler.sources.resolved import (
    CARD,
    MAX_CARD,
    ResolvedModel,
    check_license,
    check_weight_index,
    is_weight_index,
    read_card,
)
from bundler.sources.tree import check_names
from bundler.tools.hub import HubFile, open_repo

if TYPE_CHECKING:
    from bundler.tools.hub.client import Repo

SCHEME = "hf://"
_BRANCH = "main"
_COMMIT = re.compile("[0-9a-f]{40}")
_SOURCE = re.compile(r"hf://([\w.-]+/)?[\w.-]+", re.ASCII)
_NO_CARD = b"none"


@dataclass(frozen=True)
class StoredFile:
    """A file of a model that is in the store, or will be before it is opened."""

    path: str
    size: int
    digest: Digest
    store: Store = field(compare=False, repr=False)

    def open(self) -> BinaryIO:
        """The file, seekable; SourceError when it was not fetched."""
        return self.store.open(self.digest, self.size)


@dataclass(frozen=True)
class HubRemote:
    """A file of a commit that is not here yet, and whose digest is known."""

    digest: Digest
    size: int
    what: str
    path: str
    snapshot: _Snapshot = field(compare=False, repr=False)

    def fetch(self, store: Store, progress: Progress) -> None:
        """Gets it into `store`, from where an earlier run stopped."""
        store.fetch(self.digest, self.size, self.what, self._read, progress)

    def _read(self, offset: int) -> Iterator[bytes]:
        return self.snapshot.repo.read(self.snapshot.commit, self.path, offset, self.size)


def check_source(model: Model) -> str:
    """The name ``[ORG/]NAME`` in the source; SourceError when there is none. Nothing is asked."""
    if not _SOURCE.fullmatch(model.source):
        raise SourceError(
            f"model {model.name!r}: source {model.source!r}: expected hf://ORG/NAME",
            "`revision` names a branch, a tag or a commit" if "@" in model.source else None,
        )
    return model.source.removeprefix(SCHEME)


def resolve_hub_model(
    model: Model, reach: Reach, progress: Progress = SILENT, known: LockedModel | None = None
) -> ResolvedModel:
    """`model`, whose source is ``hf://``, at the commit that its revision means now.

    What `known` has of the same source is taken at its word: commit, files, digests. It is not
    looked at when `model` names another commit, or has patterns that don't choose its files.
    SourceError for what the hub refuses, for names that a bundle can't have, and for a weight index
    whose shards are not among the files; IntegrityError for bytes that the hub did not promise;
    PolicyError when the card states another licence. The card is fetched even if `include` does
    not let it travel.
    """
    name = check_source(model)
    if known is not None and (commit := _commit_of(known, model)):
        snapshot = _Snapshot(name, commit, reach.store, progress)
        files = tuple(snapshot.file(file.path, file.size, file.digest) for file in known.files)
    else:
        snapshot = _Snapshot(name, model.revision or _BRANCH, reach.store, progress)
        chosen = choose(snapshot.listing, model.include, model.exclude, snapshot.what)
        check_names(chosen, snapshot.what)
        files = snapshot.files(chosen)
    card = _card_of(files, snapshot)
    indices = [file for file in files if is_weight_index(file.path)]
    snapshot.fetch([*indices, *([card] if card else [])])
    for file in indices:
        check_weight_index(file, snapshot.name(file.path), {other.path for other in files})
    found = _read(card, snapshot)
    return ResolvedModel(
        name=model.name,
        source=model.source,
        revision=snapshot.commit,
        license=model.license,
        files=files,
        card=found,
        findings=check_license(model, found, f"{CARD} of {snapshot.what}"),
        remotes=snapshot.remotes(files),
    )


def _commit_of(known: LockedModel, model: Model) -> str | None:
    """The commit of `known`; None when it is not what a lock of `model` could have."""
    found, wanted = known.revision or "", (model.revision or _BRANCH).lower()
    if known.source != model.source or not _COMMIT.fullmatch(found):
        return None
    if _COMMIT.fullmatch(wanted) and wanted != found:
        return None
    paths = tuple(file.path for file in known.files)
    try:
        chosen = choose(paths, model.include, model.exclude, model.source)
    except SourceError:
        return None  # the hub's files may have more to choose from
    return found if chosen == paths else None


class _Snapshot:
    """One model at one revision; the hub is asked when the answer is needed first, and once."""

    def __init__(self, name: str, revision: str, store: Store, progress: Progress) -> None:
        self.what = f"{SCHEME}{name}"
        self.store = store
        self._name = name
        self._revision = revision
        self._progress = progress

    @cached_property
    def repo(self) -> Repo:
        return open_repo(self._name)

    @cached_property
    def commit(self) -> str:
        if _COMMIT.fullmatch(self._revision):
            return self._revision
        return self.repo.resolve(self._revision)

    @cached_property
    def listing(self) -> dict[str, HubFile]:
        """All files of the commit, by path."""
        listed = self.repo.files(self.commit)
        found = {file.path: file for file in listed}
        if len(found) != len(listed):
            raise SourceError(f"{self.what}: the hub lists a file twice")
        return found

    def name(self, path: str) -> str:
        """What to call a file in a message."""
        return f"{self.what}: {path}"

    def file(self, path: str, size: int, digest: Digest) -> StoredFile:
        return StoredFile(path, size, digest, self.store)

    def files(self, paths: Iterable[str]) -> tuple[StoredFile, ...]:
        """The files at `paths`, sorted by bytes; those of git's own are in the store then."""
        listed = [self.listing[path] for path in sorted(paths, key=str.encode)]
        blobs = [file for file in listed if file.sha256 is None]
        fetched = (
            fetch_blobs(self.repo, self.commit, blobs, self.store, self._progress) if blobs else {}
        )
        return tuple(
            self.file(file.path, file.size, file.sha256 or fetched[file.oid]) for file in listed
        )

    def remotes(self, files: Iterable[StoredFile]) -> tuple[HubRemote, ...]:
        """What has to be fetched before `files` can be opened."""
        return tuple(
            HubRemote(file.digest, file.size, self.name(file.path), file.path, self)
            for file in files
            if not self.store.has(file.digest, file.size)
        )

    def fetch(self, files: Iterable[StoredFile]) -> None:
        fetch_all(self.remotes(files), self.store, self._progress)


def _card_of(files: Iterable[StoredFile], snapshot: _Snapshot) -> StoredFile | None:
    """The card, which need not be among `files`; the store remembers which one a commit has."""
    for file in files:
        if file.path == CARD:
            return file
    key = Digest.of(f"card of {snapshot.what} at {snapshot.commit}".encode())
    note = snapshot.store.recall(key)
    if note is None:
        card = snapshot.files([CARD])[0] if CARD in snapshot.listing else None
        note = f"{card.digest} {card.size}".encode() if card else _NO_CARD
        snapshot.store.remember(key, note)
    if note == _NO_CARD:
        return None
    digest, _, size = note.decode().partition(" ")
    return snapshot.file(CARD, int(size), Digest.parse(digest))


def _read(card: StoredFile | None, snapshot: _Snapshot) -> ModelCard:
    where = snapshot.name(CARD)
    if card is None:
        return read_card(None, where)
    if card.size > MAX_CARD:
        raise SourceError(f"{where}: expected at most {MAX_CARD} bytes, found {card.size}")
    data = snapshot.store.get(card.digest)
    if data is None:
        raise IntegrityError(f"{snapshot.store.location(card.digest)}: is damaged", "remove it")
    return read_card(data, where)
