"""Sidecars and slots: written whole, or found half written and ended."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from bundler.archive.format import SLOT_SIZE
from bundler.core.errors import TrustError, UsageError
from bundler.sign import slot
from bundler.sign.envelope import Envelope, merge
from tests.making import signed as sign
from tests.sign.conftest import Keys
from tests.sign.forge import RELEASE

EMPTY = b" " * SLOT_SIZE
HEADER = b"h" * slot.SLOT_OFFSET
REST = b"what follows the slot " * 100_000


class Killed(BaseException):
    """The process ends here, and no handler of its runs."""


@pytest.fixture
def envelope(keys: Keys) -> Envelope:
    return sign(RELEASE.statement(), keys.ann)


@pytest.fixture
def both(keys: Keys, envelope: Envelope) -> Envelope:
    return merge([sign(RELEASE.statement(), keys.bob), envelope])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Something with a slot; the rest is nothing to these functions."""
    path = tmp_path / "b.tar"
    path.write_bytes(HEADER + EMPTY + REST)
    return path


def names(file: Path) -> list[str]:
    return sorted(path.name for path in file.parent.iterdir())


def test_where_a_sidecar_is() -> None:
    assert slot.sidecar_path(Path("media/movie 1.4.tar")) == Path("media/movie 1.4.tar.sig.json")


def test_a_sidecar_is_read_as_it_was_written(file: Path, envelope: Envelope) -> None:
    assert slot.read_sidecar(file) is None
    slot.write_sidecar(file, envelope)
    assert slot.read_sidecar(file) == envelope
    assert slot.sidecar_path(file).read_bytes() == envelope.dump()
    assert names(file) == ["b.tar", "b.tar.sig.json"]


def _newline(path: Path, envelope: Envelope) -> None:
    path.write_bytes(envelope.dump() + b"\n")


def _padded(path: Path, envelope: Envelope) -> None:
    path.write_bytes(envelope.slot())


def _long(path: Path, envelope: Envelope) -> None:
    path.write_bytes(envelope.slot() + b" ")


def _empty(path: Path, envelope: Envelope) -> None:
    path.write_bytes(b"")


def _folder(path: Path, envelope: Envelope) -> None:
    path.mkdir()


def _pipe(path: Path, envelope: Envelope) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("spoil", [_newline, _padded, _long, _empty, _folder, _pipe])
def test_a_sidecar_that_is_no_canonical_envelope_is_refused(
    file: Path, envelope: Envelope, spoil: Callable[[Path, Envelope], None]
) -> None:
    spoil(slot.sidecar_path(file), envelope)
    with pytest.raises(TrustError, match=r"b\.tar\.sig\.json: "):
        slot.read_sidecar(file)


def test_a_slot_is_filled_and_nothing_else_changes(file: Path, envelope: Envelope) -> None:
    assert slot.read_file_slot(file) is None
    slot.write_file_slot(file, envelope)
    assert slot.read_file_slot(file) == envelope
    assert file.read_bytes() == HEADER + envelope.slot() + REST
    assert names(file) == ["b.tar"]


def test_the_slot_of_a_file_that_ends_in_it_is_refused(file: Path) -> None:
    file.write_bytes(HEADER + EMPTY[1:])
    with pytest.raises(TrustError, match="slot: expected 65536 bytes, found 65535"):
        slot.read_file_slot(file)


