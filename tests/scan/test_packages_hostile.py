"""Hostile layers: whatever can't be read is said, and shuts the gate; nothing takes memory."""

from __future__ import annotations

import gzip

import pytest

from bundler.core.bom.packages import ImagePackages
from bundler.scan import layerbytes, packages, tarstream
from bundler.scan.packages import findings, scan_layers
from tests.scan.hostile_layers import GOOD, bomb, broken_layers, skippable, unread_files
from tests.scan.layers import STATUS, info, metadata, paragraph, subject, tar

BROKEN = list(broken_layers())
UNREAD = list(unread_files())


def scan(*layers: bytes) -> ImagePackages:
    return scan_layers("image", [subject(layer) for layer in layers])


@pytest.mark.parametrize(
    ("data", "problem"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN]
)
def test_a_broken_layer_is_said_and_the_others_are_read(data: bytes, problem: str) -> None:
    found = scan(GOOD, data, tar({info("c"): metadata("c")}))
    (finding,) = findings("images/a", found)
    assert finding.blocks
    assert finding.message.startswith("layer 1 (sha256:")
    assert any(part in finding.message for part in problem.split("|"))
    assert {"a", "b", "c"} <= {package.name for package in found.packages}


@pytest.mark.parametrize(
    ("data", "path", "problem"), [case[1:] for case in UNREAD], ids=[case[0] for case in UNREAD]
)
def test_a_file_that_can_not_be_read_is_said(data: bytes, path: str, problem: str) -> None:
    found = scan(tar({info("z"): metadata("z")}), data)
    assert [place.path for place in found.unread] == [path]
    assert problem in found.unread[0].problem
    assert "z" in [package.name for package in found.packages]


def test_a_file_that_is_too_long_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "MAX_FILE", 300)
    found = scan(tar({STATUS: paragraph("a") * 5, info("z"): metadata("z")}))
    assert [place.problem for place in found.unread] == ["has 580 bytes, more than 300"]
    assert [package.name for package in found.packages] == ["z"]


def test_a_file_that_was_not_read_and_is_gone_is_no_matter() -> None:
    assert scan(tar({STATUS: b"bad"}), tar({STATUS: paragraph("a")})).unread == ()
    assert scan(tar({STATUS: b"bad"}), tar({"var/lib/.wh.dpkg": b""})).unread == ()


def test_many_places_are_counted() -> None:
    found = scan(tar({f"{number:03}.egg-info": b"" for number in range(250)}))
    assert len(found.unread) == packages.MAX_UNREAD + 1
    assert found.unread[-1].problem == "there are 150 more such places"


def test_what_can_not_be_printed_is_not() -> None:
    name = b"\xff\x1b[2J\n.egg-info".decode("utf-8", "surrogateescape")
    (place,) = scan(tar({name: b""})).unread
    assert place.path == "\\xff\\x1b[2J\\n.egg-info"


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layerbytes, "FREE_BYTES", 2 << 20)
    assert scan(bomb(1)).unread == ()
    (place,) = scan(bomb(40)).unread
    assert place.problem == "unpacks to far more than it should"


def test_the_free_bytes_are_of_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layerbytes, "FREE_BYTES", 2 << 20)
    assert len(scan(*[bomb(1)] * 8).unread) > 1


def test_layers_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "MAX_LAYERS", 2)
    assert scan(GOOD, GOOD).unread == ()
    (place,) = scan(GOOD, GOOD, GOOD).unread
    assert (place.path, place.problem) == ("layer 2", "is not read, nor any after it: more than 2")


def test_gzip_members_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layerbytes, "FREE_BYTES", 2 << 20)
    (place,) = scan(gzip.compress(b"") * 1000 + gzip.compress(GOOD)).unread
    assert place.problem == "unpacks to far more than it should"
    # Some tools give each file its own.
    data = tar({f"x{number}": f"{number}".encode() for number in range(1000)})
    parts = [gzip.compress(data[place : place + 1024]) for place in range(0, len(data), 1024)]
    assert scan(b"".join(parts)).unread == ()


def test_taking_files_apart_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layerbytes, "FREE_BYTES", 2 << 20)
    (place,) = scan(gzip.compress(tar({STATUS: b"\n" * 400_000}))).unread
    assert place.problem == "unpacks to far more than it should"
    assert scan(gzip.compress(tar({"x": b"\n" * 400_000}))).unread == ()


def test_a_frame_to_be_skipped_is() -> None:
    assert [package.name for package in scan(skippable(GOOD)).packages] == ["b", "a"]


def test_members_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarstream, "MAX_MEMBERS", 3)
    assert scan(tar({"a": b"", "b": b""})).unread == ()
    (place,) = scan(tar({"a": b"", "b": b"", "c": b"", "d": b""})).unread
    assert place.problem == "has more than 3 members"
