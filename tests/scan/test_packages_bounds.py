"""What the scan of an image may keep, and how many steps it may take."""

from __future__ import annotations

import tarfile
import tracemalloc
from contextlib import suppress
from unittest import mock

import pytest

from bundler.core.bom.packages import ImagePackages
from bundler.scan import installed, rootfs
from bundler.scan.layerbytes import UnreadableError
from bundler.scan.packages import scan_layers
from bundler.scan.rootfs import Link, RootFs
from tests.scan.layers import (
    STATUS,
    hard_link,
    info,
    member,
    metadata,
    paragraph,
    subject,
    symlink,
    tar,
)

MANY = [symlink(f"a/l{number}", "x") for number in range(300)]
CHAIN = [symlink(f"l{number}", "./" * 300 + f"l{number + 1}") for number in range(100)]
DEEP = "d/" * 250
LONG_WAYS = {
    "links with long targets": [*CHAIN, member("l0/x")],
    "a deep folder behind a link": [
        symlink("l", DEEP), *(member(f"l/{number}") for number in range(100))],
    "an opaque folder, again and again": [*MANY, *[member("a/.wh..wh..opq")] * 100],
    "an opaque root, again and again": [*MANY, *[member(".wh..wh..opq")] * 100],
    "a folder that is gone, again and again": [*MANY, *[member(".wh.a")] * 100],
}  # fmt: skip


def scan(*layers: bytes) -> ImagePackages:
    return scan_layers("image", [subject(layer) for layer in layers])


@pytest.mark.parametrize("case", LONG_WAYS)
def test_steps_are_counted(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert scan(tar(LONG_WAYS[case])).unread == ()
    monkeypatch.setattr(rootfs, "MAX_STEPS", 20_000)
    (place,) = scan(tar(LONG_WAYS[case])).unread
    assert place.problem == "makes the way to its names longer than anyone goes"


def test_steps_are_counted_over_all_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootfs, "MAX_STEPS", 2000)
    layer = tar([member(f"{number}/x") for number in range(300)])
    assert scan(layer).unread == ()
    found = scan(tar({info("a"): metadata("a")}), *[layer] * 5)
    assert found.unread[-1].path.startswith("layer 5 ")
    assert [package.name for package in found.packages] == ["a"]


def test_steps_are_counted_where_links_to_metadata_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    links = [symlink(f"{number}.egg-info", "a") for number in range(80)]
    good = [member("z.egg-info", metadata("z")), symlink("good.egg-info", "z.egg-info")]
    data = tar([*MANY, *links, *good])
    assert len(scan(data).unread) == 80
    monkeypatch.setattr(rootfs, "MAX_STEPS", 20_000)
    assert "good.egg-info" in [place.path for place in scan(data).unread]


def test_what_is_kept_is_weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootfs, "MAX_KEPT", 10_000)
    links = [symlink(f"l{number}", "x") for number in range(40)]
    (place,) = scan(tar(links)).unread
    assert place.problem == "has more links and packages than are kept"
    # The same one again and again takes no more room; nor does what is gone.
    assert scan(tar([symlink("l", "x") for _ in range(200)])).unread == ()
    assert scan(*[tar({STATUS: paragraph("a")})] * 50).unread == ()
    turns = [(symlink(f"f/{n}/l", "x"), member(end)) for n in range(50) for end in ("f", ".wh.f")]
    assert scan(tar([each for turn in turns for each in turn])).unread == ()
    assert scan(*[tar([each]) for turn in turns for each in turn]).unread == ()


@pytest.mark.parametrize("name", ["l", "é/" * 20 + "l"])
@pytest.mark.parametrize("target", ["x", "x" * 4000, "😀" * 1000])
def test_names_and_targets_are_weighed(
    name: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rootfs, "MAX_KEPT", 1_000_000)
    tracemalloc.start()
    try:
        files, kept = RootFs(), 0
        with suppress(UnreadableError):
            for kept in range(10_000):
                files.put((f"{kept}", *name.split("/")), Link(0, target + f"{kept}"))
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 1_200_000
    assert 40 < kept < 9999


def test_nothing_is_kept_beyond_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootfs, "MAX_KEPT", 30_000)
    status = b"".join(paragraph(f"p{number}") for number in range(40))
    layers = [tar({f"{number}/{STATUS}": status}) for number in range(3)]
    layers.append(tar({info("small"): metadata("small")}))
    found = scan(*layers)
    assert len(found.packages) == 40
    assert [place.path[:8] for place in found.unread] == ["layer 1 ", "layer 2 ", "layer 3 "]