class Reaper:
    """Kills the process before its deed number `last`; a write into the slot is five deeds."""

    def __init__(self) -> None:
        self.deeds = 0
        self.last: int | None = None

    def arm(self, last: int | None) -> None:
        self.deeds, self.last = 0, last

    def deed(self) -> None:
        if self.deeds == self.last:
            raise Killed
        self.deeds += 1

    def counted(self, function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            self.deed()
            return function(*arguments, **named)

        return call

    def overwrite(self, bundle: BinaryIO, data: bytes) -> None:
        text = len(data.rstrip())
        for size in (1, text // 3, text * 9 // 10, SLOT_SIZE // 2, SLOT_SIZE):
            self.deed()
            os.pwrite(bundle.fileno(), data[:size], slot.SLOT_OFFSET)


@pytest.fixture
def reaper(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reaper]:
    reaper = Reaper()
    with monkeypatch.context() as patch:
        for name in ("fsync", "replace", "unlink"):
            patch.setattr(os, name, reaper.counted(getattr(os, name)))
        patch.setattr(slot, "_overwrite", reaper.overwrite)
        yield reaper


def kills(reaper: Reaper, work: Callable[[], None]) -> Iterator[int]:
    """Runs `work` again and again, killed before each of its deeds in turn, then to its end."""
    for last in itertools.count():
        reaper.arm(last)
        try:
            work()
        except Killed:
            reaper.arm(None)
            yield last
        else:
            reaper.arm(None)
            return


@pytest.mark.parametrize("signed_before", [False, True])
def test_a_slot_survives_a_kill_at_any_deed(
    file: Path, envelope: Envelope, both: Envelope, reaper: Reaper, signed_before: bool
) -> None:
    old = envelope if signed_before else None
    before = HEADER + (envelope.slot() if signed_before else EMPTY) + REST
    file.write_bytes(before)
    found = set()
    for _ in kills(reaper, lambda: slot.write_file_slot(file, both)):
        found.add(_reader_sees(file))
        slot.recover(file)
        assert slot.read_file_slot(file) in (old, both)
        assert not slot.journal_path(file).exists()
        file.write_bytes(before)
    assert found == {old, both, "refused, with a journal"}
    assert file.read_bytes() == HEADER + both.slot() + REST
    assert names(file) == ["b.tar"]


def _reader_sees(file: Path) -> Envelope | str | None:
    try:
        return slot.read_file_slot(file)
    except TrustError:
        return "refused, with a journal" if slot.journal_path(file).exists() else "refused"


def test_recovery_survives_a_kill_at_any_deed(
    file: Path, both: Envelope, reaper: Reaper, journal: Path
) -> None:
    torn, note = file.read_bytes(), journal.read_bytes()
    for _ in kills(reaper, lambda: slot.recover(file)):
        slot.recover(file)
        assert slot.read_file_slot(file) == both
        assert names(file) == ["b.tar"]
        file.write_bytes(torn)
        journal.write_bytes(note)
    assert slot.read_file_slot(file) == both
    assert names(file) == ["b.tar"]


def test_a_sidecar_survives_a_kill_at_any_deed(
    file: Path, envelope: Envelope, both: Envelope, reaper: Reaper
) -> None:
    slot.write_sidecar(file, envelope)
    found = set()
    for _ in kills(reaper, lambda: slot.write_sidecar(file, both)):
        found.add(slot.read_sidecar(file))
        slot.write_sidecar(file, envelope)
    assert found == {envelope, both}
    assert slot.read_sidecar(file) == both
    assert names(file) == ["b.tar", "b.tar.sig.json"]


def _tear(monkeypatch: pytest.MonkeyPatch, file: Path, envelope: Envelope, size: int) -> Path:
    """The journal of a process that was killed after it wrote `size` bytes of the slot."""

    def overwrite(bundle: BinaryIO, data: bytes) -> None:
        os.pwrite(bundle.fileno(), data[:size], slot.SLOT_OFFSET)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(slot, "_overwrite", overwrite)
        with pytest.raises(Killed):
            slot.write_file_slot(file, envelope)
    return slot.journal_path(file)


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch, file: Path, both: Envelope) -> Path:
    """A journal that a killed process left behind, its slot half written."""
    return _tear(monkeypatch, file, both, 300)


def test_a_half_written_slot_is_refused_and_then_finished(
    file: Path, both: Envelope, journal: Path
) -> None:
    assert names(file) == ["b.tar", "b.tar.journal"]
    with pytest.raises(TrustError) as refused:
        slot.read_file_slot(file)
    assert "sign --in-place` was interrupted, run it again" in str(refused.value.hint)
    slot.recover(file)
    assert slot.read_file_slot(file) == both


def test_what_had_not_begun_is_dropped(
    monkeypatch: pytest.MonkeyPatch, file: Path, both: Envelope
) -> None:
    _tear(monkeypatch, file, both, 0)
    slot.recover(file)
    assert slot.read_file_slot(file) is None
    assert names(file) == ["b.tar"]


@pytest.mark.parametrize("rest", [b"x" * len(REST), REST[1:]], ids=["other", "shorter"])
def test_another_file_in_its_place_is_left_alone(file: Path, journal: Path, rest: bytes) -> None:
    content = HEADER + EMPTY + rest
    file.write_bytes(content)
    with pytest.raises(UsageError, match="journal: belongs to another file than"):
        slot.recover(file)
    assert file.read_bytes() == content


def _flip(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


SPOILS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut off": lambda data: data[:-1],
    "longer": lambda data: data + b" ",
    "another slot": lambda data: data.replace(b'{"payload"', b'{"Payload"'),
    "a letter of the slot": lambda data: _flip(data, len(data) // 2),
    "no header": lambda data: data[data.index(b"\n") :],
    "a header that is no object": lambda data: b"[]" + data[data.index(b"\n") :],
    "a header without its size": lambda data: data.replace(b'"size"', b'"sise"'),
    "a digest that is no string": lambda data: data.replace(b'"old":"', b'"old":1,"o":"'),
    "an unknown member": lambda data: b'{"a":1,' + data[1:],
}


@pytest.mark.parametrize("name", SPOILS)
def test_a_damaged_journal_is_refused_and_nothing_written(
    file: Path, journal: Path, name: str
) -> None:
    before = file.read_bytes()
    spoilt = SPOILS[name](journal.read_bytes())
    assert spoilt != journal.read_bytes()
    journal.write_bytes(spoilt)
    with pytest.raises(UsageError, match="journal: is damaged"):
        slot.recover(file)
    assert file.read_bytes() == before


@pytest.mark.parametrize("new", [b"x" * SLOT_SIZE, b" " * 10], ids=["other", "short"])
def test_a_journal_with_no_slot_in_it_is_refused(file: Path, journal: Path, new: bytes) -> None:
    before = file.read_bytes()
    honest = slot._parse_journal(journal.read_bytes(), journal)
    journal.write_bytes(replace(honest, new=new).dump())
    with pytest.raises(UsageError, match="journal: is damaged"):
        slot.recover(file)
    assert file.read_bytes() == before


def test_without_a_journal_there_is_nothing_to_recover(file: Path) -> None:
    before = file.read_bytes()
    slot.recover(file)
    assert file.read_bytes() == before


def test_a_file_that_is_not_there_is_named(tmp_path: Path, envelope: Envelope) -> None:
    with pytest.raises(UsageError, match=r"none\.tar: can't be opened: No such file"):
        slot.write_file_slot(tmp_path / "none.tar", envelope)
    with pytest.raises(UsageError, match=r"none\.tar\.sig\.json\.tmp|can't be written"):
        slot.write_sidecar(tmp_path / "none" / "none.tar", envelope)
