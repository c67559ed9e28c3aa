"""Framing: the examples of docs/format.md, GNU tar and Python's tarfile as readers."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from bundler.archive.framing import END, Member, place, place_all

BLOB = "blobs/sha256/" + 64 * "a"


@pytest.mark.parametrize(
    ("start", "size", "content", "body"),
    [
        (68_096, 5, 69_632, b"12 comment=\n"),
        (69_120, 5, 69_632, None),
        (69_632, 5, 73_728, b"2561 comment=" + 2547 * b"." + b"\n"),
        (69_120, 9 * 1024**3, 73_728, b"19 size=9663676416\n3054 comment=" + 3040 * b"." + b"\n"),
    ],
)
def test_examples_of_the_format_page(
    start: int, size: int, content: int, body: bytes | None
) -> None:
    placed = place(Member(BLOB, size), start)
    assert placed.offset == content
    if body is None:
        assert len(placed.framing) == 512
    else:
        assert placed.framing[512 : 512 + len(body)] == body
        assert not placed.framing[512 + len(body) : -512].strip(b"\0")


@pytest.mark.parametrize("start", range(0, 8192, 512))
@pytest.mark.parametrize("name", [BLOB, "models/" + 200 * "n", "models/größe"])
def test_content_is_aligned_and_the_comment_is_the_shortest(start: int, name: str) -> None:
    placed = place(Member(name, 1), start)
    assert placed.offset % 4096 == 0
    if len(placed.framing) > 512:
        body = placed.framing[512:-512].rstrip(b"\0")
        assert len(body) - body.count(b".") <= len(placed.framing) - 1024
        shorter = -(-(len(body) - 1) // 512) * 512
        least = body.index(b" comment=") + 11 - body.count(b"comment")
        assert shorter < len(placed.framing) - 1024 or len(body) <= least + 1


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 8_589_934_591, 8_589_934_592, 2**50])
def test_python_reads_name_and_size(size: int) -> None:
    for name in (BLOB, "models/" + 200 * "n", "models/größe/ü.txt"):
        placed = place(Member(name, size), 512)
        with tarfile.open(fileobj=io.BytesIO(placed.framing)) as tar:
            found = tar.next()
        assert found is not None
        assert (found.name, found.size, found.mode, found.uid) == (name, size, 0o644, 0)


def test_gnu_tar_lists_and_extracts(tmp_path: Path) -> None:
    contents = {BLOB: b"blob", "models/größe.txt": b"x" * 5000, "models/" + 150 * "n": b""}
    members = [Member(name, len(data)) for name, data in contents.items()]
    placed = place_all(members, 0)
    tar = b"".join(p.framing + contents[p.member.name] + p.filler for p in placed) + END
    (tmp_path / "a.tar").write_bytes(tar)
    subprocess.run(["tar", "-xf", "a.tar"], cwd=tmp_path, check=True)
    for name, data in contents.items():
        assert (tmp_path / name).read_bytes() == data
