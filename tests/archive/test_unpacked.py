"""A model's layers as files: only what the framing can be, and back again."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from bundler.archive import framing
from bundler.archive.framing import END, Member, place, place_all
from bundler.archive.newfolder import NewFolder, new_folder
from bundler.archive.unpacked import digest_of, layers_in, require_grouping, unpack
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import BundlerError, IntegrityError, SourceError, UsageError
from bundler.core.lock import LockedFile
from bundler.core.progress import SILENT
from tests.making import locked

FILES = {
    "config.json": b"{}\n",
    "empty": b"",
    "größe/" + 120 * "n": b"y" * 5000,
    "vocab/words.txt": b"one\n" * 3000,
}


def layer_of(files: Mapping[str, bytes], folder: str = "models/") -> bytes:
    placed = place_all((Member(folder + path, len(data)) for path, data in files.items()), 0)
    pieces = [p.framing + files[p.member.name.removeprefix(folder)] + p.filler for p in placed]
    return b"".join(pieces) + END


def unpacked(
    tmp_path: Path, data: bytes, promised: bytes | None = None, piece: int = 700
) -> tuple[LockedFile, ...]:
    """What `unpack` makes of `data`; it comes in odd pieces."""
    blob = Descriptor.of("", data if promised is None else promised)
    chunks = (data[at : at + piece] for at in range(0, len(data), piece))
    folder = NewFolder(tmp_path / "partial")
    folder.tree.mkdir(parents=True)
    return unpack(blob, chunks, folder, SILENT)


@pytest.mark.parametrize("piece", [1, 511, 100_000])
def test_files_come_out_as_they_went_in(tmp_path: Path, piece: int) -> None:
    ordered = dict(sorted(FILES.items(), key=lambda item: item[0].encode()))
    assert unpacked(tmp_path, layer_of(ordered), piece=piece) == locked(FILES)
    for path, data in FILES.items():
        found = tmp_path / "partial/tree/models" / path
        assert found.read_bytes() == data
        assert found.stat().st_mode & 0o777 == 0o444


def test_files_of_a_folder_give_their_layers_again(tmp_path: Path) -> None:
    ordered = dict(sorted(FILES.items(), key=lambda item: item[0].encode()))
    data = layer_of(ordered)
    unpacked(tmp_path, data)
    (layer,) = layers_in(tmp_path / "partial/tree")
    assert layer.size == len(data)
    assert digest_of(layer, tmp_path / "partial/tree", SILENT) == Digest.of(data)


def test_a_size_of_8_gib_is_read_from_where_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond what octal digits hold; the limit is brought down instead of a file of 8 GiB made."""
    monkeypatch.setattr(framing, "OCTAL_LIMIT", 4000)
    files = {"a": b"x" * 3999, "b": b"y" * 4000}
    data = layer_of(files)
    assert b"size=4000\n" in data
    assert unpacked(tmp_path, data) == locked(files)


def renamed(name: str, other: str) -> bytes:
    """A layer in which a well-framed member is called otherwise."""
    return layer_of({name: b"x", other: b"y"}, folder="")


HOSTILE: dict[str, bytes] = {
    "outside of models": renamed("etc/passwd", "models/a"),
    "above models": renamed("models/../../etc/passwd", "models/a"),
    "absolute": renamed("/etc/passwd", "models/a"),
    "an empty segment": renamed("models//a", "models/b"),
    "a whiteout": renamed("models/.wh.a", "models/b"),
    "a control character": renamed("models/a\x1b", "models/b"),
    "models itself": renamed("models", "models/b"),
}
GOOD = layer_of({"a": b"x" * 600, "b": b"y"})
HEADER = place(Member("models/a", 600), 0).framing
DAMAGED: dict[str, bytes] = {
    "a symbolic link": GOOD.replace(HEADER, HEADER[:-356] + b"2" + HEADER[-355:]),
    "another mode": GOOD.replace(b"0000644\0", b"0004755\0"),
    "an owner": GOOD.replace(b"0000000\0", b"0000001\0", 1),
    "a longer size": GOOD.replace(b"00000001130\0", b"77777777777\0"),
    "no digits for a size": GOOD.replace(b"00000001130\0", b"\xff0000001130\0"[:12]),
    "bytes behind a file": GOOD.replace(b"x" * 600 + b"\0", b"x" * 600 + b"!"),
    "bytes in place of the end": GOOD[:-1] + b"!",
    "no end": GOOD[:-1024] + HEADER + GOOD[-1024:-512],
    "a comment of something else": GOOD.replace(b"comment=.", b"comment=!"),
    "a PAX header without end": GOOD.replace(GOOD[124:135], b"77777777777", 1),
    "a name that is no text": GOOD.replace(b"models/a", b"models/\xff"),
    "nothing": b"",
    "no tar": b"\x1f\x8b" + bytes(5000),
}
BAD = {**HOSTILE, **DAMAGED}


@pytest.mark.parametrize("data", BAD.values(), ids=list(BAD))
def test_a_layer_of_anything_else_is_refused(tmp_path: Path, data: bytes) -> None:
    """Though its digest is what the manifest says: whoever made it made that, too."""
    with pytest.raises(IntegrityError):
        unpacked(tmp_path, data)
    outside = [path for path in tmp_path.rglob("*") if "models" not in path.parts]
    assert {path.name for path in outside} <= {"partial", "tree"}
    assert not [path for path in tmp_path.rglob("*") if path.is_symlink()]