def test_what_has_no_room_is_not_put(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootfs, "MAX_KEPT", 2000)
    files = RootFs()
    files.put(("a",), Link(0, "x"))
    for name, target in (("b", "x" * 3000), ("c", "x")):
        with pytest.raises(UnreadableError, match="more links and packages than are kept"):
            files.put((name,), Link(0, target))
    assert [names for names, _ in files.leaves()] == [("a",)]


def test_what_is_kept_is_not_weighed_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when there is almost no room left, nor when a note gets another name."""
    weigh = mock.Mock(wraps=rootfs.weight_of)
    monkeypatch.setattr(rootfs, "weight_of", weigh)
    status = b"".join(paragraph(f"p{number}") for number in range(100))
    names = [f"srv/{number}" for number in range(20)]
    data = tar([member(STATUS, status), *(hard_link(name, STATUS) for name in names)])
    assert len(scan(data).packages) == 100
    assert weigh.call_count <= 200

    links = [symlink(f"l{number}", "x") for number in range(500)]
    weight = mock.Mock(wraps=lambda link: 300 + len(link.target))
    monkeypatch.setattr(Link, "weight", property(weight))
    monkeypatch.setattr(rootfs, "MAX_KEPT", 500 * 305)
    assert scan(tar([*links, *[symlink("l0", "x")] * 100])).unread == ()
    assert weight.call_count <= 2 * 600


def test_packages_of_a_file_are_counted_and_weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    status = tar({STATUS: b"".join(paragraph(f"p{number}") for number in range(20))})
    monkeypatch.setattr(installed, "MAX_PACKAGES", 20)
    assert len(scan(status).packages) == 20
    monkeypatch.setattr(installed, "MAX_PACKAGES", 19)
    (place,) = scan(status).unread
    assert (place.path, place.problem) == (STATUS, "has more than 19 packages")
    monkeypatch.undo()
    monkeypatch.setattr(rootfs, "MAX_KEPT", 5000)
    (place,) = scan(status).unread
    assert (place.path, place.problem) == (STATUS, "has more packages than are kept")


def test_fields_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "MAX_FIELDS", 10)
    body = "x: y\n" * 20
    assert scan(tar({info("a"): metadata("a", more=f"\n{body}")})).unread == ()
    (place,) = scan(tar({info("a"): metadata("a", more=body)})).unread
    assert place.problem == "has a paragraph of more than 10 fields"
    (place,) = scan(tar({STATUS: paragraph("a")[:-1] + body.encode()})).unread
    assert place.problem == "has a paragraph of more than 10 fields"


def test_os_release_is_short() -> None:
    release = b"ID=debian\n"
    assert scan(tar({"etc/os-release": release * 5000})).distro == ("debian", "")
    (place,) = scan(tar({"etc/os-release": release * 10_000})).unread
    assert place.problem == "has 100000 bytes, more than 65536"


SIZE = 512 * 1024
LONG_FILES = {
    "a text": metadata("a") + b"x\n" * (SIZE // 2),
    "a line": metadata("a", more=f"License: {'x' * SIZE}\n"),
    "many lines that go on": metadata("a", more="License: x\n" + " y\n" * (SIZE // 3)),
    "many lines that go on in no field": metadata("a", more="X: x\n" + " y\n" * (SIZE // 3)),
    "many empty lines": b"\n" * SIZE + metadata("a"),
}


@pytest.mark.parametrize("case", LONG_FILES)
def test_memory_does_not_grow_with_a_file(case: str) -> None:
    data = LONG_FILES[case]
    tracemalloc.start()
    try:
        assert installed.python_package(data).name == "a"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < SIZE // 8


def test_memory_of_status_is_that_of_its_packages() -> None:
    long = b"Description: " + b"x" * SIZE + b"\n" + b" y\n" * (SIZE // 3)
    data = paragraph("a")[:-1] + long + b"\n" + paragraph("b")
    tracemalloc.start()
    try:
        assert [each.name for each in installed.dpkg_packages(data)] == ["a", "b"]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < SIZE // 8


def test_headers_do_not_take_memory() -> None:
    """Long names that nobody asked for, and folders below folders."""
    members = [member(f"{'d/' * 200}{number}", type=tarfile.DIRTYPE) for number in range(500)]
    members += [member(f"{number}/{'x' * 3500}") for number in range(500)]
    data = tar(members)
    tracemalloc.start()
    try:
        assert scan(data).unread == ()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * 1024**2
