"""A model out of a bucket into a folder: every digest checked, names given last."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from bundler.archive import format as fmt
from bundler.archive.newfolder import NewFolder, is_filled, names_in, new_folder
from bundler.archive.together import together
from bundler.archive.unpacked import FOLDER, file_digest, other_files
from bundler.core.digest import Digest
from bundler.core.errors import BundlerError, IntegrityError
from bundler.core.lock import LockedFile, parse_files
from bundler.core.modelplace import ModelPlace
from bundler.core.progress import Progress
from bundler.sources.modelimage import THREADS
from bundler.tools.s3 import Bucket


def load_objects(bucket: Bucket, place: ModelPlace, into: Path, progress: Progress) -> bool:
    """Bring the model at `place` into the folder `into`; whether it was not there yet.

    What is there is checked, byte by byte. IntegrityError for bytes that are not the promised
    ones: then nothing has the final name. UsageError when there is no room, before writing.
    """
    files = _files(bucket, place)
    if is_filled(into):
        _require_same(into, files, progress)
        return False
    with new_folder(into) as folder:
        whole = [file for file in files if _is_whole(folder, file)]
        folder.keep(FOLDER + file.path for file in whole)
        missing = [file for file in files if file not in whole]
        size = sum(file.size for file in missing)
        folder.require_room(size)
        progress.phase("loading", size)

        def load(file: LockedFile, progress: Progress) -> None:
            chunks = bucket.read(place.key(file.path), file.size) if file.size else ()
            folder.write(FOLDER + file.path, _checked(file, chunks, progress))

        together(load, sorted(missing, key=lambda each: -each.size), progress, THREADS)
    return True


def _files(bucket: Bucket, place: ModelPlace) -> tuple[LockedFile, ...]:
    data = bucket.small(place.listing, fmt.MAX_LOCK)
    if (found := Digest.of(data)) != place.digest:
        raise IntegrityError(
            f"{bucket.name}/{place.listing}: expected {place.digest}, found {found}",
            "somebody changed it: remove it from the bucket, and install the bundle again",
        )
    return parse_files(data, f"{bucket.name}/{place.listing}")


def _checked(file: LockedFile, chunks: Iterable[bytes], progress: Progress) -> Iterator[bytes]:
    state = hashlib.sha256()
    for chunk in chunks:
        state.update(chunk)
        progress.advance(len(chunk))
        yield chunk
    if state.hexdigest() != file.digest.hex:
        raise IntegrityError(
            f"file {file.path}: expected {file.digest}, found sha256:{state.hexdigest()}",
            "somebody changed it: remove it from the bucket, and install the bundle again",
        )


def _is_whole(folder: NewFolder, file: LockedFile) -> bool:
    """Whether a process that is gone has brought it."""
    try:
        return file_digest(folder.tree / FOLDER / file.path, file.size) == file.digest
    except BundlerError:
        return False


def _require_same(into: Path, files: tuple[LockedFile, ...], progress: Progress) -> None:
    progress.phase("verifying", sum(file.size for file in files))

    def digest(file: LockedFile, progress: Progress) -> Digest:
        found = file_digest(into / FOLDER / file.path, file.size)
        progress.advance(file.size)
        return found

    names = [FOLDER + file.path for file in files]
    same = names_in(into) == names
    if not same or together(digest, files, progress) != [file.digest for file in files]:
        raise other_files(into)