@pytest.mark.parametrize(
    "data",
    [
        place(Member("models/a", 10**9), 0).framing + bytes(4096) + END,
        DAMAGED["a PAX header without end"],
    ],
    ids=["a file beyond the layer", "a header beyond all bounds"],
)
def test_a_size_that_can_not_be_is_not_read_to_its_end(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(IntegrityError, match="is not framed"):
        unpacked(tmp_path, data)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (GOOD.replace(b"xx", b"zx", 1), "expected these bytes"),
        (GOOD + b"!", "expected these bytes"),
        (GOOD[:-600], "ends too early"),
        (GOOD[:-513], "ends too early"),
    ],
    ids=["changed", "longer", "cut", "cut in its end"],
)
def test_other_bytes_than_the_digest_says_are_refused(
    tmp_path: Path, data: bytes, says: str
) -> None:
    with pytest.raises(IntegrityError, match=says):
        unpacked(tmp_path, data, promised=GOOD)


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    first = place(Member("models/a", 1), 0)
    second = place(Member("models/a", 1), first.end)
    data = b"".join(each.framing + b"x" + each.filler for each in (first, second)) + END
    with pytest.raises(IntegrityError, match="'models/a': stands twice"):
        unpacked(tmp_path, data)


def test_other_layers_than_follow_from_the_files_are_refused() -> None:
    first, second = locked({"a": b"x", "b": b"y"})
    require_grouping([(first, second)])
    for layers in ([(first,), (second,)], [(second, first)]):
        with pytest.raises(IntegrityError, match="not those that follow"):
            require_grouping(layers)


def fill(folder: NewFolder) -> None:
    folder.write("models/a", [b"one", b"two"])
    folder.write("models/b/c", [])


def test_a_folder_has_its_name_when_all_is_there(tmp_path: Path) -> None:
    with new_folder(tmp_path / "m") as folder:
        fill(folder)
        assert not (tmp_path / "m").exists()
    assert sorted(os.listdir(tmp_path)) == ["m"]
    assert (tmp_path / "m/models/a").read_bytes() == b"onetwo"
    assert (tmp_path / "m/models/b").stat().st_mode & 0o777 == 0o755


def enter(path: Path) -> None:
    with new_folder(path) as folder:
        folder.keep([])


@pytest.mark.parametrize("planted", [".m.partial", ".m.partial/tree"])
def test_what_others_put_in_the_place_of_the_unfinished_is_refused(
    tmp_path: Path, planted: str
) -> None:
    """Else their link would have us remove the files of another folder."""
    victim = tmp_path / "victim"
    (victim / "tree").mkdir(parents=True)
    (victim / "tree/thesis").touch()
    link = tmp_path / "far" / planted
    link.parent.mkdir(parents=True)
    link.symlink_to(victim)
    with pytest.raises(UsageError, match=r"expected a folder of this user, .* found something"):
        enter(tmp_path / "far/m")
    assert (victim / "tree/thesis").exists()
    assert link.is_symlink()


@pytest.mark.needs("root")
def test_the_unfinished_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".m.partial").mkdir()
    os.chown(tmp_path / ".m.partial", 4711, 4711)
    with pytest.raises(UsageError, match="or another user's"):
        enter(tmp_path / "m")
    assert os.listdir(tmp_path) == [".m.partial"]


def test_the_unfinished_is_for_its_user_alone(tmp_path: Path) -> None:
    with new_folder(tmp_path / "m") as folder:
        assert folder.partial.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "make", [os.mkdir, os.mkfifo, lambda path: os.symlink("/etc/passwd", path)]
)
def test_a_note_that_is_no_file_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "x.note")
    with pytest.raises(UsageError, match=r"x\.note: expected a regular file"):
        NewFolder(tmp_path).notes()


def test_an_empty_folder_of_the_name_gives_way(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    with new_folder(tmp_path / "m") as folder:
        fill(folder)
    assert (tmp_path / "m/models/a").exists()


def test_what_failed_has_no_name_and_is_gone_on_with(tmp_path: Path) -> None:
    def fail() -> None:
        with new_folder(tmp_path / "m") as folder:
            fill(folder)
            folder.note("half", b"noted")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert not (tmp_path / "m").exists()
    with new_folder(tmp_path / "m") as folder:
        assert folder.notes() == {"half": b"noted"}
        folder.keep(["models/a"])
        folder.write("models/b/c", [b"new"])
    assert (tmp_path / "m/models/b/c").read_bytes() == b"new"


def test_two_at_once_are_told_of_each_other(tmp_path: Path) -> None:
    with (
        new_folder(tmp_path / "m"),
        pytest.raises(SourceError, match="another loader is writing it"),
        new_folder(tmp_path / "m"),
    ):
        pass


def test_room_is_asked_for(tmp_path: Path) -> None:
    with new_folder(tmp_path / "m") as folder, pytest.raises(UsageError, match="needs") as caught:
        folder.require_room(1 << 60)
    assert "make the volume larger" in str(caught.value.hint)


@pytest.mark.parametrize("make", [Path.symlink_to, lambda path, _: os.mkfifo(path)])
def test_what_is_no_file_is_no_model(tmp_path: Path, make: Callable[[Path, Path], None]) -> None:
    make(tmp_path / "x", tmp_path)
    with pytest.raises(BundlerError, match="expected only files and folders"):
        layers_in(tmp_path)
