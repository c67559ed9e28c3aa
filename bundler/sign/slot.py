"""Where signatures rest: the slot at the head of a bundle, and the sidecar beside it.

A sidecar is written in one move (temporary file, fsync, rename). The slot lies inside the file
and can't be: a journal, ``FILE.journal``, is on the disk before the first byte of the slot
changes and goes when the last one is on the disk, so that `recover` can always end the work.
Until then a slot that was half written is no canonical envelope, and every reader refuses it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bundler.archive.format import SLOT_SIZE
from bundler.core import strictjson
from bundler.core.digest import Digest
from bundler.core.errors import IntegrityError, TrustError, UsageError
from bundler.sign.envelope import Envelope, parse, read_slot

# The slot is the content of the first member, behind its header (docs/format.md).
SLOT_OFFSET = 512
_FOLLOWING = 1024 * 1024
_MAX_HEADER = 1024


def sidecar_path(file: Path) -> Path:
    """Where the signatures beside `file` are: ``FILE.sig.json``."""
    return file.with_name(f"{file.name}.sig.json")


def journal_path(file: Path) -> Path:
    """Where an unfinished change of the slot of `file` is noted: ``FILE.journal``."""
    return file.with_name(f"{file.name}.journal")


def read_sidecar(file: Path) -> Envelope | None:
    """The envelope beside `file`, or None when there is none.

    TrustError when it is not canonical, a newline at the end included, or no regular file.
    """
    path = sidecar_path(file)
    data = _read_beside(path, SLOT_SIZE)
    return None if data is None else parse(data, str(path))


def write_sidecar(file: Path, envelope: Envelope) -> None:
    """Puts `envelope` beside `file`, in place of what is there, in one move."""
    _replace(sidecar_path(file), envelope.dump())


def read_file_slot(file: Path) -> Envelope | None:
    """The envelope in the slot of the bundle `file`, or None when the slot is empty."""
    with _opened(file, "rb") as bundle:
        return read_slot(_read_at(bundle, SLOT_OFFSET, SLOT_SIZE), f"{file}: signature slot")


def write_file_slot(file: Path, envelope: Envelope) -> None:
    """Puts `envelope` into the slot of the bundle `file`; after a kill, `recover` ends the work."""
    new = envelope.slot()
    with _opened(file, "r+b") as bundle:
        journal = _Journal(*_fingerprint(bundle), Digest.of(_slot(bundle)), new)
        _replace(journal_path(file), journal.dump())
        _finish(file, bundle, new)


def recover(file: Path) -> None:
    """Ends an interrupted `write_file_slot` on `file`, if there was one.

    A change that had not begun is dropped, one that had begun is finished. UsageError when the
    journal beside `file` is damaged or belongs to another file.
    """
    path = journal_path(file)
    data = _read_beside(path, _MAX_HEADER + SLOT_SIZE)
    if data is None:
        return
    journal = _parse_journal(data, path)
    with _opened(file, "r+b") as bundle:
        if _fingerprint(bundle) != (journal.size, journal.following):
            raise _foreign_journal(path, f"belongs to another file than {file}")
        if Digest.of(_slot(bundle)) == journal.old:
            _remove(path)
        else:
            _finish(file, bundle, journal.new)


@dataclass(frozen=True)
class _Journal:
    """Which file (its size, and the digest of what follows the slot), the old slot, the new."""

    size: int
    following: Digest
    old: Digest
    new: bytes

    def dump(self) -> bytes:
        """One line of canonical JSON, then the new slot."""
        header = {
            "following": str(self.following),
            "new": str(Digest.of(self.new)),
            "old": str(self.old),
            "size": self.size,
        }
        return strictjson.canonical(header) + b"\n" + self.new


def _parse_journal(data: bytes, path: Path) -> _Journal:
    line, _, new = data.partition(b"\n")
    try:
        header = strictjson.parse(line, str(path))
        journal = _Journal(
            header["size"], Digest.parse(header["following"]), Digest.parse(header["old"]), new
        )
        read_slot(new)
    except (IntegrityError, TrustError, KeyError, TypeError) as error:
        raise _foreign_journal(path, "is damaged") from error
    if journal.dump() != data:
        raise _foreign_journal(path, "is damaged")
    return journal


def _foreign_journal(path: Path, problem: str) -> UsageError:
    return UsageError(f"{path}: {problem}", f"remove {path} if no airbundle sign is running")


def _finish(file: Path, bundle: BinaryIO, new: bytes) -> None:
    with _naming(file, "written"):
        _overwrite(bundle, new)
        os.fsync(bundle.fileno())
    _remove(journal_path(file))


def _overwrite(bundle: BinaryIO, slot: bytes) -> None:
    bundle.seek(SLOT_OFFSET)
    bundle.write(slot)
    bundle.flush()


def _slot(bundle: BinaryIO) -> bytes:
    slot = _read_at(bundle, SLOT_OFFSET, SLOT_SIZE)
    if len(slot) != SLOT_SIZE:
        raise IntegrityError(f"{bundle.name}: ends before its signature slot does")
    return slot


def _fingerprint(bundle: BinaryIO) -> tuple[int, Digest]:
    # The index begins there, and its first entry differs between any two bundles.
    following = _read_at(bundle, SLOT_OFFSET + SLOT_SIZE, _FOLLOWING)
    return os.fstat(bundle.fileno()).st_size, Digest.of(following)


def _read_at(bundle: BinaryIO, offset: int, size: int) -> bytes:
    bundle.seek(offset)
    return bundle.read(size)


def _read_beside(path: Path, limit: int) -> bytes | None:
    """What is in `path`, cut off one byte after `limit`; None when there is no such file."""
    with _naming(path, "read"):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(mode):
            raise TrustError(f"{path}: is no regular file")
        with path.open("rb") as file:
            return file.read(limit + 1)


def _replace(path: Path, data: bytes) -> None:
    """Writes `path` whole or not at all."""
    temporary = path.with_name(f"{path.name}.tmp")
    with _naming(path, "written"):
        temporary.unlink(missing_ok=True)  # an earlier run was killed
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path)


def _remove(path: Path) -> None:
    with _naming(path, "removed"):
        os.unlink(path)
        _sync_folder(path)


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _opened(file: Path, mode: str) -> Iterator[BinaryIO]:
    with _naming(file, "opened"):
        bundle = file.open(mode)
    with bundle:
        yield bundle  # type: ignore[misc]


@contextmanager
def _naming(path: Path, deed: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path}: can't be {deed}: {error.strerror}") from error
