"""Folders of inputs: what may lie in them."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from bundler.core.errors import SourceError
from bundler.sources.tree import check_name, walk


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"x")


def _socket(folder: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    here = os.open(".", os.O_RDONLY)
    os.chdir(folder)  # a socket's path holds 107 bytes
    try:
        listener.bind("s")
    finally:
        os.chdir(here)
        os.close(here)
        listener.close()


def _file_link(folder: Path) -> None:
    (folder / "link.txt").symlink_to(folder / "fine.txt")


def _dangling_link(folder: Path) -> None:
    (folder / "link.txt").symlink_to("nowhere")


def _folder_link(folder: Path) -> None:
    (folder / "link").symlink_to("/etc")


def _fifo(folder: Path) -> None:
    os.mkfifo(folder / "fifo")


def _not_utf8(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.json")).write_bytes(b"x")


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "link to a file": (_file_link, "found a symbolic link"),
    "link to nothing": (_dangling_link, "found a symbolic link"),
    "link to a folder": (_folder_link, "found a symbolic link"),
    "pipe": (_fifo, "found a named pipe"),
    "socket": (_socket, "found a socket"),
    "not UTF-8": (_not_utf8, "is not UTF-8"),
    "not NFC": (lambda f: _touch(f, "cafe\u0301.json"), "NFC"),
    "folder not NFC": (lambda f: _touch(f, "cafe\u0301/x.json"), "NFC"),
    "newline": (lambda f: _touch(f, "a\nb"), "control character"),
    "DEL": (lambda f: _touch(f, "a\x7fb"), "control character"),
    "C1 control": (lambda f: _touch(f, "a\x9bb"), "control character"),
    "backslash": (lambda f: _touch(f, "a\\b"), "backslash"),
    "colon": (lambda f: _touch(f, "c:d"), "colon"),
    "whiteout": (lambda f: _touch(f, ".wh.model.bin"), "whiteout"),
    "whiteout folder": (lambda f: _touch(f, ".wh..wh..opq/x"), "whiteout"),
    "longer than 1024": (lambda f: _touch(f, "/".join(["n" * 250] * 5)), "1024 bytes"),
    "case twins": (lambda f: _touch(f, "a.txt", "A.txt"), "differ only in case"),
    "folder case twins": (
        lambda f: _touch(f, "sub/a.txt", "Sub/b.txt"),
        "differ only in case",
    ),
    "case twins by full folding": (
        lambda f: _touch(f, "stra\u00dfe", "strasse"),
        "differ only in case",
    ),
    "too deep": (lambda f: _touch(f, "d/" * 70 + "x"), "nested deeper than 64"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_folder_is_refused(name: str, tmp_path: Path) -> None:
    make, problem = HOSTILE[name]
    _touch(tmp_path, "fine.txt")
    make(tmp_path)
    with pytest.raises(SourceError, match=problem):
        walk(tmp_path)


@pytest.mark.needs("root")
@pytest.mark.parametrize("kind", ["character", "block"])
def test_device_is_refused(kind: str, tmp_path: Path) -> None:
    mode = stat.S_IFCHR if kind == "character" else stat.S_IFBLK
    os.mknod(tmp_path / "dev", mode | 0o600, os.makedev(1, 3))
    with pytest.raises(SourceError, match="found a device"):
        walk(tmp_path)


def test_the_folder_itself_may_not_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    _touch(tmp_path / "real", "a")
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(SourceError, match="expected a folder, found a symbolic link"):
        walk(tmp_path / "link")


def test_a_missing_folder_and_a_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone: expected a folder, found none"):
        walk(tmp_path / "gone")
    _touch(tmp_path, "file")
    with pytest.raises(SourceError, match=r"file: not a directory"):
        walk(tmp_path / "file")


@pytest.mark.parametrize("name", ["..", "../x", "a/../b", "/etc/passwd", "a//b", "./a", ""])
def test_a_name_that_leaves_the_folder_is_refused(name: str) -> None:
    with pytest.raises(SourceError, match="segment"):
        check_name(name, Path("f"))


def test_files_are_sorted_by_bytes_and_leftovers_of_tools_left_out(tmp_path: Path) -> None:
    for name in (
        "b",
        "a/x",
        "a-b",
        "C",
        "\u00e9",
        "\U0001f600",
        "\uff5e",
        ".cache/own",
        "sub/.cache/huggingface/x",
    ):
        _touch(tmp_path, name)
    for name in (".git/config", "sub/.git", ".cache/huggingface/download/x.lock"):
        _touch(tmp_path, name)
    (tmp_path / ".cache/huggingface/link").symlink_to("nowhere")
    assert [path for path, _ in walk(tmp_path)] == [
        ".cache/own", "C", "a-b", "a/x", "b", "sub/.cache/huggingface/x",
        "\u00e9", "\uff5e", "\U0001f600",
    ]  # fmt: skip
